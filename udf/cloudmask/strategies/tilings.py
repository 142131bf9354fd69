"""Tile edges and overlaps."""

from __future__ import annotations

from hypothesis import strategies as st

from cloudmask.windows import Tiling


@st.composite
def tilings(
    draw: st.DrawFn, largest: int = 64, least_stride: int = 1, multiple: int = 1
) -> Tiling:
    """Draw tilings that can work.

    Args:
        draw: Given by hypothesis.
        largest: Pixels along the edge of the largest tile.
        least_stride: Least distance of neighbouring tiles: a bound of how many a scene has.
        multiple: What the edge is a multiple of, as a network may want it.
    """
    least = -(-least_stride // multiple)
    tile = multiple * draw(st.integers(least, max(least, largest // multiple)))
    overlap = 2 * draw(st.integers(0, (tile - least_stride) // 2))
    return Tiling(tile, min(overlap, (tile - 1) // 2 * 2), multiple)
