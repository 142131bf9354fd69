r"""Cutting a cube into chunks that overlap, and putting the answers together again.

Along one axis, size S, overlap V, the cube from 0 to L::

        |--V--|------S------|--V--|              chunk 0 sees V pixels before the cube: NaN
                      |--V--|------S------|--V--|        chunk 1
        NaN   [0      cube               L)  NaN

Each chunk is exactly S + 2 V long, also the last: where there is nothing, there is NaN. Of each
answer the middle S pixels are kept. All arrays here have the axes (time, band, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask_openeo.process_implementations.neighborhood import Neighborhood, Reach

    Block = NDArray[np.float32]


class Answer(NamedTuple):
    """What a chunk gives."""

    values: Block
    """(time, band, y, x), the overlap included; bands may be others than the chunk's."""
    bands: Sequence[Any] | None
    """Labels of the bands, if they have any."""


class ChunkFunction(Protocol):
    """What is done to a chunk."""

    def __call__(self, chunk: Block, place: Place, /) -> Answer:
        """Answer (time, band, y, x) float32."""


@dataclass(frozen=True, slots=True)
class Place:
    """Number of a chunk along each axis, from 0."""

    time: int
    """Always 0 if a chunk has all dates."""
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a cube of one shape is cut."""

    shape: tuple[int, ...]
    """(time, band, y, x) of the cube."""
    y: Reach
    x: Reach
    each_date: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], neighborhood: Neighborhood) -> Cutting:
        """Cut a cube."""
        y, x = neighborhood.y.on(shape[2]), neighborhood.x.on(shape[3])
        return cls(shape, y, x, neighborhood.each_date)

    @property
    def reaches(self) -> tuple[Reach, Reach]:
        """Along y and along x."""
        return self.y, self.x

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels along y and x that a chunk answers for."""
        return tuple(reach.size or 0 for reach in self.reaches)

    @property
    def dates(self) -> int:
        """Dates in a chunk."""
        return 1 if self.each_date else self.shape[0]

    @property
    def counts(self) -> tuple[int, int]:
        """Chunks along y and x."""
        rows, columns = (
            -(-length // size) for length, size in zip(self.shape[2:], self.sizes, strict=True)
        )
        return rows, columns

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of every chunk: (time, band, y, x), the overlap included."""
        seen = (
            size + 2 * reach.overlap for size, reach in zip(self.sizes, self.reaches, strict=True)
        )
        return (self.dates, self.shape[1], *seen)

    def places(self) -> Iterator[Place]:
        """List all chunks."""
        rows, columns = self.counts
        steps = range(self.shape[0] if self.each_date else 1)
        return (Place(*place) for place in product(steps, range(rows), range(columns)))

    def times(self, place: Place) -> slice:
        """Dates of a chunk, as an index."""
        return slice(place.time, place.time + 1) if self.each_date else slice(None)

    def spans(self, place: Place) -> tuple[range, range]:
        """Pixels of a chunk along y and x, the overlap included; some may lie outside."""
        y, x = (
            range(
                number * size - reach.overlap,
                (number + 1) * size + reach.overlap,
            )
            for number, size, reach in zip(
                (place.y, place.x), self.sizes, self.reaches, strict=True
            )
        )
        return y, x

    def middle(self, answer: Block) -> Block:
        """Drop the overlap."""
        (rows, columns), (y, x) = self.sizes, self.reaches
        return answer[..., y.overlap : y.overlap + rows, x.overlap : x.overlap + columns]


def run_now(numbers: NDArray[Any], cutting: Cutting, function: ChunkFunction) -> Answer:
    """Answer a numpy array, chunk after chunk.

    Raises:
        CubeError: Chunks have answers with different numbers of bands.
    """
    whole: Answer | None = None
    for place in cutting.places():
        part = function(_cut(numbers, cutting, place), place)
        if whole is None:
            shape = (cutting.shape[0], part.values.shape[1], *cutting.shape[2:])
            whole = Answer(np.empty(shape, np.float32), part.bands)
        _paste(cutting.middle(part.values), whole.values, cutting, place)
    assert whole is not None, "a cube without pixels has been refused before"
    return whole


def _paste(part: Block, whole: Block, cutting: Cutting, place: Place) -> None:
    """Put a chunk's answer where it belongs, without what lies beyond the cube."""
    if part.shape[1] != whole.shape[1]:
        raise CubeError(
            f"the UDF answers {part.shape[1]} bands for {place}, {whole.shape[1]} for the first "
            "chunk; it must answer the same bands for every chunk"
        )
    rows, columns = (
        slice(number * size, (number + 1) * size)
        for number, size in zip((place.y, place.x), cutting.sizes, strict=True)
    )
    there = whole[cutting.times(place), :, rows, columns]
    there[...] = part[..., : there.shape[2], : there.shape[3]]


def _cut(numbers: NDArray[Any], cutting: Cutting, place: Place) -> Block:
    """Copy one chunk, NaN where the cube has ended."""
    chunk = np.full(cutting.chunk_shape, np.nan, np.float32)
    inside = [
        range(max(0, span.start), min(length, span.stop))
        for span, length in zip(cutting.spans(place), cutting.shape[2:], strict=True)
    ]
    (rows, columns), (top, left) = inside, (span.start for span in cutting.spans(place))
    chunk[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = (
        numbers[cutting.times(place), :, rows.start : rows.stop, columns.start : columns.stop]
    )
    return chunk


def run_lazily(numbers: Any, cutting: Cutting, function: ChunkFunction, bands: int) -> Any:
    """Answer a dask array: one task a chunk, whatever the chunks of the array are.

    Args:
        numbers: (time, band, y, x).
        cutting: How to cut it.
        function: What to do to each chunk.
        bands: How many bands the function answers.

    Returns:
        A dask array of float32 with chunks of the neighbourhood's size.
    """
    import dask.array as da

    rows, columns = cutting.sizes
    beyond = [
        (0, -length % size) for length, size in zip(cutting.shape[2:], cutting.sizes, strict=True)
    ]
    full = da.pad(
        numbers.astype(np.float32), [(0, 0), (0, 0), *beyond], constant_values=np.float32(np.nan)
    ).rechunk((cutting.dates, cutting.shape[1], rows, columns))
    seen = da.overlap.overlap(  # type: ignore[no-untyped-call]
        full,
        depth={2: cutting.y.overlap, 3: cutting.x.overlap},
        boundary={2: np.nan, 3: np.nan},
        allow_rechunk=False,
    )
    answer = seen.map_blocks(
        partial(_answer_block, cutting, function),
        dtype=np.float32,
        chunks=(full.chunks[0], (bands,), *full.chunks[2:]),
        meta=np.empty((0,) * 4, np.float32),
    )
    return answer[:, :, : cutting.shape[2], : cutting.shape[3]]


def _answer_block(
    cutting: Cutting, function: ChunkFunction, block: Block, block_id: Any = None
) -> Block:
    time, _, y, x = block_id
    return np.ascontiguousarray(cutting.middle(function(block, Place(time, y, x)).values))
