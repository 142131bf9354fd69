"""Geometry of chunks as `apply_neighborhood` cuts them: integers only, no pixel is touched.

  outer window: size + 2 x overlap, always whole
┌───────────────────────────────┐
│  overlap                      │     A side of the outer window that leaves the cube is
│    ┌─────────────────────┐    │     filled with no data, and so is the part of the last
│    │  core: size         │    │     core that has no pixel. Only what the core shares
│    └─────────────────────┘    │     with the cube returns to it.
└───────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SMALLEST = 4
"""Pixels that a chunk must have along x and y."""


class ChunkError(ValueError):
    """The size or the overlap of `apply_neighborhood` cannot be used."""


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of one chunk, in pixels."""

    start: int
    """First pixel of the core in the cube."""
    size: int
    """Length of the core, also where it leaves the cube."""
    overlap: int
    """Pixels on each side of the core."""
    length: int
    """Length of the cube."""

    @property
    def outer(self) -> int:
        """Length of what the UDF gets."""
        return self.size + 2 * self.overlap

    @property
    def origin(self) -> int:
        """First pixel of what the UDF gets, in the cube; may be negative."""
        return self.start - self.overlap

    @property
    def source(self) -> slice:
        """Pixels of the cube that the UDF gets."""
        return slice(max(self.origin, 0), min(self.origin + self.outer, self.length))

    @property
    def filled(self) -> slice:
        """Where those pixels lie in what the UDF gets; the rest is no data."""
        return slice(self.source.start - self.origin, self.source.stop - self.origin)

    @property
    def target(self) -> slice:
        """Pixels of the cube that this chunk answers for."""
        return slice(self.start, min(self.start + self.size, self.length))

    @property
    def kept(self) -> slice:
        """Where those pixels lie in what the UDF returns."""
        return slice(self.overlap, self.overlap + self.target.stop - self.target.start)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a cube."""

    y: Span
    x: Span

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of what the UDF gets."""
        return self.y.outer, self.x.outer


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a cube is cut, (y, x) in pixels."""

    size: tuple[int, int]
    overlap: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if min(self.size) < SMALLEST:
            raise ChunkError(f"a chunk of {self.size} px; at least {SMALLEST} px are needed")
        if min(self.overlap) < 0:
            raise ChunkError(f"an overlap of {self.overlap} px is negative")
        # The back-end itself would go on and shift its result (geopyspark-driver, issue 1191).
        if any(lap > size for lap, size in zip(self.overlap, self.size, strict=True)):
            raise ChunkError(f"the overlap {self.overlap} px is larger than the size {self.size}")

    @property
    def applied(self) -> tuple[int, int]:
        """The overlap that chunks really get: none unless both axes ask for some."""
        return self.overlap if min(self.overlap) > 0 else (0, 0)

    def cover(self, shape: tuple[int, int]) -> Iterator[Chunk]:
        """Yield the chunks of a cube of `shape` (y, x), row by row."""
        for y in range(0, shape[0], self.size[0]):
            for x in range(0, shape[1], self.size[1]):
                yield Chunk(
                    Span(y, self.size[0], self.applied[0], shape[0]),
                    Span(x, self.size[1], self.applied[1], shape[1]),
                )


def parse(size: Sequence[Mapping[str, Any]], overlap: Sequence[Mapping[str, Any]]) -> Chunking:
    """Read the arguments `size` and `overlap` of `apply_neighborhood`.

    Raises:
        ChunkError: x or y is missing, is not in pixels, or has a length that cannot be used.
    """
    return Chunking(
        size=(_pixels(size, "y"), _pixels(size, "x")),
        overlap=(_pixels(overlap, "y", default=0), _pixels(overlap, "x", default=0)),
    )


def one_date_at_a_time(
    size: Sequence[Mapping[str, Any]], overlap: Sequence[Mapping[str, Any]]
) -> bool:
    """Tell whether the UDF is called date by date ("P1D") and not with all dates at once.

    Raises:
        ChunkError: any other length along t, or an overlap along t.
    """
    value = _entry(size, "t").get("value")
    if value not in {None, "P1D"} or _entry(overlap, "t").get("value"):
        raise ChunkError(f"size {value!r} along t: chunks hold all dates (null) or one ('P1D')")
    return value == "P1D"


def _pixels(
    entries: Sequence[Mapping[str, Any]], dimension: str, default: int | None = None
) -> int:
    entry = _entry(entries, dimension)
    if not entry and default is not None:
        return default
    if entry.get("unit", "px") != "px" or "value" not in entry:
        raise ChunkError(f"{dimension} needs a length in pixels (unit 'px'), not {dict(entry)}")
    return int(entry["value"])


def _entry(entries: Sequence[Mapping[str, Any]], dimension: str) -> Mapping[str, Any]:
    return next((entry for entry in entries if entry.get("dimension") == dimension), {})
