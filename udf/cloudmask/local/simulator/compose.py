"""Put clouds and their shadows over a cloud-free scene."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from scipy import ndimage

from cloudmask.local.simulator.atmosphere import (
    Atmosphere,
    BandAtmosphere,
    Overhead,
    in_bands,
    overhead,
)
from cloudmask.local.simulator.clouds import (
    VISIBLE_DROPS,
    VISIBLE_ICE,
    Clouds,
    Particles,
    crystals,
    drops,
)
from cloudmask.local.simulator.fields import Field, gaussian, ramp, sample, spread, view_factor
from cloudmask.local.simulator.geometry import Sun, climb_to_sun

SHIFT = 16.0
"""Pixels between the shadows of neighbouring slices of a water cloud, at most about."""
FEWEST, MOST = 3, 10
"""Slices that a water cloud is cut into to cast its shadow."""
HALO = 0.035
"""Radians by which ice scatters the light of the forward peak, about 2 degrees (a round value):
it blurs the shadow of cirrus, which is why that is so weak."""
SIDEWAYS = 0.25
"""Share of what a cloud reflects that leaves through its sides and lights the ground around
(a round value: plane-parallel clouds have no sides, real cumulus does)."""
RELIEF_OF_TOPS = 0.3
"""How far the brightness of a thick cloud swings with the slope of its top (a round value)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scene lies and how it is lit."""

    height: Field
    """Terrain (y, x), metres above sea level."""
    pixel_size: float
    """Metres."""
    sun: Sun

    def seen_from(self, height: float) -> Field:
        """Return the view factor of a layer at `height` metres, for `spread`."""
        above = max(height - float(self.height.mean()), 1.0)
        return view_factor(self.grid, above / self.pixel_size)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.height.shape
        return rows, columns


@dataclass(frozen=True, slots=True)
class Light:
    """What the clouds leave of the light at the ground."""

    beam: Field
    """Share of the direct sun (y, x) that still arrives."""
    sky: Field
    """Share of the sky (y, x) that is not cloud."""
    glow: Field
    """Light scattered down by the clouds (y, x), relative to the clear total."""


def cast(layer: Field, height: float, place: Place) -> Field:
    """Return what the sun's ray to each ground pixel meets in a layer.

    Args:
        layer: Values (y, x) of a flat layer.
        height: Of the layer, metres above sea level.
        place: The ground and the sun.
    """
    climb = np.maximum(np.float32(height) - place.height, 0.0) / np.float32(place.pixel_size)
    north, east = place.sun.run
    rows = np.arange(layer.shape[0], dtype=np.float32)[:, None] - climb * np.float32(north)
    columns = np.arange(layer.shape[1], dtype=np.float32)[None, :] + climb * np.float32(east)
    return sample(layer, rows, columns)


def cast_light(clouds: Clouds, place: Place, low: Field) -> Light:
    """Follow the light through the clouds to the ground.

    Args:
        clouds: The layers on the way.
        place: The ground and the sun.
        low: View factor of the water clouds from the ground.
    """
    beam = _beam(clouds, place)
    high = place.seen_from(clouds.cirrus_height)
    bright, through, straight = _parts(VISIBLE_DROPS, clouds.water)
    _, veiled, faint = _parts(VISIBLE_ICE, clouds.cirrus)
    shade = spread(1.0 - straight, low) + spread(1.0 - faint, high)
    sky = np.clip(1.0 - shade, 0.0, 1.0)
    # What leaves a cloud sideways reaches the ground only where there are gaps.
    sideways = np.float32(SIDEWAYS) * spread(bright, low) * sky
    glow = spread(through - straight, low) + spread(veiled - faint, high) + sideways
    return Light(beam, sky, np.maximum(glow, 0.0))


def _parts(particles: Particles, thickness: Field) -> tuple[Field, Field, Field]:
    """Return what a cloud reflects, lets through at all, and lets through straight (y, x)."""
    return *particles.two_stream(thickness), particles.beam(thickness)


def _beam(clouds: Clouds, place: Place) -> Field:
    """Return the share of the direct sun (y, x) that arrives at the ground."""
    slant = np.float32(1.0 / place.sun.height)
    blur = HALO * clouds.cirrus_height / (place.sun.height * place.pixel_size)
    soft = spread(clouds.cirrus, gaussian(place.grid, blur))
    beam = VISIBLE_ICE.beam(cast(soft, clouds.cirrus_height, place) * slant)
    if not clouds.water.any():
        return beam
    reach = float(clouds.depth.max()) * hypot(*place.sun.run) / place.pixel_size
    for level, layer in clouds.slices(min(max(FEWEST, round(reach / SHIFT)), MOST)):
        beam *= VISIBLE_DROPS.beam(cast(layer, level, place) * slant)
    return beam


@dataclass(frozen=True, slots=True)
class Veil:
    """What all bands share of the clouds seen from above."""

    clouds: Clouds
    light: Light
    ground: Overhead
    """The air above the terrain."""
    top: Overhead
    """The air above the tops of the water clouds."""
    ice: Overhead
    """The air above the cirrus."""
    relief: Field
    """Brightness (y, x) of the cloud tops by their slope, -1..1."""
    blur: Field
    """View factor of the water clouds from the ground."""

    def over(self, clear: Field, air: BandAtmosphere) -> Field:
        """Return the reflectance (y, x) of one band with clouds, from the clear one."""
        lit = (clear - air.path(self.ground)) * self._illumination(air)
        reflected, through = crystals(air.band.name).two_stream(self.clouds.cirrus)
        below = self._with_water(lit, through, air)
        above = air.path(self.ice)
        # Light goes up and down between the cirrus and what is bright below it.
        echo = 1.0 / (1.0 - reflected * np.clip(below, 0.0, 1.0))
        veil = reflected * air.both_ways(self.ice) * air.gas(self.ice)
        return above + veil + (below - above) * through * echo

    def _illumination(self, air: BandAtmosphere) -> Field:
        direct = air.direct_share(self.ground)
        sky = (1.0 - direct) * self.light.sky
        return direct * self.light.beam + sky + self.light.glow

    def _with_water(self, ground: Field, dimmed: Field, air: BandAtmosphere) -> Field:
        """Return what is below the cirrus; `dimmed` is what the cirrus leaves of the light."""
        particles = drops(air.band.name)
        reflected, through = particles.two_stream(self.clouds.water)
        straight = particles.beam(self.clouds.water)
        seen = ground * straight + spread(ground, self.blur) * (through - straight)
        below = air.path(self.ground) - air.path(self.top)
        tops = reflected * (1.0 + np.float32(RELIEF_OF_TOPS) * reflected * self.relief)
        tops *= air.both_ways(self.top) * air.gas(self.top) * dimmed
        return seen + below * through + tops + air.path(self.top)


def make_veil(clouds: Clouds, place: Place) -> Veil:
    """Prepare what all bands share."""
    top = clouds.water_base + clouds.depth
    blur = place.seen_from(clouds.water_base)
    return Veil(
        clouds,
        cast_light(clouds, place, blur),
        overhead(place.height),
        overhead(np.maximum(top, place.height)),
        overhead(clouds.cirrus_height),
        _relief(clouds, place),
        blur,
    )


def _relief(clouds: Clouds, place: Place) -> Field:
    billows = ndimage.gaussian_filter(clouds.depth, 30.0 / place.pixel_size, mode="wrap")
    away = climb_to_sun(billows, place.pixel_size, place.sun)
    return np.tanh(np.float32(-0.6) * away) * ramp(clouds.water, 0.5, 4.0)


def add_clouds(clear: Field, clouds: Clouds, place: Place, atmosphere: Atmosphere) -> Field:
    """Put clouds over a cloud-free scene, real or simulated.

    Args:
        clear: Reflectance (13, y, x) at the top of the atmosphere.
        clouds: The layers to add.
        place: Terrain (y, x), pixel size and sun of the scene.
        atmosphere: The air of the scene, for the share of the sky in the light.

    Returns:
        Reflectance (13, y, x). Shadows that leave the scene on one side enter on the other.
    """
    veil = make_veil(clouds, place)
    bands = zip(clear, in_bands(atmosphere), strict=True)
    return np.stack([veil.over(image, air) for image, air in bands])
