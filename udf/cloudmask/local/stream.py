"""Rows of classes on their way from the networks to a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import NO_DATA, by_class, dilate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.local.grid import Regrid
    from cloudmask.scene import Rows
    from cloudmask.windows import Span


@dataclass(frozen=True, slots=True)
class ClassRows:
    """Rows of an answer."""

    y: Span
    classes: NDArray[np.uint8]
    """(rows, x) class codes."""
    spread: NDArray[np.float32] | None = None
    """(4, rows, x) probabilities of the classes, NaN for no data; None if not wanted."""


def answered(stream: Iterable[Rows], codes: Sequence[int], *, spread: bool) -> Iterator[ClassRows]:
    """Choose classes, and spread probabilities over them if wanted."""
    for rows in stream:
        chances = by_class(rows.probabilities, codes, rows.valid) if spread else None
        yield ClassRows(rows.y, rows.classes(codes), chances)


def regridded(
    stream: Iterable[ClassRows],
    regrid: Regrid,
    valid: Callable[[Span], NDArray[np.bool_]],
) -> Iterator[ClassRows]:
    """Bring rows from the network's grid to the file's.

    What is no data is read off the file itself, so that not a pixel is gained or lost.

    Args:
        stream: Rows on the network's grid, from the top.
        regrid: The two grids.
        valid: Tells which pixels of some rows of the file exist, (rows, x).
    """
    for rows in stream:
        y = regrid.file_rows(rows.y)
        if not y.size:
            continue
        absent = ~valid(y)
        classes = regrid.back(rows.classes, rows.y)
        classes[absent] = NO_DATA
        spread = None if rows.spread is None else regrid.back(rows.spread, rows.y)
        if spread is not None:
            spread[:, absent] = np.nan
        yield ClassRows(y, classes, spread)


def grown(
    stream: Iterable[ClassRows], masked: Sequence[int], radius: float
) -> Iterator[ClassRows]:
    """Let masked classes grow; rows are held back until their neighbours below are known.

    Args:
        stream: Rows from the top.
        masked: Class codes that grow.
        radius: Pixels.
    """
    depth = int(radius)
    if not depth:
        yield from stream
        return
    held = _Held(depth)
    for rows in stream:
        held.append(rows)
        yield from held.give(rows.y.stop - depth, masked, radius)
    yield from held.give(held.stop, masked, radius)


class _Held:
    """Rows not yet given, and `depth` rows above them."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._rows: list[ClassRows] = []
        self._given = 0

    @property
    def stop(self) -> int:
        return self._rows[-1].y.stop if self._rows else self._given

    def append(self, rows: ClassRows) -> None:
        self._rows.append(rows)

    def give(self, stop: int, masked: Sequence[int], radius: float) -> Iterator[ClassRows]:
        """Give the rows before `stop` that are complete with their neighbours."""
        ready = [
            rows for rows in self._rows if self._given <= rows.y.start and rows.y.stop <= stop
        ]
        if not ready:
            return
        start = self._rows[0].y.start
        done = dilate(np.concatenate([rows.classes for rows in self._rows]), masked, radius)
        for rows in ready:
            yield ClassRows(rows.y, done[rows.y.moved(-start).slice], rows.spread)
        self._given = ready[-1].y.stop
        self._rows = [rows for rows in self._rows if rows.y.stop > self._given - self._depth]
