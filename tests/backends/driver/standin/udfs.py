"""Run a UDF over a cube, chunk by chunk, as VITO's back-end does it."""

# mypy: disallow-subclassing-any=False
# (openeo_driver is not installed where types are checked)

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from openeo_driver.errors import OpenEOApiException

from standin.protocol import MetadataCall, UdfCall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from standin.chunks import Chunk, Chunking, Span
    from standin.grid import Grid
    from standin.joblog import JobLog
    from standin.protocol import Answer, Tiles
    from standin.workers import Pool


class UdfError(OpenEOApiException):
    """A UDF failed, or returned what the back-end cannot use."""

    def __init__(self, message: str, traceback: str | None = None) -> None:
        super().__init__(message, code="UdfException", status_code=400)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Udf:
    """A UDF as the graph gives it, parameters filled in."""

    code: str
    context: dict[str, Any]

    def speaks_of_metadata(self, *, all_dates: bool) -> bool:
        """Whether the back-end looks for `apply_metadata`; date by date, any mention will do."""
        if all_dates:
            return re.search(r"^def\s+apply_metadata\s*\(", self.code, re.MULTILINE) is not None
        return "apply_metadata" in self.code


@dataclass(frozen=True, slots=True)
class UdfRunner:
    """Where UDFs run and what hears of it."""

    pool: Pool
    log: JobLog

    def relabel(self, metadata: Any, udf: Udf, *, all_dates: bool) -> Any:
        """Let the UDF name the bands of its result; without `apply_metadata` nothing changes."""
        if not udf.speaks_of_metadata(all_dates=all_dates):
            return metadata
        call = MetadataCall(udf.code, udf.context, metadata)
        return self._checked(self.pool.ask(call))

    def run(
        self, cube: Pixels, udf: Udf, chunking: Chunking, *, all_dates: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Run the UDF on every chunk.

        Returns:
            (t, bands, y, x) and the dates, or (bands, y, x) and None.

        Raises:
            UdfError: a line for the user; the rest is in the job's log.
        """
        compile(udf.code, "UDF.py", "exec")
        slabs = [cube] if all_dates or cube.dates is None else list(cube.by_date())
        run = uuid.uuid4().hex
        done = [self._one(slab, udf, chunking, run) for slab in slabs]
        if all_dates or cube.dates is None:
            return done[0].result()
        return np.stack([canvas.result()[0] for canvas in done]), cube.dates

    def _one(self, cube: Pixels, udf: Udf, chunking: Chunking, run: str) -> Canvas:
        chunks = list(chunking.cover(cube.grid.shape))
        calls = (self._call(cube, chunk, udf, run) for chunk in chunks)
        canvas = Canvas(cube.grid.shape)
        for chunk, answer in zip(chunks, self.pool.ask_all(calls), strict=True):
            canvas.paste(chunk, self._checked(answer))
        return canvas

    def _call(self, cube: Pixels, chunk: Chunk, udf: Udf, run: str) -> UdfCall:
        return UdfCall(
            run=run,
            code=udf.code,
            context=udf.context,
            cells=cube.cut(chunk),
            coords=cube.coords(chunk),
            attrs=cube.attrs,
            dependencies_zip=self.pool.settings.dependencies_zip,
        )

    def _checked(self, answer: Answer) -> Any:
        for entry in answer.logs:
            self.log.inspected(entry)
        if answer.context_changed:
            self.log.add("error", "the UDF changed its context, which all chunks share")
        if answer.error is not None:
            raise UdfError(f"UDF exception: {answer.error}", answer.traceback)
        return answer.value


@dataclass(frozen=True, slots=True)
class Pixels:
    """A cube, or one date of it, as chunks are cut from it."""

    cells: NDArray[np.float32]
    """(t, bands, y, x) or (bands, y, x), NaN = no data."""
    bands: list[str]
    grid: Grid
    dates: NDArray[np.datetime64] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)

    def by_date(self) -> Iterator[Pixels]:
        """Yield single dates."""
        for cells, date in zip(self.cells, pd.DatetimeIndex(self.dates), strict=True):
            yield Pixels(cells, self.bands, self.grid, None, {"t": date.to_pydatetime()})

    def cut(self, chunk: Chunk) -> NDArray[np.float32]:
        """Fill a whole chunk with what the cube has of it, and with NaN."""
        values = np.full((*self.cells.shape[:-2], *chunk.shape), np.nan, np.float32)
        values[..., chunk.y.filled, chunk.x.filled] = self.cells[
            ..., chunk.y.source, chunk.x.source
        ]
        return values

    def coords(self, chunk: Chunk) -> dict[str, Any]:
        """Label a chunk: float32 pixel centres, y falling."""
        y = self.grid.north - _centres(chunk.y, self.grid.step)
        x = self.grid.west + _centres(chunk.x, self.grid.step)
        coords = {"bands": self.bands, "y": y.astype(np.float32), "x": x.astype(np.float32)}
        return coords if self.dates is None else coords | {"t": pd.DatetimeIndex(self.dates)}


def _centres(span: Span, step: float) -> NDArray[np.float64]:
    return step * (span.origin + np.arange(span.outer, dtype=np.float64) + 0.5)


class Canvas:
    """Where chunks come together again."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._cells: NDArray[np.float32] | None = None
        self._dates: Any = None

    def paste(self, chunk: Chunk, tiles: Tiles) -> None:
        """Cut the overlap off and keep what lies in the cube."""
        if tiles.cells.shape[-2:] != chunk.shape or tiles.cells.ndim not in {3, 4}:
            raise UdfError(f"the UDF made {tiles.cells.shape} of a chunk of {chunk.shape} (y, x)")
        leading = tiles.cells.shape[:-2]
        if self._cells is None:
            self._cells = np.full((*leading, *self._shape), np.nan, np.float32)
            self._dates = tiles.dates
        if self._cells.shape[:-2] != leading:
            raise UdfError(f"{leading} (t, bands) of a chunk after {self._cells.shape[:-2]}")
        self._cells[..., chunk.y.target, chunk.x.target] = tiles.cells[
            ..., chunk.y.kept, chunk.x.kept
        ]

    def result(self) -> tuple[NDArray[np.float32], Any]:
        """Return all pixels, and their dates."""
        assert self._cells is not None
        return self._cells, self._dates
