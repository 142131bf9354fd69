"""Random fields with the statistics of terrain, soil and cloud.

Every field is periodic: what leaves the scene on one side comes in on the other. A cloud
beyond the edge therefore needs no margin to cast its shadow into the scene.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

Field = NDArray[np.float32]
"""One value per pixel, (y, x), float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Power spectrum of a random field, lengths in pixels.

    Power falls as `(1 / outer**2 + k**2) ** (-slope / 2)` with the wavenumber k in cycles per
    pixel: flat for waves longer than `outer`, a power law below it (von Karman 1948).
    """

    slope: float
    """Exponent of the power law in two dimensions: 8/3 is turbulence, 3 to 4 is terrain."""
    outer: float
    """Longest wave that still carries structure."""
    inner: float = 0.0
    """Shortest wave: a Gaussian cut-off, 0 for none."""
    stretch: float = 1.0
    """How many times longer the structures are along `heading` than across."""
    heading: float = 0.0
    """Direction of the stretching, radians clockwise from north (row 0)."""

    def amplitude(self, shape: tuple[int, int]) -> Field:
        """Return the square root of the power on the half plane of `rfft2`."""
        north = -fft.fftfreq(shape[0]).astype(np.float32)[:, None]
        east = fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
        sine, cosine = np.float32(np.sin(self.heading)), np.float32(np.cos(self.heading))
        along = (north * cosine + east * sine) * np.float32(self.stretch)
        across = east * cosine - north * sine
        square = along**2 + across**2
        power = (np.float32(self.outer**-2) + square) ** np.float32(-self.slope / 4)
        power *= np.exp(-square * np.float32(self.inner**2))
        power[0, 0] = 0.0
        return power.astype(np.float32, copy=False)


def fractal(rng: np.random.Generator, shape: tuple[int, int], spectrum: Spectrum) -> Field:
    """Draw a field by spectral synthesis, mean 0 and standard deviation 1.

    White noise is filtered in the Fourier domain (Saupe 1988, in: The Science of Fractal
    Images).
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    return _standardised(fft.irfft2(fft.rfft2(white) * spectrum.amplitude(shape), s=shape))


def _standardised(field: Field) -> Field:
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)


def quantile_of(field: Field) -> Field:
    """Map a standard normal field to its quantiles, 0..1."""
    return np.asarray(special.ndtr(field), dtype=np.float32)


def ramp(field: Field, low: float, high: float) -> Field:
    """Rise smoothly from 0 where `field <= low` to 1 where `field >= high`."""
    step = np.clip((field - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(step * step * (3.0 - 2.0 * step), dtype=np.float32)


def sample(field: Field, rows: Field, columns: Field) -> Field:
    """Read `field` at fractional pixel positions, bilinear and periodic."""
    value = ndimage.map_coordinates(field, [rows, columns], order=1, mode="grid-wrap")
    return np.asarray(value, dtype=np.float32)


def view_factor(shape: tuple[int, int], height: float) -> Field:
    """Return how light from a Lambertian layer spreads, a kernel for `spread`.

    A point sees a layer `height` pixels above (or below) with the view factor
    `h**2 / (pi * (r**2 + h**2)**2)`; its Fourier transform is `k h K1(k h)` with the modified
    Bessel function K1.
    """
    phase = np.maximum(2.0 * np.pi * height * _wavenumber(shape), 1e-6)
    return np.asarray(phase * special.k1(phase), dtype=np.float32)


def gaussian(shape: tuple[int, int], deviation: float) -> Field:
    """Return a Gaussian of some pixels of standard deviation, a kernel for `spread`."""
    phase = 2.0 * np.pi * deviation * _wavenumber(shape)
    return np.asarray(np.exp(-0.5 * phase**2), dtype=np.float32)


def _wavenumber(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return cycles per pixel on the half plane of `rfft2`."""
    north = fft.fftfreq(shape[0])[:, None]
    return np.hypot(north, fft.rfftfreq(shape[1])[None, :])


def spread(field: Field, kernel: Field) -> Field:
    """Spread a field by a kernel given as its Fourier transform; the mean stays the same."""
    return np.asarray(fft.irfft2(fft.rfft2(field) * kernel, s=field.shape), dtype=np.float32)


def gradient(field: Field) -> tuple[Field, Field]:
    """Return the periodic central differences towards north and east, per pixel."""
    north = (np.roll(field, 1, axis=0) - np.roll(field, -1, axis=0)) * np.float32(0.5)
    east = (np.roll(field, -1, axis=1) - np.roll(field, 1, axis=1)) * np.float32(0.5)
    return north, east


def block_mean(field: Field, size: int) -> Field:
    """Average over `size` x `size` pixels and repeat the means on the grid of `field`.

    Blocks start at the north-west corner; what is missing from the last ones is filled by
    repeating the edge.
    """
    if size == 1:
        return field
    rows, columns = field.shape
    padded = np.pad(field, ((0, -rows % size), (0, -columns % size)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // size, size, padded.shape[1] // size, size)
    return enlarge(blocks.mean(axis=(1, 3), dtype=np.float32), size, field.shape)


def enlarge(field: Field, size: int, shape: tuple[int, int]) -> Field:
    """Repeat every pixel `size` x `size` times and cut the result to `shape`."""
    return field.repeat(size, axis=0).repeat(size, axis=1)[: shape[0], : shape[1]]
