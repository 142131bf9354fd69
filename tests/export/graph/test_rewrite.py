from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper
from scipy.special import softmax

from cloudmask_export.graph.rewrite import turn_gathers, write_out_shuffles, write_out_softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Small = Callable[..., ModelProto]
    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]

CHANNELS = 12


def kinds(model: ModelProto) -> set[str]:
    return {each.op_type for each in model.graph.node}


def softmax_of(axis: int, small: Small) -> ModelProto:
    return small([helper.make_node("Softmax", ["x"], ["y"], axis=axis)], {}, bands=4)


@pytest.mark.parametrize("offset", [0.0, 100.0, -100.0, 1e4])
def test_the_softmax_of_logits_of_any_size_is_scipys(
    offset: float, small: Small, run: Run
) -> None:
    model = softmax_of(1, small)
    write_out_softmax(model.graph)
    logits = np.random.default_rng(0).uniform(-100, 100, (2, 4, 9, 7)).astype(np.float32) + offset
    wanted = softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(run(model, logits), wanted, rtol=2e-6, atol=1e-9)
    assert "Softmax" not in kinds(model)


def test_a_class_without_rival_is_certain(small: Small, run: Run) -> None:
    model = softmax_of(1, small)
    write_out_softmax(model.graph)
    logits = np.full((1, 4, 1, 1), -100, np.float32)
    logits[0, 2] = 100
    np.testing.assert_array_equal(run(model, logits)[0, :, 0, 0], [0, 0, 1, 0])


def test_a_softmax_over_another_axis_stays(small: Small) -> None:
    model = softmax_of(-1, small)
    before = model.SerializeToString()
    write_out_softmax(model.graph)
    assert model.SerializeToString() == before


def shuffled_by_hand(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take each pixel where torch's documentation of PixelShuffle says it is."""
    n, channels, height, width = x.shape
    found = np.empty((n, channels // 4, 2 * height, 2 * width), x.dtype)
    for c, y, x_ in np.ndindex(found.shape[1:]):
        found[:, c, y, x_] = x[:, 4 * c + 2 * (y % 2) + x_ % 2, y // 2, x_ // 2]
    return found


def shuffle(small: Small, *, blocksize: int = 2, mode: str = "CRD") -> ModelProto:
    """Make a convolution that only passes on, an activation, a pixel shuffle."""
    passing = np.eye(CHANNELS, dtype=np.float32).reshape(CHANNELS, CHANNELS, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("DepthToSpace", ["b"], ["y"], blocksize=blocksize, mode=mode),
    ]
    return small(nodes, {"kernel": passing}, bands=CHANNELS)


@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 4, 5), (2, 1, 1), (1, 1, 6), (1, 6, 1)])
def test_a_shuffle_moves_every_pixel_to_its_place(
    shape: tuple[int, int, int], small: Small, run: Run
) -> None:
    model = shuffle(small)
    write_out_shuffles(model.graph)
    n, height, width = shape
    x = np.random.default_rng(0).random((n, CHANNELS, height, width)).astype(np.float32)
    np.testing.assert_array_equal(run(model, x), shuffled_by_hand(x))
    assert "DepthToSpace" not in kinds(model)


def test_shuffles_share_what_they_can_and_keep_their_names(small: Small) -> None:
    model = shuffle(small)
    write_out_shuffles(model.graph)
    names = [each.name for each in model.graph.initializer]
    assert len(names) == len(set(names))
    assert model.graph.node[-1].output == ["y"]


def test_a_shuffle_of_another_kind_stays(small: Small) -> None:
    model = shuffle(small, mode="DCR")
    before = model.SerializeToString()
    write_out_shuffles(model.graph)
    assert model.SerializeToString() == before


def test_a_shuffle_of_unknown_width_stays(small: Small) -> None:
    nodes = [helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")]
    model = small(nodes, {}, bands=4)
    before = model.SerializeToString()
    write_out_shuffles(model.graph)
    assert model.SerializeToString() == before


def nearest(small: Small, axes: tuple[int, int], index: list[int]) -> ModelProto:
    nodes = [
        helper.make_node("Gather", ["x", "index"], ["a"], axis=axes[0]),
        helper.make_node("Gather", ["a", "index"], ["y"], axis=axes[1]),
    ]
    return small(nodes, {"index": np.array(index)})


def test_columns_gathered_as_rows_are_the_same_columns(small: Small, run: Run) -> None:
    index = [0, 0, 1, 3, 3]
    model = nearest(small, (3, 2), index)
    turn_gathers(model.graph)
    x = np.random.default_rng(0).random((2, 3, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(run(model, x), x[..., index][:, :, index])
    axes = [each.attribute[0].i for each in model.graph.node if each.op_type == "Gather"]
    assert axes == [2, 2]


def test_another_gathering_stays(small: Small) -> None:
    model = nearest(small, (3, 3), [0, 1])
    before = model.SerializeToString()
    turn_gathers(model.graph)
    assert model.SerializeToString() == before
