"""How large the chunks are that a back-end cuts, so that their masks are parts of one mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudmask.checks import whole
from cloudmask.chunk_plan import carried_for
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from cloudmask.windows import Stitch, Tiling

WANTED_SIZE = 768
"""Pixels an edge: chunks of all 13 bands then take about 40 MB."""

LEAST_SIZE = 4
"""Pixels; the geopyspark back-end takes no smaller chunks."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Sizes for `apply_neighborhood`, in pixels; the same along y and x."""

    size: int
    """Edge of a chunk's own pixels."""
    overlap: int
    """Pixels of the neighbours that a chunk sees, at each side."""

    def __post_init__(self) -> None:
        """Refuse what back-ends get wrong silently."""
        object.__setattr__(self, "size", whole("chunks.size", self.size, least=LEAST_SIZE))
        object.__setattr__(self, "overlap", whole("chunks.overlap", self.overlap, least=0))
        if self.overlap > self.size:
            raise OptionError(
                f"chunks.overlap={self.overlap} is larger than chunks.size={self.size}: back-ends "
                f"then shift the result silently; use chunks of {self.overlap} pixels or more"
            )
        if self.overlap % 2:
            raise OptionError(
                f"chunks.overlap={self.overlap}: must be even; use {self.overlap + 1}"
            )

    def sizes(self, x: str, y: str, t: str | None) -> list[dict[str, Any]]:
        """Give the argument `size`: one date at a time, if there is time."""
        time = [] if t is None else [{"dimension": t, "value": "P1D"}]
        return [*self._pixels(x, y, self.size), *time]

    def overlaps(self, x: str, y: str) -> list[dict[str, Any]]:
        """Give the argument `overlap`; an empty one, never none, if there is none."""
        return self._pixels(x, y, self.overlap) if self.overlap else []

    @staticmethod
    def _pixels(x: str, y: str, value: int) -> list[dict[str, Any]]:
        return [{"dimension": name, "value": value, "unit": "px"} for name in (x, y)]


def choose(
    tiling: Tiling,
    stitch: Stitch,
    grow: int = 0,
    size: int | None = None,
    overlap: int | None = None,
) -> Neighbourhood:
    """Choose chunks on which the mask does not depend.

    Args:
        tiling: How the network is laid over the scene.
        stitch: How its tiles are put together.
        grow: Pixels by which masked classes grow (dilation).
        size: Wanted edge; a whole number of strides.
        overlap: Wanted overlap; not less than what the tiles need.

    Raises:
        OptionError: The mask would depend on where chunks begin, or back-ends cannot do it.
    """
    needed = carried_for(tiling, stitch, grow)
    even = needed + needed % 2
    carried = even if overlap is None else whole("chunks.overlap", overlap, least=0)
    if carried < needed:
        raise OptionError(
            f"chunks.overlap={overlap}: tiles of {tiling.tile} pixels, stitched by {stitch!r}, "
            f"need {needed} pixels of the neighbours, or seams show; leave the overlap out"
        )
    strides = -(-max(carried, LEAST_SIZE) // tiling.stride)
    if size is None:
        size = max(round(WANTED_SIZE / tiling.stride), strides) * tiling.stride
    elif whole("chunks.size", size, least=1) % tiling.stride or size < carried:
        best = max(round(size / tiling.stride), strides) * tiling.stride
        raise OptionError(
            f"chunks.size={size}: must be a multiple of the tiles' stride ({tiling.tile} - "
            f"{tiling.overlap} = {tiling.stride}), or seams show, and not less than the overlap "
            f"({carried}), or back-ends shift the result silently; use {best}"
        )
    return Neighbourhood(size, carried)
