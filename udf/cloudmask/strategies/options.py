"""Ways to mask a cube."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from hypothesis import strategies as st

from cloudmask.augment import TTA
from cloudmask.classes import SHADOW, THICK, THIN, Layout, Output
from cloudmask.options import Options
from cloudmask.strategies.tilings import tilings

if TYPE_CHECKING:
    from cloudmask.spec import ModelSpec

FARTHEST = 300.0
"""Metres by which classes grow at most; more is slow."""


@st.composite
def options(
    draw: st.DrawFn,
    spec: ModelSpec | None = None,
    *,
    largest_tile: int = 64,
    least_stride: int = 1,
    least_chunk: int = 1,
    grow: bool = True,
) -> Options:
    """Draw `Options` that can work: both stitchers, all layouts, augmentation, batches, chunks.

    Args:
        draw: Given by hypothesis.
        spec: The network that they are for; if it takes one tile only, they leave it that.
        largest_tile: Pixels along the edge of the largest tile.
        least_stride: Least distance of neighbouring tiles: a bound of how many a scene has.
        least_chunk: Least `Options.chunk`: a bound of how many chunks a scene has.
        grow: Whether masked classes may grow (dilation).
    """
    size: dict[str, Any] = {}
    free = spec is None or not spec.fixed_tile
    if free and (least_stride > 1 or draw(st.booleans())):
        tiling = draw(tilings(largest_tile, least_stride, spec.multiple if spec else 1))
        size = {"tile": tiling.tile, "overlap": tiling.overlap}
    return Options(
        stitch=draw(st.sampled_from(["crop", "blend"])),
        **size,
        tta=draw(st.none() | ttas()),
        batch=draw(st.none() | st.integers(1, 9)),
        chunk=least_chunk + draw(st.integers(0, 100) | st.integers(0, 2000)),
        pixel_size=draw(st.sampled_from([10.0, 20.0, 60.0])),
        output=draw(outputs(grow=grow)),
    )


@st.composite
def ttas(draw: st.DrawFn) -> TTA:
    """Draw test-time augmentations."""
    return TTA(depth=draw(st.integers(0, 7)), adaptive=draw(st.booleans()))


@st.composite
def outputs(draw: st.DrawFn, *, grow: bool = True) -> Output:
    """Draw what to answer."""
    layout = draw(st.sampled_from(get_args(Layout)))
    masked = draw(st.lists(st.sampled_from([THICK, THIN, SHADOW]), unique=True).map(tuple))
    grows = grow and layout != "cloud_detection"
    metres = draw(st.just(0.0) | st.floats(0, FARTHEST)) if grows else 0.0
    return Output(layout=layout, masked=masked, dilate=metres)
