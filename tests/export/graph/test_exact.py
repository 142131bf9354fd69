from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudmask_export.families import families, family
from cloudmask_export.families.family import HALVED
from cloudmask_export.graph import network
from cloudmask_export.graph.exact import keep_even_sizes
from cloudmask_export.graph.parts import node

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    from cloudmask_export.families import Family

    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]
    Draw = Callable[..., dict[str, NDArray[np.float32]]]
    Small = Callable[..., ModelProto]

V4 = family("omnicloudmask-v4")
CLOUDS2MASK = family("clouds2mask-20m")


def kinds(model: ModelProto) -> Counter[str]:
    return Counter(each.op_type for each in model.graph.node if "stages" not in each.name)


def image(bands: int, height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((1, bands, height, width), dtype=np.float32)


@pytest.mark.parametrize(
    ("architecture", "each"),
    [
        ("smp-regnety_004-3", V4),
        ("smp-edgenext_small-3", V4),
        ("dynunet-regnety_006-13", CLOUDS2MASK),
    ],
)
@pytest.mark.parametrize("size", [(72, 104), (128, 64), (88, 80)])
def test_no_answer_changes_for_sizes_that_halve_evenly(
    architecture: str, each: Family, size: tuple[int, int], random_weights: Draw, run: Run
) -> None:
    any_size = replace(each, tile=each.tile + 1, overlap=0)
    arrays, given = random_weights(architecture), image(len(each.bands), *size)
    ours, theirs = (network(architecture, arrays, fam, "Mish") for fam in (each, any_size))
    np.testing.assert_array_equal(run(ours, given), run(theirs, given))
    assert len(ours.graph.node) < len(theirs.graph.node)


def test_a_tile_of_500_halves_evenly_twice_and_one_of_1000_three_times() -> None:
    assert CLOUDS2MASK.multiple == 4
    assert V4.multiple == 8
    assert max(each.multiple for each in families().values()) <= HALVED


@pytest.mark.parametrize(
    ("architecture", "each", "cuts"),
    [("smp-regnety_004-3", V4, 2), ("dynunet-regnety_006-13", CLOUDS2MASK, 3)],
)
def test_only_the_lower_levels_are_cut(
    architecture: str, each: Family, cuts: int, random_weights: Draw
) -> None:
    made = network(architecture, random_weights(architecture), each, "Mish")
    assert kinds(made)["Slice"] == cuts


def test_upper_levels_are_resized_at_once_rather_than_gathered(random_weights: Draw) -> None:
    name = "smp-edgenext_small-3"
    found = kinds(network(name, random_weights(name), V4, ""))
    assert (found["Resize"], found["Gather"]) == (3, 4)


EVEN = {
    "two": np.array([2], np.int64),
    "from": np.array([0, 0], np.int64),
    "axes": np.array([2, 3], np.int64),
}


def cut(small: Small) -> ModelProto:
    """Cut the input to twice the size of its half."""
    nodes = [
        node("MaxPool", ["x"], "half", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", ["half"], "size", start=2),
        node("Mul", ["size", "two"], "even"),
        node("Slice", ["x", "from", "even", "axes"], "cut"),
        node("Relu", ["cut"], "y"),
    ]
    return small(nodes, EVEN)


def test_a_cut_that_takes_all_is_dropped_with_what_it_needed(small: Small) -> None:
    model = cut(small)
    keep_even_sizes(model, 2)
    assert [each.op_type for each in model.graph.node] == ["Relu"]
    assert list(model.graph.node[0].input) == ["x"]
    assert not model.graph.initializer


def test_a_cut_that_takes_all_of_some_sizes_only_stays(small: Small) -> None:
    model = cut(small)
    keep_even_sizes(model, 1)
    assert "Slice" in kinds(model)


def test_a_cut_that_gives_the_answer_stays(small: Small) -> None:
    model = cut(small)
    model.graph.node[-2].output[0] = "y"
    del model.graph.node[-1]
    keep_even_sizes(model, 2)
    assert "Slice" in kinds(model)


def test_a_cut_that_turns_the_picture_round_stays(small: Small) -> None:
    ends, back = (np.array([each], np.int64) for each in (-(2**31), -1))
    numbers = {"from": back, "to": ends, "axis": np.array([3], np.int64), "steps": back}
    nodes = [
        node("Slice", ["x", "from", "to", "axis", "steps"], "cut"),
        node("Relu", ["cut"], "y"),
    ]
    model = small(nodes, numbers)
    keep_even_sizes(model, 2)
    assert "Slice" in kinds(model)
