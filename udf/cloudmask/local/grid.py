"""Pixel grids: the file's own and the network's.

A network is trained on one pixel size. A file with another one is resampled to it on the way in
(`cloudmask.local.resample`), and each file pixel takes the class of the network pixel that holds
its centre on the way out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cloudmask.errors import OptionError
from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.product import Grid
    from cloudmask.spec import Resampling

METRES_A_DEGREE = 111_320.0
"""Along a meridian; along a parallel times the cosine of the latitude."""

ALIKE = 0.05
"""Relative difference of pixel sizes below which resampling would only blur."""


def metres_a_pixel(grid: Grid) -> float | None:
    """Measure a scene's pixel; None where it is not known where on Earth it lies."""
    crs, transform = grid.crs, grid.transform
    if not crs or transform is None:
        return None
    edge = math.sqrt(abs(transform.determinant))
    if crs.is_geographic:
        latitude = transform.d * grid.width / 2 + transform.e * grid.height / 2 + transform.f
        return edge * METRES_A_DEGREE * math.sqrt(max(math.cos(math.radians(latitude)), 1e-6))
    return edge * float(crs.linear_units_factor[1])


@dataclass(frozen=True, slots=True)
class Regrid:
    """From a file's grid to the network's and back, along both axes."""

    shape: tuple[int, int]
    """(y, x) of the file."""
    factor: float
    """File pixels a network pixel; 1 for the same grid."""
    resampling: Resampling = "average"
    """How pixels are brought to larger ones."""

    def __post_init__(self) -> None:
        """Refuse factors that leave nothing."""
        if not 1 / 64 <= self.factor <= 64:  # noqa: PLR2004
            raise OptionError(
                f"resolution: one network pixel would be {self.factor:.3g} pixels of the file; "
                "1/64 to 64 is possible, choose --resolution native"
            )

    @classmethod
    def to(
        cls,
        shape: tuple[int, int],
        have: float | None,
        want: float | None,
        resampling: Resampling = "average",
    ) -> Regrid:
        """Plan the way from pixels of `have` metres to `want`; None for one not known."""
        factor = 1.0 if have is None or want is None else want / have
        return cls(shape, 1.0 if abs(factor - 1) < ALIKE else factor, resampling)

    @property
    def trivial(self) -> bool:
        """Whether both grids are the same."""
        return self.factor == 1

    @property
    def network_shape(self) -> tuple[int, int]:
        """(y, x) of the network's grid; covers the file."""
        y, x = (max(1, math.ceil(size / self.factor - 1e-9)) for size in self.shape)
        return y, x

    def index(self, axis: int) -> NDArray[np.intp]:
        """Give for each file pixel along an axis the network pixel that holds its centre."""
        centres = (np.arange(self.shape[axis]) + 0.5) / self.factor
        return np.minimum(centres.astype(np.intp), self.network_shape[axis] - 1)

    def centres(self, axis: int) -> NDArray[np.intp]:
        """Give for each network pixel along an axis the file pixel that holds its centre.

        A centre on the border of two belongs to the later one, as in GDAL. The last network
        pixel may have its centre beyond the file, and takes the file's last pixel.
        """
        centres = (np.arange(self.network_shape[axis]) + 0.5) * self.factor
        return np.minimum(centres.astype(np.intp), self.shape[axis] - 1)

    def file_rows(self, rows: Span) -> Span:
        """Give the file rows whose network row lies in `rows`."""
        first, stop = np.searchsorted(self.index(0), [rows.start, rows.stop])
        return Span(int(first), int(stop))

    def back(self, array: NDArray[Any], rows: Span) -> NDArray[Any]:
        """Bring (..., rows, x) of the network's grid to the file's grid."""
        if self.trivial:
            return array
        y = self.index(0)[self.file_rows(rows).slice] - rows.start
        return array[..., y[:, None], self.index(1)]

    def weights(self, axis: int) -> sparse.csr_array:
        """Say how much of each file pixel goes into each network pixel: (network, file) sizes."""
        have, get = self.shape[axis], self.network_shape[axis]
        make = _averaging if self.factor > 1 else _linear
        return make(have, get, self.factor)


def _averaging(have: int, get: int, factor: float) -> sparse.csr_array:
    """Weigh by the length that a large pixel and a small one share."""
    edges = np.minimum(np.arange(get + 1) * factor, have)
    first, last = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    counts = np.maximum(last - first, 1)
    rows = np.repeat(np.arange(get), counts)
    columns = np.minimum(first[rows] + _counted(counts), have - 1)
    shared = np.minimum(columns + 1, edges[1:][rows]) - np.maximum(columns, edges[:-1][rows])
    return sparse.csr_array((np.maximum(shared, 0), (rows, columns)), shape=(get, have))


def _counted(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    """Count 0, 1, ... anew for each of `counts`."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _linear(have: int, get: int, factor: float) -> sparse.csr_array:
    """Weigh the two pixels on both sides of a small one's centre."""
    centres = np.clip((np.arange(get) + 0.5) * factor - 0.5, 0, have - 1)
    before = np.minimum(centres.astype(int), max(have - 2, 0))
    after = np.minimum(before + 1, have - 1)
    share = centres - before
    rows = np.tile(np.arange(get), 2)
    values = np.concatenate([1 - share, share])
    return sparse.csr_array((values, (rows, np.concatenate([before, after]))), shape=(get, have))
