"""Clouds: fields of optical thickness, and what they do to light."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from cloudmask.local.simulator.fields import Field, Spectrum, fractal

THICK = 3.6
"""Optical thickness from which a cloud counts as thick: the limit between thin and medium
cloud of the International Satellite Cloud Climatology Project (Rossow and Schiffer 1999)."""
VISIBLE = 0.3
"""Optical thickness from which a cloud counts at all: a little less than the 0.4 at which the
MODIS cloud mask begins to see them (Ackerman et al. 2008)."""

EDGE = 0.28
"""Width of the edge of a water cloud, from nothing to `THICK`, in standard deviations of the
field that shapes it."""
DENSEST = 1.7
"""Optical thickness that the densest cirrus comes close to (a round value)."""
VEIL = 0.6
"""How fast cirrus thickens inwards, in standard deviations of the field that shapes it."""
ROUNDS = 3
"""How often the covers are corrected for cirrus above water clouds."""
DEPTH_AT_20 = 550.0
"""Metres from base to top of a water cloud of optical thickness 20 (a round value)."""


@dataclass(frozen=True, slots=True)
class Particles:
    """Drops or ice crystals in one band."""

    asymmetry: float
    """Mean cosine of the scattering angle."""
    absorption: float
    """1 - single-scattering albedo."""

    def two_stream(self, thickness: Field) -> tuple[Field, Field]:
        """Return reflectance and total transmittance of a layer over black ground.

        Two-stream solution for isotropic light (Bohren 1987; Bohren and Clothiaux 2006,
        chapter 5). Without absorption it is `R = (1-g) t / (2 + (1-g) t)`, `T = 1 - R`.
        """
        if self.absorption == 0.0:
            scaled = thickness * np.float32(1.0 - self.asymmetry)
            reflected = scaled / (scaled + np.float32(2.0))
            return reflected, np.float32(1.0) - reflected
        albedo = 1.0 - self.absorption
        inner, outer = sqrt(1.0 - albedo * self.asymmetry), sqrt(self.absorption)
        deep = (inner - outer) / (inner + outer)
        decay = np.exp(thickness * np.float32(-inner * outer))
        below = 1.0 - deep**2 * decay**2
        reflected = deep * (1.0 - decay**2) / below
        return _single(reflected), _single((1.0 - deep**2) * decay / below)

    def beam(self, path: Field) -> Field:
        """Return the share of a beam that goes on in its direction along an optical path.

        Light in the forward peak, the fraction g**2, counts as not scattered (delta
        scaling, Joseph, Wiscombe and Weinman 1976).
        """
        lost = 1.0 - (1.0 - self.absorption) * self.asymmetry**2
        return np.exp(path * np.float32(-lost))


def _single(values: NDArray[np.floating]) -> Field:
    return np.asarray(values, dtype=np.float32)


# Round values from the geometric-optics estimate of absorption, with drops of 10 um and
# crystals of 30 um effective radius and the refractive indices of water (Hale and Querry
# 1973) and ice (Warren and Brandt 2008).
WATER = {"B10": 0.002, "B11": 0.006, "B12": 0.014}
ICE = {"B10": 0.003, "B11": 0.050, "B12": 0.045}
WATER_ASYMMETRY, ICE_ASYMMETRY = 0.85, 0.78
VISIBLE_DROPS = Particles(WATER_ASYMMETRY, 0.0)
VISIBLE_ICE = Particles(ICE_ASYMMETRY, 0.0)


def drops(band: str) -> Particles:
    """Return the optics of water drops in a band."""
    return Particles(WATER_ASYMMETRY, WATER.get(band, 0.0))


def crystals(band: str) -> Particles:
    """Return the optics of ice crystals in a band."""
    return Particles(ICE_ASYMMETRY, ICE.get(band, 0.0))


@dataclass(frozen=True, slots=True)
class Clouds:
    """Two layers of cloud."""

    water: Field
    """Optical thickness (y, x) of the water clouds in the visible."""
    water_base: float
    """Metres above sea level."""
    cirrus: Field
    """Optical thickness (y, x) of the ice clouds in the visible."""
    cirrus_height: float
    """Metres above sea level; the layer itself is flat."""

    @property
    def depth(self) -> Field:
        """Metres (y, x) from base to top of the water clouds.

        Optical thickness grows with depth**(5/3) in an adiabatic cloud (Brenguier et al.
        2000).
        """
        return np.float32(DEPTH_AT_20) * (self.water / np.float32(20.0)) ** np.float32(0.6)

    def slices(self, count: int) -> Iterator[tuple[float, Field]]:
        """Cut the water clouds into flat layers.

        The drops are spread evenly over the depth of the cloud.

        Yields:
            The height of each layer above sea level and its optical thickness (y, x).
        """
        depth = np.maximum(self.depth, np.float32(1.0))
        density = self.water / depth
        step = float(depth.max()) / count
        for low in np.arange(count) * step:
            part = np.clip(depth - np.float32(low), np.float32(0.0), np.float32(step))
            yield self.water_base + float(low) + 0.5 * step, _single(density * part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How much of which cloud is wanted, as shares of the valid pixels."""

    thick: float
    thin: float


def make_clouds(
    rng: np.random.Generator,
    valid: NDArray[np.bool_],
    pixel_size: float,
    cover: Cover,
) -> tuple[Field, Field]:
    """Draw the optical thickness (y, x) of water clouds and of cirrus.

    The soft edges of the water clouds count as thin; cirrus makes up the rest of the wanted
    thin cover. When the edges alone exceed it there is no cirrus.
    """
    billows = _cumulus_shape(rng, valid.shape, pixel_size)
    veils = _cirrus_shape(rng, valid.shape, pixel_size)
    share = cover.thick
    for _ in range(ROUNDS):
        water = _cumulus(billows, valid, share)
        cirrus = _cirrus(veils, water, valid, cover.thin)
        # Cirrus over the edge of a water cloud makes it thick: ask for less water cloud.
        surplus = float((water + cirrus >= THICK)[valid].mean()) - cover.thick
        share = min(max(share - surplus, 0.0), 1.0)
    return water, cirrus


def _cumulus_shape(rng: np.random.Generator, shape: tuple[int, ...], pixel_size: float) -> Field:
    """Draw what shapes cumulus: billows of a few hundred metres, gathered in groups."""
    grid = (shape[0], shape[1])
    billow = fractal(rng, grid, Spectrum(slope=3.4, outer=1_600.0 / pixel_size))
    group = fractal(rng, grid, Spectrum(slope=4.0, outer=6_000.0 / pixel_size))
    return _single(billow + np.float32(0.7) * group)


def _cumulus(shape: Field, valid: NDArray[np.bool_], share: float) -> Field:
    if share == 0.0:
        return np.zeros_like(shape)
    limit = float(np.quantile(shape[valid], 1.0 - share))
    rising = np.maximum(1.0 + (shape - np.float32(limit)) / np.float32(EDGE), 0.0)
    return np.float32(THICK) * rising ** np.float32(1.25)


def _cirrus_shape(rng: np.random.Generator, shape: tuple[int, ...], pixel_size: float) -> Field:
    """Draw fibrous cirrus: streaks along the wind aloft within a soft sheet."""
    grid, heading = (shape[0], shape[1]), float(rng.uniform(0.0, np.pi))
    outer = 5_000.0 / pixel_size
    sheet = fractal(rng, grid, Spectrum(slope=3.6, outer=outer, stretch=2, heading=heading))
    streak = fractal(rng, grid, Spectrum(slope=3.3, outer=outer / 4, stretch=8, heading=heading))
    return _single(sheet + np.float32(0.3) * streak)


def _cirrus(shape: Field, water: Field, valid: NDArray[np.bool_], share: float) -> Field:
    missing = share * valid.sum() - (valid & (water >= VISIBLE) & (water < THICK)).sum()
    free = valid & (water < VISIBLE)
    if missing <= 0 or not free.any():
        return np.zeros_like(shape)
    limit = float(np.quantile(shape[free], 1.0 - min(1.0, missing / free.sum())))
    beyond = (shape - np.float32(limit)) / np.float32(VEIL)
    core = np.float32(DENSEST - VISIBLE) * (1.0 - np.exp(-np.maximum(beyond, 0.0)))
    fringe = np.maximum(1.0 + beyond * np.float32(DENSEST / VISIBLE - 1.0), 0.0)
    return _single(np.where(beyond > 0.0, VISIBLE + core, VISIBLE * fringe))
