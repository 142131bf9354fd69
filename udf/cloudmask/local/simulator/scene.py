"""A simulated scene: settings in, digital numbers and exact truth out."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cloudmask.classes import CLEAR, NO_DATA, SHADOW
from cloudmask.classes import THICK as THICK_CLOUD
from cloudmask.classes import THIN as THIN_CLOUD
from cloudmask.local.simulator.atmosphere import (
    Atmosphere,
    BandAtmosphere,
    Overhead,
    in_bands,
    overhead,
)
from cloudmask.local.simulator.clouds import THICK, VISIBLE, Clouds, Cover, make_clouds
from cloudmask.local.simulator.compose import Light, Place, Veil, make_veil
from cloudmask.local.simulator.fields import Field
from cloudmask.local.simulator.geometry import Sun, sunlit
from cloudmask.local.simulator.sensor import BAND_NAMES, BANDS, Sensor
from cloudmask.local.simulator.settings import SceneSettings
from cloudmask.local.simulator.surface import Ground, Relief, make_ground

DARK = 0.5
"""Share of the direct sun below which a cloud-free pixel counts as shadow."""
DEFAULTS: Final = SceneSettings()
CRS: Final = "EPSG:32633"
CORNER: Final = (399_960.0, 5_300_040.0)
"""Easting and northing of the north-west corner, on the grid of the Sentinel-2 tiles."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A simulated Level-1C scene with its truth."""

    reflectance_dn: NDArray[np.uint16]
    """(band, y, x): reflectance at the top of the atmosphere x 10000 + `settings.offset`;
    0 = no data, every valid value is at least 1."""
    truth: NDArray[np.uint8]
    """(y, x): 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data."""
    bands: tuple[str, ...]
    """Names along the first axis of `reflectance_dn`."""
    crs: str
    """Coordinate reference system, as an authority code."""
    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f: x = a * column + b * row + c, y = d * column + e * row + f."""
    settings: SceneSettings
    """What was asked for."""
    water_thickness: NDArray[np.float32]
    """(y, x): optical thickness of the water clouds in the visible, seen from above."""
    cirrus_thickness: NDArray[np.float32]
    """(y, x): optical thickness of the cirrus in the visible, seen from above."""
    direct_sun: NDArray[np.float32]
    """(y, x): share of the direct sun that the clouds let through to the ground, 0..1."""


def simulate(settings: SceneSettings = DEFAULTS) -> Scene:
    """Simulate a scene; the same settings always give the same bytes.

    Ground, clouds and noise draw from streams of their own: with the same seed, shape and
    pixel size the ground stays the same whatever the sun and the clouds are.

    Args:
        settings: What the scene is to be.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(3)]
    relief = Relief(range=settings.relief, snow_line=settings.snow_line)
    ground = make_ground(streams[0], settings.shape, settings.pixel_size, relief)
    valid = swath(settings)
    cover = Cover(thick=settings.thick_cover, thin=settings.thin_cover)
    water, cirrus = make_clouds(streams[1], valid, settings.pixel_size, cover)
    clouds = Clouds(water, settings.cloud_height, cirrus, settings.cirrus_height)
    sun = Sun(settings.sun_zenith, settings.sun_azimuth)
    veil = make_veil(clouds, Place(ground.height, settings.pixel_size, sun))
    return Scene(
        _observe(ground, veil, valid, settings, streams[2]),
        classify(clouds, veil.light, valid),
        BAND_NAMES,
        CRS,
        (settings.pixel_size, 0.0, CORNER[0], 0.0, -settings.pixel_size, CORNER[1]),
        settings,
        clouds.water,
        clouds.cirrus,
        veil.light.beam,
    )


def swath(settings: SceneSettings) -> NDArray[np.bool_]:
    """Return where there is data (y, x): all but a slanted strip in the east."""
    rows, columns = settings.shape
    if not settings.no_data_edge:
        return np.ones(settings.shape, dtype=bool)
    # Sentinel-2 flies down from north-north-east: the edge leans by about 12 degrees.
    edge = columns * 0.97 - np.arange(rows)[:, None] * np.tan(np.radians(12.0))
    return np.arange(columns)[None, :] < np.maximum(edge, columns * 0.5)


def classify(clouds: Clouds, light: Light, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the class (y, x) of each pixel from what is really there.

    Cloud goes by the optical thickness above the pixel (`THICK`, `VISIBLE`); shadow is where
    no cloud lies above and less than `DARK` of the direct sun arrives.
    """
    thickness = clouds.water + clouds.cirrus
    truth = np.where(light.beam < DARK, np.uint8(SHADOW), np.uint8(CLEAR))
    truth[thickness >= VISIBLE] = THIN_CLOUD
    truth[thickness >= THICK] = THICK_CLOUD
    truth[~valid] = NO_DATA
    return truth


def clear_sky(reflectance: Field, lit: Field, ground: Overhead, air: BandAtmosphere) -> Field:
    """Return the reflectance (y, x) of cloud-free ground at the top of the atmosphere.

    Args:
        reflectance: Of the ground (y, x).
        lit: Direct light on each slope (y, x), relative to level ground.
        ground: The air above the terrain.
        air: The atmosphere in this band.
    """
    direct = air.direct_share(ground)
    light = (direct * lit + (1.0 - direct)) * air.both_ways(ground) * air.gas(ground)
    seen = reflectance * light / (1.0 - np.float32(air.sky_albedo()) * reflectance)
    return air.path(ground) + seen


def _observe(
    ground: Ground,
    veil: Veil,
    valid: NDArray[np.bool_],
    settings: SceneSettings,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    sun = Sun(settings.sun_zenith, settings.sun_azimuth)
    atmosphere = Atmosphere(sun, settings.water_vapour, settings.aerosol)
    sensor = Sensor(settings.pixel_size, sun, settings.offset)
    above = overhead(ground.height)
    lit = sunlit(ground.height, settings.pixel_size, sun)
    numbers = np.empty((len(BANDS), *settings.shape), dtype=np.uint16)
    for index, (band, air) in enumerate(zip(BANDS, in_bands(atmosphere), strict=True)):
        clear = clear_sky(ground.reflectance(index), lit, above, air)
        numbers[index] = sensor.observe(band, veil.over(clear, air), rng)
    numbers[:, ~valid] = 0
    return numbers
