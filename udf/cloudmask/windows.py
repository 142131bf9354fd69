r"""Tile geometry: integers only, planned from the shape alone.

A plan is made for each axis by itself; tiles are the product of both. Two plans::

    crop    |<-V/2->|<------- S ------->|<-V/2->|      the tile, P = S + V
                    [       core        )              only the core is kept
            the core of tile k is [k*S, (k+1)*S): positions never move, so the plan
            of a chunk that starts at a multiple of S is part of the plan of the whole

    blend   [ tile 0      )                             tiles start at k*S, the last is
                     [ tile 1      )                    pulled inside, neighbours share V
                            [ tile 2      )             pixels and are mixed there

All spans are half open and in pixels of the array that is worked on; a tile may reach
outside it (what it lacks there is `cloudmask.fill`'s task).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from cloudmask.checks import whole
from cloudmask.errors import OptionError

LARGEST_TILE = 16384
"""Pixels; beyond this a single tile of 13 float32 bands takes more than 13 GB."""

Stitch = Literal["crop", "blend"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Pixels start, start + 1, ..., stop - 1 along one axis; may lie outside the array."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of pixels, never negative."""
        return max(0, self.stop - self.start)

    @property
    def slice(self) -> slice:
        """The same pixels as an index; only for spans inside an array."""
        assert 0 <= self.start <= self.stop, f"{self} is no index"
        return slice(self.start, self.stop)

    def moved(self, by: int) -> Span:
        """Shift by a number of pixels."""
        return Span(self.start + by, self.stop + by)

    def grown(self, by: int) -> Span:
        """Add pixels at both ends."""
        return Span(self.start - by, self.stop + by)

    def common(self, other: Span) -> Span:
        """Intersect; an empty result has size 0 and lies inside neither."""
        start = max(self.start, other.start)
        return Span(start, max(start, min(self.stop, other.stop)))

    def within(self, outer: Span) -> Span:
        """Express in the frame of `outer`: its first pixel becomes 0."""
        return self.moved(-outer.start)


@dataclass(frozen=True, slots=True)
class Tiling:
    """Edge and overlap of square tiles, in pixels."""

    tile: int
    """Edge P of a tile: what the network sees."""
    overlap: int
    """Pixels V shared by neighbours; even, 0 <= V < P."""
    multiple: int = 1
    """The tile must be a multiple of this (a network's total downsampling)."""

    def __post_init__(self) -> None:
        """Refuse what cannot cover an image."""
        for name, least in (("tile", 1), ("overlap", 0), ("multiple", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least=least))
        if self.tile > LARGEST_TILE:
            raise OptionError(f"tile={self.tile}: a tile has 1 to {LARGEST_TILE} pixels an edge")
        if self.overlap >= self.tile:
            raise OptionError(
                f"overlap={self.overlap}, tile={self.tile}: the overlap must be at least 0 and "
                f"less than the tile; a quarter of the tile ({self.tile // 8 * 2}) is usual"
            )
        if self.overlap % 2:
            raise OptionError(
                f"overlap={self.overlap}: must be even, half of it lies on each side of a tile; "
                f"use {self.overlap + 1 if self.overlap + 1 < self.tile else self.overlap - 1}"
            )
        if self.tile % self.multiple:
            raise OptionError(
                f"tile={self.tile}: this network needs a multiple of {self.multiple}; use "
                f"{max(1, round(self.tile / self.multiple)) * self.multiple}"
            )

    @property
    def stride(self) -> int:
        """Distance S = P - V between neighbouring tiles."""
        return self.tile - self.overlap

    @property
    def margin(self) -> int:
        """Half the overlap: what the crop plan discards on each side of a tile."""
        return self.overlap // 2


@dataclass(frozen=True, slots=True)
class Placement:
    """One tile along one axis."""

    window: Span
    """What the network sees; P pixels, may reach outside the array."""
    core: Span
    """The output pixels that are this tile's own; cores of a plan are disjoint."""

    def moved(self, by: int) -> Placement:
        """Shift by a number of pixels."""
        return Placement(self.window.moved(by), self.core.moved(by))


@dataclass(frozen=True, slots=True)
class AxisPlan:
    """All tiles along one axis, in order."""

    placements: tuple[Placement, ...]
    out: Span
    """The pixels to answer for; their cores cover them exactly."""
    extent: Span
    """The pixels that exist in the scene; what lies beyond is no data."""
    reach: int
    """How far a tile may slide off no data (see `slid`)."""
    stitch: Stitch

    @property
    def source(self) -> Span:
        """The existing pixels that the tiles can touch."""
        if not self.placements:
            return Span(self.out.start, self.out.start)
        first, last = self.placements[0].window, self.placements[-1].window
        return Span(first.start, last.stop).grown(self.reach).common(self.extent)

    def needs(self, number: int) -> Span:
        """Existing pixels that tile `number` can touch."""
        return self.placements[number].window.grown(self.reach).common(self.extent)

    def settled(self, number: int) -> int:
        """Output pixels before this one are final once tile `number` is done."""
        if number + 1 == len(self.placements):
            return self.out.stop
        following = self.placements[number + 1]
        start = (
            following.core.start if self.stitch == "crop" else following.window.start - self.reach
        )
        return min(max(start, self.out.start), self.out.stop)

    @property
    def most_rows(self) -> int:
        """Output pixels that are in the making at once, at most: touched and not yet final."""
        finals = [self.out.start, *map(self.settled, range(len(self.placements)))]
        touched = (self.needs(number).common(self.out) for number in range(len(self.placements)))
        return max(
            (each.stop - done for each, done in zip(touched, finals, strict=False)), default=0
        )

    def moved(self, by: int) -> AxisPlan:
        """Express in a frame whose pixel 0 is this frame's pixel -by."""
        return replace(
            self,
            placements=tuple(placement.moved(by) for placement in self.placements),
            out=self.out.moved(by),
            extent=self.extent.moved(by),
        )

    def part(self, out: Span) -> AxisPlan:
        """Keep the tiles that can change the pixels of `out`: same tiles, same answer."""
        wanted = tuple(
            replace(placement, core=placement.core.common(out))
            for placement in self.placements
            if self._touched(placement).common(out).size
        )
        return replace(self, placements=wanted, out=out)

    def _touched(self, placement: Placement) -> Span:
        if self.stitch == "crop":
            return placement.core
        return placement.window.grown(self.reach)


def plan_axis(length: int, tiling: Tiling, stitch: Stitch) -> AxisPlan:
    """Plan the tiles of an axis.

    Args:
        length: Pixels of the array along the axis.
        tiling: Tile edge and overlap.
        stitch: Which plan (see the head of this module).

    Raises:
        OptionError: There is no pixel to answer for, or `stitch` is unknown.
    """
    if length < 1:
        raise OptionError(f"length={length}: there is no pixel to answer for")
    out = Span(0, length)
    if stitch == "crop":
        placements, reach = _crop(out, tiling), 0
    elif stitch == "blend":
        placements, reach = _blend(out, tiling), tiling.overlap
    else:
        raise OptionError(f"stitch={stitch!r}: choose 'crop' or 'blend'")
    return AxisPlan(placements, out, out, reach, stitch)


def _crop(out: Span, tiling: Tiling) -> tuple[Placement, ...]:
    starts = range(out.start, out.stop, tiling.stride)
    return tuple(
        Placement(
            Span(start, start + tiling.tile).moved(-tiling.margin),
            Span(start, start + tiling.stride).common(out),
        )
        for start in starts
    )


def _blend(out: Span, tiling: Tiling) -> tuple[Placement, ...]:
    last = max(out.start, out.stop - tiling.tile)
    starts = [*range(out.start, last, tiling.stride), last]
    # Neighbours divide what they share in the middle; only progress and skipping look at it.
    seams = [(after + before + tiling.tile) // 2 for before, after in pairwise(starts)]
    edges = [out.start, *seams, out.stop]
    return tuple(
        Placement(Span(start, start + tiling.tile), Span(*edge))
        for start, edge in zip(starts, pairwise(edges), strict=True)
    )


def slid(window: Span, occupied: Span, extent: Span, reach: int) -> Span:
    """Slide a tile off no data, towards pixels that exist, without losing a valid one.

    CloudS2Mask moves its patches inwards at the edge of a swath, which gives the network
    context in place of emptiness; here the way is bounded so that the plan stays local.

    Args:
        window: The tile as planned.
        occupied: The part of it between its first and last valid pixel.
        extent: The pixels that exist.
        reach: Largest move, in pixels.
    """
    empty_before = occupied.start - window.start
    empty_after = window.stop - occupied.stop
    if empty_before and not empty_after:
        return window.moved(max(0, min(empty_before, reach, extent.stop - window.stop)))
    if empty_after and not empty_before:
        return window.moved(-max(0, min(empty_after, reach, window.start - extent.start)))
    return window
