"""Rows of classes on their way from the networks to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    bins: NDArray[np.uint8] | None = None
    """(rows, x) number of the bin (`Confidence`) that the class's probability lies in, anything
    for no data; None if not wanted."""


def answered(stream: Iterable[Rows], codes: Sequence[int], *, spread: bool) -> Iterator[ClassRows]:
    """Choose classes, tell how sure they are, and spread probabilities over them if wanted."""
    for rows in stream:
        chances = by_class(rows.probabilities, codes, rows.valid) if spread else None
        yield ClassRows(rows.y, rows.classes(codes), chances, _bins(rows.probabilities))


BINS = 20
"""Equal parts of 0..1."""


def _bins(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Tell in which bin the greatest probability (channel, rows, x) of each pixel lies."""
    best = probabilities.max(axis=0)
    best *= BINS
    np.fmax(best, 0, out=best)  # a network that answers NaN is not sure at all
    np.minimum(best, BINS - 1, out=best)
    return best.astype(np.uint8)


class Confidence:
    """How sure the networks were: valid pixels counted by the probability of their class."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)

    @property
    def counts(self) -> tuple[int, ...]:
        """Pixels in each of `BINS` equal bins of 0..1; the last one holds 1."""
        return tuple(self._counts.tolist())

    def counted(self, stream: Iterable[ClassRows]) -> Iterator[ClassRows]:
        """Count rows as they pass."""
        for rows in stream:
            assert rows.bins is not None, "bins come with the classes"
            # Line by line: to count them numpy makes eight bytes of each.
            for line, classes in zip(rows.bins, rows.classes, strict=True):
                self._counts += np.bincount(line[classes != NO_DATA], minlength=BINS)
            yield replace(rows, bins=None)


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
        bins = None if rows.bins is None else regrid.back(rows.bins, rows.y)
        yield ClassRows(y, classes, spread, bins)


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
