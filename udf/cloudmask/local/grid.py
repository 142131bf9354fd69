"""Pixel grids: the file's own and the network's.

A network is trained on one pixel size. A file with another one is resampled to it on the way in
(average when pixels grow, linear when they shrink, of the pixels that exist) and each file pixel
takes the class of the network pixel that holds its centre on the way out. GDAL would resample too,
but knows one no-data value a file, and ours may have several (0 and the file's own, say).
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

    from cloudmask.bands import Preset
    from cloudmask.source import RowSource

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
        latitude = transform.d * dataset.width / 2 + transform.e * dataset.height / 2 + transform.f
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


class Resampled:
    """A raster on the network's grid, as reflectance with NaN for no data (a `RowSource`)."""

    def __init__(self, source: RowSource, preset: Preset, regrid: Regrid) -> None:
        """Plan.

        Args:
            source: The raster on its own grid.
            preset: What its numbers mean.
            regrid: The two grids.
        """
        self._source, self._preset = source, preset
        self._seen = _Seen(source.shape[2])
        self.shape = (source.shape[0], *regrid.network_shape)
        whole = regrid.factor > 1 and regrid.factor == int(regrid.factor)
        self._means: _Blocks | _Weights = _Blocks(regrid) if whole else _Weights(regrid)

    def read(self, rows: Span) -> NDArray[np.float32]:
        """See `cloudmask.source.RowSource`."""
        result = np.empty((self.shape[0], rows.size, self.shape[2]), np.float32)
        # A few rows at once: several times as many of the file's are needed for them.
        for start in range(rows.start, rows.stop, ROWS_AT_ONCE):
            part = Span(start, min(start + ROWS_AT_ONCE, rows.stop))
            self._read(part, result[:, part.within(rows).slice])
        return result

    def valid(self, rows: Span) -> NDArray[np.bool_]:
        """Tell which pixels of the file exist, (rows, x) of its own grid; once for each row.

        Kept from reading, as to read a file twice would take longer than all else but the network.

        Args:
            rows: Of the file, from the top, of which the network's grid was read.
        """
        return self._seen.take(rows)

    def _read(self, rows: Span, result: NDArray[np.float32]) -> None:
        needed = self._means.needed(rows)
        numbers = self._source.read(needed)
        valid = self._preset.valid(numbers)
        self._seen.add(needed, valid)
        complete = bool(valid.all())
        weight = self._means.total(valid, rows)
        known = weight > LEAST_WEIGHT
        weight[~known] = 1
        for band, mean in zip(numbers, result, strict=True):
            # The mean of the numbers, made reflectance, is the mean of reflectance; and exact.
            there = band if complete else np.where(valid, band, band.dtype.type(0))
            mean[:] = self._preset.reflectance(self._means.total(there, rows) / weight)
        if not complete:
            result[:, ~known] = np.nan


ROWS_AT_ONCE = 128
"""Rows of the network's grid."""

LEAST_WEIGHT = 1e-9
"""Shares below this are rounding, not pixels."""


class _Seen:
    """Which pixels exist, in rows from the top that come in and go out."""

    def __init__(self, width: int) -> None:
        self._start = 0
        self._valid = np.zeros((0, width), bool)

    def add(self, rows: Span, valid: NDArray[np.bool_]) -> None:
        """Take rows, some of which may be there already."""
        stop = self._start + len(self._valid)
        assert rows.start <= stop, "rows come without a gap"
        self._valid = np.concatenate([self._valid, valid[max(0, stop - rows.start) :]])

    def take(self, rows: Span) -> NDArray[np.bool_]:
        """Give rows, and forget them and those before."""
        there = rows.moved(-self._start)
        wanted = self._valid[there.slice]
        self._valid = self._valid[there.stop :].copy()
        self._start = rows.stop
        return wanted


class _Weights:
    """Weighted sums along both axes, for any two grids."""

    def __init__(self, regrid: Regrid) -> None:
        self._y = regrid.weights(0).astype(np.float32)
        self._x = regrid.weights(1).T.tocsr().astype(np.float32)

    def needed(self, rows: Span) -> Span:
        """Give the file rows that go into rows of the network's grid."""
        columns = self._y[rows.start : rows.stop].indices
        return Span(int(columns.min()), int(columns.max()) + 1)

    def total(self, image: NDArray[np.generic], rows: Span) -> NDArray[np.float32]:
        """Sum `needed(rows)`, (y, x) of the file, to (rows, x) of the network."""
        image = image.astype(np.float32)
        y = self._y[rows.start : rows.stop, self.needed(rows).slice]
        return np.asarray((y @ image) @ self._x)


class _Blocks:
    """Sums of whole blocks, where a network's pixel is a whole number of the file's."""

    def __init__(self, regrid: Regrid) -> None:
        self._factor, self._shape = int(regrid.factor), regrid.shape

    def needed(self, rows: Span) -> Span:
        """See `_Weights`."""
        return Span(rows.start * self._factor, min(rows.stop * self._factor, self._shape[0]))

    def total(self, image: NDArray[np.generic], _rows: Span) -> NDArray[np.float32]:
        """See `_Weights`."""
        return _every(_every(image, self._factor).T, self._factor).T


def _every(image: NDArray[Any], step: int) -> NDArray[np.float32]:
    """Sum each `step` rows; the last ones may be fewer."""
    total = image[::step].astype(np.float32)
    for first in range(1, step):
        part = image[first::step]
        total[: len(part)] += part
    return total
