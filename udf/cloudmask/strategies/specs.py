"""Descriptions of networks."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

from cloudmask.augment import TTA
from cloudmask.bands import SENTINEL2
from cloudmask.classes import CLASSES
from cloudmask.spec import ModelSpec, TestFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")

NAMES = st.text(string.ascii_lowercase + string.digits + "-_.", min_size=1, max_size=30)
SENTENCES = st.text(max_size=40)
METRES = st.sampled_from([10.0, 20.0, 60.0]) | st.floats(0.1, 1000)
COSTS = st.just(0.0) | st.floats(0, 1e6)


def some(values: Sequence[Value], least: int) -> SearchStrategy[tuple[Value, ...]]:
    """Draw at least so many of some values, all different, in any order."""
    return st.lists(st.sampled_from(values), min_size=least, unique=True).map(tuple)


@st.composite
def specs(
    draw: st.DrawFn,
    bands: tuple[str, ...] | None = None,
    *,
    least_classes: int = 2,
    largest_tile: int = 64,
) -> ModelSpec:
    """Draw manifests as `ModelSpec` that contradict nothing.

    Args:
        draw: Given by hypothesis.
        bands: The network's bands; default any of Sentinel-2's, in any order.
        least_classes: Least number of output channels, 2 to 4.
        largest_tile: Pixels along the edge of the largest tile.
    """
    bands = draw(some(tuple(SENTINEL2), 1)) if bands is None else bands
    return ModelSpec(
        name=draw(NAMES),
        bands=bands,
        classes=draw(some([each.code for each in CLASSES], least_classes)),
        tta=TTA(depth=draw(st.integers(0, 7))),
        softmax=draw(st.booleans()),
        pixel_size=draw(METRES),
        resampling=draw(st.sampled_from(["average", "nearest"])),
        **draw(_tiles(largest_tile)),
        **draw(_scaling(len(bands))),
        **draw(_about()),
        **draw(_file()),
    )


@st.composite
def _tiles(draw: st.DrawFn, largest: int) -> dict[str, Any]:
    multiple = draw(st.integers(1, min(32, largest)))
    tile = multiple * draw(st.integers(1, largest // multiple))
    overlap = 2 * draw(st.integers(0, (tile - 1) // 2))
    fixed = draw(st.booleans())
    return {"tile": tile, "overlap": overlap, "multiple": multiple, "fixed_tile": fixed}


@st.composite
def _scaling(draw: st.DrawFn, bands: int) -> dict[str, Any]:
    if not draw(st.booleans()):
        return {}
    each = st.tuples(st.floats(-10, 10), st.floats(1e-3, 10))
    pairs = draw(st.lists(each, min_size=bands, max_size=bands))
    return {"mean": tuple(mean for mean, _ in pairs), "std": tuple(std for _, std in pairs)}


def _about() -> SearchStrategy[dict[str, Any]]:
    names = ("title", "version", "level", "licence", "citation")
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, SENTENCES) | {"family": NAMES})


@st.composite
def _file(draw: st.DrawFn) -> dict[str, Any]:
    test = TestFiles("in.npy", draw(some(tuple(SENTINEL2), 1)), "out.npy", draw(st.floats(0, 1)))
    return {
        "file": draw(NAMES) + ".onnx",
        "size": draw(st.integers(0, 2**31)),
        "sha256": draw(st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex)),
        "input_name": draw(NAMES),
        "bytes_per_pixel": draw(COSTS),
        "flops_per_pixel": draw(COSTS),
        "package": draw(st.sampled_from(["", "ukis_csmask", "my_networks"])),
        "extra": draw(st.just("") | NAMES),
        "test": draw(st.sampled_from([None, test])),
    }
