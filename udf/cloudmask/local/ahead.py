"""Reading ahead: a file's next rows are fetched and decompressed while the networks work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import rasterio
import rasterio.env

from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from cloudmask.source import RowSource


class ReadAhead:
    """A source (`cloudmask.source.RowSource`) read from the top, a few rows ahead.

    One thread reads; the source is never asked by two at once.
    """

    def __init__(self, source: RowSource, rows: int) -> None:
        """Plan.

        Args:
            source: Where the numbers come from.
            rows: How many to read ahead; the memory for them comes on top.
        """
        self.shape = source.shape
        self._source, self._count = source, rows
        # GDAL's options are a thread's own.
        options = rasterio.env.getenv() if rasterio.env.hasenv() else {}
        self._reader = ThreadPoolExecutor(1, "reading ahead", _enter, (options,))
        self._span = Span(0, 0)
        self._rows: Future[NDArray[np.generic]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def begin(self) -> None:
        """Start to read the first rows."""
        self._go_on(0)

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `cloudmask.source.RowSource`."""
        there = self._span.common(rows)
        if self._rows is None or not there.size:
            numbers = self._asked(rows)
        else:
            ready = self._rows.result()[:, there.within(self._span).slice]
            numbers = self._around(ready, there, rows)
        self._go_on(rows.stop)
        return numbers

    def _around(self, ready: NDArray[np.generic], there: Span, rows: Span) -> NDArray[np.generic]:
        """Add the rows before and after those that were read ahead."""
        before, after = Span(rows.start, there.start), Span(there.stop, rows.stop)
        parts: list[Any] = [ready]
        if before.size:
            parts.insert(0, self._asked(before))
        if after.size:
            parts.append(self._asked(after))
        return np.concatenate(parts, axis=1) if len(parts) > 1 else ready

    def _asked(self, rows: Span) -> NDArray[np.generic]:
        return self._reader.submit(self._source.read, rows).result()

    def _go_on(self, start: int) -> None:
        """Begin to read what follows, unless it is there."""
        if self._rows is not None and self._span.start <= start < self._span.stop:
            return
        self._span = Span(start, min(start + self._count, self.shape[1]))
        self._rows = None
        if self._span.size:
            self._rows = self._reader.submit(self._source.read, self._span)


def _enter(options: Mapping[str, Any]) -> None:
    """Use these options for as long as the thread lives."""
    rasterio.Env(**options).__enter__()
