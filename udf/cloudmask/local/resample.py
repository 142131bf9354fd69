"""Pixels of one size made of pixels of another, of those that exist.

When pixels grow, their mean or the nearest one is taken, as the network's authors did; when they
shrink, what lies between is linear. GDAL would resample too, but knows one no-data value a file,
and ours may have several (0 and the file's own, say).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.local.grid import Regrid
    from cloudmask.source import RowSource


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
        nearest = regrid.factor > 1 and regrid.resampling == "nearest"
        self._way: _Mean | _Nearest = (_Nearest if nearest else _Mean)(regrid, preset)

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
        needed = self._way.needed(rows)
        numbers = self._source.read(needed)
        valid = self._preset.valid(numbers)
        self._seen.add(needed, valid)
        self._way.bring(numbers, valid, rows, result)


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


class _Mean:
    """Means of the pixels that exist (linear between them, where pixels shrink)."""

    def __init__(self, regrid: Regrid, preset: Preset) -> None:
        self._preset = preset
        whole = regrid.factor > 1 and regrid.factor == int(regrid.factor)
        self._sums: _Blocks | _Weights = _Blocks(regrid) if whole else _Weights(regrid)

    def needed(self, rows: Span) -> Span:
        """Give the file rows that go into rows of the network's grid."""
        return self._sums.needed(rows)

    def bring(
        self,
        numbers: NDArray[np.generic],
        valid: NDArray[np.bool_],
        rows: Span,
        result: NDArray[np.float32],
    ) -> None:
        """Bring `needed(rows)` to `rows`.

        Args:
            numbers: (band, y, x) of the file, as stored.
            valid: (y, x), True where the pixel exists.
            rows: Of the network's grid.
            result: (band, rows, x) reflectance to fill; NaN where nothing exists.
        """
        complete = bool(valid.all())
        weight = self._sums.total(valid, rows)
        known = weight > LEAST_WEIGHT
        weight[~known] = 1
        for band, mean in zip(numbers, result, strict=True):
            # The mean of the numbers, made reflectance, is the mean of reflectance; and exact.
            there = band if complete else np.where(valid, band, band.dtype.type(0))
            mean[:] = self._preset.reflectance(self._sums.total(there, rows) / weight)
        if not complete:
            result[:, ~known] = np.nan


class _Nearest:
    """The pixel that holds the centre of the larger one, whether it exists or not."""

    def __init__(self, regrid: Regrid, preset: Preset) -> None:
        self._regrid, self._preset = regrid, preset
        self._y, self._x = regrid.centres(0), regrid.centres(1)

    def needed(self, rows: Span) -> Span:
        """See `_Mean`; all rows that are covered, so that it is known which pixels exist."""
        file = self._regrid.file_rows(rows)
        chosen = self._y[rows.slice]
        return Span(min(file.start, int(chosen[0])), max(file.stop, int(chosen[-1]) + 1))

    def bring(
        self,
        numbers: NDArray[np.generic],
        valid: NDArray[np.bool_],
        rows: Span,
        result: NDArray[np.float32],
    ) -> None:
        """See `_Mean`."""
        chosen = np.ix_(self._y[rows.slice] - self.needed(rows).start, self._x)
        for band, picked in zip(numbers, result, strict=True):
            picked[:] = self._preset.reflectance(band[chosen])
        result[:, ~valid[chosen]] = np.nan


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
