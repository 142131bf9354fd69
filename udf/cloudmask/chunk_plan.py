"""Chunks of a scene: how to cut them, and how one is planned without knowing the others.

Integers only, like `cloudmask.windows`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudmask.errors import OptionError
from cloudmask.windows import Span, plan_axis

if TYPE_CHECKING:
    from cloudmask.windows import AxisPlan, Stitch, Tiling


@dataclass(frozen=True, slots=True)
class ChunkAxis:
    """What a worker knows of one axis of its chunk: never where in the scene it lies.

    ::

        |<- carried ->|<------- the chunk's own ------->|<- carried ->|
                      a multiple of the stride from the scene's first pixel

    A back-end hands over the chunk's own pixels with `carried` pixels of its neighbours at both
    ends. Where there is no neighbour, and where the last chunk is not full, it pads with no data.
    """

    length: int
    """Pixels of the chunk, the carried ones included."""
    carried: int
    """Pixels at each end that belong to the neighbours."""
    exists: Span
    """From the first to behind the last pixel with data."""

    def __post_init__(self) -> None:
        """Refuse a chunk without pixels of its own."""
        if self.carried < 0 or self.length <= 2 * self.carried:
            raise OptionError(
                f"chunk_overlap={self.carried}, chunk of {self.length} pixels: the chunk must "
                "hold pixels of its own besides the overlap at both ends"
            )

    @property
    def _begins(self) -> bool:
        """Whether the scene begins with the chunk: nothing lies before it."""
        return self.exists.start >= self.carried

    @property
    def _ends(self) -> bool:
        """Whether the scene ends within the chunk: padding follows it."""
        return self.exists.stop < self.length

    def plan(self, tiling: Tiling, stitch: Stitch, grow: int = 0) -> AxisPlan:
        """Choose those tiles of the whole scene's plan that the chunk's own pixels need.

        `crop` asks for nothing but the chunk's alignment. `blend` sees the scene's borders in
        the padding; a straight border of true no data there is taken for one.

        Args:
            tiling: Tile edge and overlap.
            stitch: Which plan the whole scene has.
            grow: Pixels beyond the chunk's own to answer for as well, as far as they exist.
        """
        crop = stitch == "crop"
        # A scene that goes on beyond the chunk is planned as far as tiles can touch the chunk.
        further = -(-(self.carried + tiling.tile + tiling.overlap) // tiling.stride)
        further *= tiling.stride
        before = 0 if self._begins and not crop else further
        own = Span(self.carried, self.length - self.carried)
        stop = self.exists.stop if self._ends and not crop else self.length + further
        shift = own.start - before
        whole = plan_axis(stop - shift, tiling, stitch).moved(shift)
        there = Span(0, self.length).common(whole.extent)
        return replace(whole.part(own.grown(grow).common(there)), extent=there)


def carried_for(tiling: Tiling, stitch: Stitch, grow: int = 0) -> int:
    """Return the pixels of its neighbours that a chunk must carry to answer as the whole does.

    Args:
        tiling: Tile edge and overlap.
        stitch: Which plan.
        grow: Pixels by which classes grow over the chunk's border (dilation).
    """
    tiles_beyond = -(-grow // tiling.stride)
    if stitch == "crop":
        return tiles_beyond * tiling.stride + tiling.margin
    # Even without overlap the last tile of the scene, pulled inside, lies over its neighbour.
    sharing = max(1, -(-tiling.overlap // tiling.stride))
    # A tile beyond may slide towards the chunk by up to one overlap (see `slid`).
    return (tiles_beyond + sharing) * tiling.stride + tiling.overlap


def chunk_lengths(length: int, wanted: int, multiple: int, least: int) -> tuple[int, ...]:
    """Cut an axis into chunks that start at multiples of `multiple`.

    Args:
        length: Pixels along the axis.
        wanted: Preferred chunk length; rounded to a multiple, at least one.
        multiple: The stride of a crop plan.
        least: No chunk but an only one may be shorter: the last is joined to its neighbour.

    Returns:
        Lengths that sum to `length`.
    """
    size = max(round(wanted / multiple), -(-least // multiple), 1) * multiple
    full, rest = divmod(length, size)
    if full and 0 < rest < least:
        return (size,) * (full - 1) + (size + rest,)
    return (size,) * full + ((rest,) if rest else ())
