"""Skies drawn at random, and put over images of cloud-free ground: exact truth for real land.

The clouds are the simulator's (`cloudmask.local.simulator`): water clouds with their shadows, thin
cirrus that B10 sees, haze beside bright clouds, light from the sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from cloudmask.local.simulator.atmosphere import Atmosphere, in_bands
from cloudmask.local.simulator.clouds import THICK, VISIBLE, Clouds, Cover, make_clouds
from cloudmask.local.simulator.compose import Place, make_veil
from cloudmask.local.simulator.fields import Spectrum, block_mean, fractal
from cloudmask.local.simulator.geometry import Sun
from cloudmask.local.simulator.sensor import BANDS
from cloudmask_export.training.sets import IS_CLEAR, IS_SHADOW, IS_THICK, IS_THIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.simulator.compose import Light

ZENITH = (20.0, 68.0)
"""Degrees from the vertical, as Sentinel-2 meets the sun between the tropics and 60 degrees."""
KINDS = {"cumulus": 0.45, "broken": 0.2, "overcast": 0.05, "cirrus": 0.18, "clear": 0.12}
"""How often each kind of sky is drawn."""
SOFT = (0.6, 1.25)
"""Thicknesses from the first to the second multiple of a limit may be either class."""
DUSK = (0.6, 0.8)
"""With less of the direct sun than the first a pixel is in shadow, with more than the second it is
not; what lies between may be either. The first takes about 0.3 off the light in B08, which is
where the rule of `pairs` begins to see shadows; `simulator.scene.DARK` is stricter."""


@dataclass(frozen=True, slots=True)
class Sky:
    """What is drawn for one image."""

    sun: Sun
    atmosphere: Atmosphere
    cover: Cover
    water_base: float
    cirrus_height: float
    grain: float
    """How large clouds are, as a multiple of the simulator's."""
    softness: float
    """Metres over which the edges of water clouds are smoothed."""
    density: float
    """Thickness of the water clouds, as a multiple of the simulator's."""


def draw(rng: np.random.Generator) -> Sky:
    """Draw a sky."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    thick, thin = _covers(rng, kind)
    base = float(np.exp(rng.uniform(np.log(500.0), np.log(4_500.0))))
    return Sky(
        Sun(float(rng.uniform(*ZENITH)), float(rng.uniform(0.0, 360.0))),
        Atmosphere(Sun(40.0, 0.0), float(rng.uniform(0.3, 4.5)), float(rng.uniform(0.03, 0.4))),
        Cover(thick=thick, thin=thin),
        base,
        float(rng.uniform(max(6_000.0, base + 2_000.0), 13_000.0)),
        float(np.exp(rng.uniform(np.log(0.35), np.log(2.5)))),
        float(rng.choice([0.0, 1.0]) * rng.uniform(10.0, 120.0)),
        float(np.exp(rng.uniform(np.log(0.35), np.log(1.6)))),
    )


def _covers(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Draw shares of thick and of thin cloud."""
    low, high = {
        "cumulus": ((0.02, 0.02), (0.35, 0.15)),
        "broken": ((0.35, 0.03), (0.75, 0.2)),
        "overcast": ((0.85, 0.0), (1.0, 0.0)),
        "cirrus": ((0.0, 0.15), (0.1, 0.8)),
        "clear": ((0.0, 0.0), (0.0, 0.0)),
    }[kind]
    return float(rng.uniform(low[0], high[0])), float(rng.uniform(low[1], high[1]))


def under(
    sky: Sky, clear: NDArray[np.float32], pixel_size: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Put a sky over a cloud-free image.

    Args:
        sky: Drawn before.
        clear: (13, y, x) reflectance at the top of the atmosphere.
        pixel_size: Metres.
        rng: Draws where the clouds are.

    Returns:
        Reflectance (13, y, x) and sets of classes (y, x).
    """
    shape = (clear.shape[1], clear.shape[2])
    valid = np.ones(shape, bool)
    water, cirrus = make_clouds(rng, valid, pixel_size / sky.grain, sky.cover)
    water = ndimage.gaussian_filter(water, sky.softness / pixel_size, mode="wrap")
    water *= np.float32(sky.density)
    relief = fractal(rng, shape, Spectrum(slope=4.0, outer=6_000.0 / pixel_size))
    height = np.float32(100.0) + np.float32(60.0) * np.abs(relief)
    clouds = Clouds(water, sky.water_base, cirrus, sky.cirrus_height)
    atmosphere = Atmosphere(sky.sun, sky.atmosphere.water_vapour, sky.atmosphere.aerosol)
    veil = make_veil(clouds, Place(height, pixel_size, sky.sun))
    image = np.empty_like(clear)
    for number, (band, air) in enumerate(zip(BANDS, in_bands(atmosphere), strict=True)):
        added = veil.over(clear[number], air) - clear[number]
        # The image is on the band's own grid already: only what is added is averaged.
        size = max(1, round(band.native / pixel_size))
        image[number] = clear[number] + block_mean(added, size)
    return np.maximum(image, np.float32(1e-4)), _truth(clouds, veil.light)


def _truth(clouds: Clouds, light: Light) -> NDArray[np.uint8]:
    """Classify what is there; what lies near a limit may be either."""
    thickness = clouds.water + clouds.cirrus
    sets = np.where(light.beam < DUSK[0], np.uint8(IS_SHADOW), np.uint8(IS_CLEAR))
    sets[(light.beam >= DUSK[0]) & (light.beam < DUSK[1])] = IS_CLEAR | IS_SHADOW
    sets[thickness >= VISIBLE] = IS_THIN
    sets[thickness >= THICK] = IS_THICK
    near = (thickness > SOFT[0] * VISIBLE) & (thickness < VISIBLE)
    sets[near] |= IS_THIN
    sets[(thickness >= VISIBLE) & (thickness < SOFT[1] * VISIBLE)] |= IS_CLEAR
    sets[(thickness > SOFT[0] * THICK) & (thickness < SOFT[1] * THICK)] |= IS_THIN | IS_THICK
    return sets
