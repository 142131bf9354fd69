"""Where numbers come from, in rows, and the band of them that tiles in the making need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.bands import Preset


class RowSource(Protocol):
    """Something that rows can be read from: an array, a file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""

    def read(self, rows: Span) -> NDArray[np.generic]:
        """Read (band, rows, x), numbers as stored, bands in the network's order."""


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Rows of an array (band, y, x)."""

    array: NDArray[np.generic]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        bands, height, width = self.array.shape
        return bands, height, width

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `RowSource`."""
        return self.array[:, rows.slice]


class SourceBand:
    """The rows of a source that tiles in the making need, as stored, and their validity."""

    def __init__(self, source: RowSource, preset: Preset) -> None:
        self._source, self._preset = source, preset
        self._rows = Span(0, 0)
        self._all_columns = Span(0, source.shape[2])
        self._raw: NDArray[np.generic] | None = None
        self._own: NDArray[np.generic] | None = None
        self._valid = np.zeros((0, source.shape[2]), bool)

    def hold(self, needed: Span) -> None:
        """Forget the rows before what the next tiles can touch, read those that lack."""
        kept = self._rows.common(needed)
        if not kept.size:
            kept = Span(needed.start, needed.start)
        fresh = Span(kept.stop, max(kept.stop, needed.stop))
        raw = self._source.read(fresh)
        valid = self._preset.valid(raw)
        old = kept.moved(-self._rows.start)
        self._valid = np.concatenate([self._valid[old.slice], valid]) if kept.size else valid
        self._raw = raw if self._raw is None or not kept.size else self._joined(old, raw)
        self._rows = Span(kept.start, fresh.stop)

    def _joined(self, kept: Span, raw: NDArray[np.generic]) -> NDArray[np.generic]:
        """Put rows (band, y, x) below some that are held; in the same memory if that is ours."""
        assert self._raw is not None, "there are rows to keep"
        held, size = self._raw, kept.size + raw.shape[1]
        if self._own is not held or held.shape[1] != size or held.dtype != raw.dtype:
            self._own = np.concatenate([held[:, kept.slice], raw], axis=1)
            return self._own
        for band, below in zip(held, raw, strict=True):
            band[: kept.size] = band[kept.slice]
            band[kept.size :] = below
        return held

    def valid(self, y: Span, x: Span) -> NDArray[np.bool_]:
        """Tell which pixels of y, x exist, (rows, columns); none does outside the source."""
        return self._window(self._valid[None], y, x)[0]

    def tile(self, y: Span, x: Span) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Give reflectance (band, y, x) and validity (y, x); outside the source invalid."""
        assert self._raw is not None, "hold() comes before tile()"
        values = self._preset.reflectance(self._window(self._raw, y, x))
        return values, self.valid(y, x)

    def _window(self, array: NDArray[np.generic], y: Span, x: Span) -> NDArray[np.generic]:
        y_in, x_in = y.common(self._rows), x.common(self._all_columns)
        inner = array[:, y_in.within(self._rows).slice, x_in.slice]
        if inner.shape[1:] == (y.size, x.size):
            return inner
        window = np.zeros((len(array), y.size, x.size), array.dtype)
        window[:, y_in.within(y).slice, x_in.within(x).slice] = inner
        return window
