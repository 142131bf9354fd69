"""The MultiSpectral Instrument of Sentinel-2A: bands, native grids, noise, quantisation."""

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cloudmask.local.simulator.fields import Field, block_mean, enlarge
from cloudmask.local.simulator.geometry import Sun

QUANTIFICATION = 10_000
"""Digital numbers per unit of reflectance."""
FLOOR_OF_NOISE = 0.3
"""Share of the noise variance at the reference radiance that does not depend on the light;
the rest is shot noise. A round value: the true share differs from band to band."""
BLUR = 0.35
"""Standard deviation of the point spread in native pixels (a round value)."""


@dataclass(frozen=True, slots=True)
class Band:
    """One spectral band.

    Centres and solar irradiance as in the metadata of Sentinel-2A products; reference
    radiance and the signal-to-noise ratio there as in the Sentinel-2 Mission Requirements
    Document (ESA EOP-SM/1163/MR-Dr), as repeated in the user guide and by Gorrono et al.
    2017 (doi:10.3390/rs9020178).
    """

    name: str
    centre: float
    """Micrometres."""
    native: int
    """Pixel size of the band, metres."""
    irradiance: float
    """Of the sun at one astronomical unit, W m-2 um-1."""
    reference: float
    """Reference radiance, W m-2 sr-1 um-1."""
    signal_to_noise: float
    """Required ratio at the reference radiance."""

    def noise(self, reflectance: Field, sun: Sun) -> Field:
        """Return the standard deviation of the noise, in reflectance."""
        reference = pi * self.reference / (self.irradiance * sun.height)
        shot = np.maximum(reflectance, 0.0) * np.float32((1.0 - FLOOR_OF_NOISE) / reference)
        return np.sqrt(shot + np.float32(FLOOR_OF_NOISE)) * np.float32(
            reference / self.signal_to_noise
        )


BANDS = (
    Band("B01", 0.4427, 60, 1913.57, 129.11, 129.0),
    Band("B02", 0.4924, 10, 1941.63, 128.00, 154.0),
    Band("B03", 0.5598, 10, 1822.61, 128.00, 168.0),
    Band("B04", 0.6646, 10, 1512.79, 108.00, 142.0),
    Band("B05", 0.7041, 20, 1425.56, 74.60, 117.0),
    Band("B06", 0.7405, 20, 1288.32, 68.23, 89.0),
    Band("B07", 0.7828, 20, 1163.19, 66.70, 105.0),
    Band("B08", 0.8328, 10, 1036.39, 103.00, 174.0),
    Band("B8A", 0.8647, 20, 955.19, 52.39, 72.0),
    Band("B09", 0.9451, 60, 813.04, 8.77, 114.0),
    Band("B10", 1.3735, 60, 367.15, 6.00, 50.0),
    Band("B11", 1.6137, 20, 245.59, 4.00, 100.0),
    Band("B12", 2.2024, 20, 85.25, 1.70, 100.0),
)
BAND_NAMES = tuple(band.name for band in BANDS)


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor over a grid of `pixel_size` metres, under a given sun."""

    pixel_size: float
    sun: Sun
    offset: int
    """Digital numbers added to every valid pixel."""

    def observe(
        self, band: Band, reflectance: Field, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        """Turn reflectance (y, x) at the top of the atmosphere into digital numbers >= 1."""
        size = max(1, round(band.native / self.pixel_size))
        sharp = ndimage.gaussian_filter(reflectance, BLUR * size, mode="wrap", truncate=3.0)
        seen = block_mean(sharp, size)
        noise = rng.standard_normal(tuple(-(-n // size) for n in seen.shape), dtype=np.float32)
        seen = seen + band.noise(seen, self.sun) * enlarge(noise, size, reflectance.shape)
        number = np.rint(seen * np.float32(QUANTIFICATION))
        return np.clip(number + self.offset, 1 + self.offset, 65_535).astype(np.uint16)
