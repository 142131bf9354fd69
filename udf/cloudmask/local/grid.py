"""Pixel grids: the file's own and the network's.

A network is trained on one pixel size. A file with another one is resampled to it on the way in
(average when pixels grow, bilinear when they shrink) and each file pixel takes the class of the
network pixel that holds its centre on the way out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from cloudmask.errors import OptionError
from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRES_A_DEGREE = 111_320.0
"""Along a meridian; along a parallel times the cosine of the latitude."""

ALIKE = 0.05
"""Relative difference of pixel sizes below which resampling would only blur."""


def metres_a_pixel(dataset: Any) -> float | None:
    """Measure a raster's pixel; None without a coordinate reference system."""
    if dataset.crs is None:
        return None
    transform = dataset.transform
    edge = math.sqrt(abs(transform.determinant))
    if dataset.crs.is_geographic:
        latitude = (transform * (dataset.width / 2, dataset.height / 2))[1]
        return edge * METRES_A_DEGREE * math.sqrt(max(math.cos(math.radians(latitude)), 1e-6))
    return edge * float(dataset.crs.linear_units_factor[1])


@dataclass(frozen=True, slots=True)
class Regrid:
    """From a file's grid to the network's and back, along both axes."""

    shape: tuple[int, int]
    """(y, x) of the file."""
    factor: float
    """File pixels a network pixel; 1 for the same grid."""

    def __post_init__(self) -> None:
        """Refuse factors that leave nothing."""
        if not 1 / 64 <= self.factor <= 64:  # noqa: PLR2004
            raise OptionError(
                f"resolution: one network pixel would be {self.factor:.3g} pixels of the file; "
                "1/64 to 64 is possible, choose --resolution native"
            )

    @classmethod
    def to(cls, shape: tuple[int, int], have: float | None, want: float | None) -> Regrid:
        """Plan the way from pixels of `have` metres to `want`; None for one not known."""
        factor = 1.0 if have is None or want is None else want / have
        return cls(shape, 1.0 if abs(factor - 1) < ALIKE else factor)

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

    def warped(self, dataset: Any, nodata: float | None) -> WarpedVRT:
        """Open a raster on the network's grid."""
        height, width = self.network_shape
        return WarpedVRT(
            dataset,
            crs=dataset.crs,
            transform=dataset.transform * Affine.scale(self.factor),
            height=height,
            width=width,
            resampling=Resampling.average if self.factor > 1 else Resampling.bilinear,
            src_nodata=nodata,
            nodata=nodata,
        )
