from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper

from cloudmask_export.errors import ExportError
from cloudmask_export.families import family
from cloudmask_export.graph import network, plain_network
from cloudmask_export.graph.cost import COPIES, cost
from cloudmask_export.graph.shapes import tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Small = Callable[..., ModelProto]
    Draw = Callable[..., dict[str, NDArray[np.float32]]]

FLOAT = 4
"""Bytes."""


def ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)


# -- operations, counted by hand ------------------------------------------------------------


def test_a_convolution_multiplies_its_kernel_at_every_pixel(small: Small) -> None:
    model = small([node("Conv", "x k", "y", pads=[1, 1, 1, 1])], {"k": ones(8, 3, 3, 3)})
    assert cost(model, 10).flops == 2 * 8 * 3 * 9


def test_a_convolution_with_a_stride_is_done_at_its_own_pixels_only(small: Small) -> None:
    model = small([node("Conv", "x k", "y", strides=[2, 2])], {"k": ones(8, 3, 2, 2)})
    assert cost(model, 10).flops == 2 * 8 * 3 * 4 / 4


def test_a_group_sees_its_own_channels_only(small: Small) -> None:
    model = small([node("Conv", "x k", "y", group=3)], {"k": ones(6, 1, 1, 1)})
    assert cost(model, 10).flops == 2 * 6


def test_a_transposed_convolution_multiplies_its_kernel_by_every_input(small: Small) -> None:
    model = small([node("ConvTranspose", "x k", "y", strides=[2, 2])], {"k": ones(3, 5, 2, 2)})
    assert cost(model, 10).flops == 2 * 3 * 5 * 4


def test_a_matrix_product_multiplies_rows_by_columns(small: Small) -> None:
    model = small([node("MatMul", "x m", "y")], {"m": ones(10, 7)})
    assert cost(model, 10).flops == 2 * 3 * 7 * 10 * 10 / 10**2


@pytest.mark.parametrize(("transposed", "inner"), [(0, 10), (1, 3)])
def test_a_gemm_is_a_matrix_product(transposed: int, inner: int, small: Small) -> None:
    nodes = [
        node("ReduceMean", "x", "flat", axes=[0, 2], keepdims=0),  # (3, 10)
        node("Gemm", "flat m", "y", transA=transposed),
    ]
    model = small(nodes, {"m": ones(inner, 5)})
    assert cost(model, 10).flops == 2 * 3 * 10 * 5 / 10**2


def test_anything_else_is_not_counted(small: Small) -> None:
    assert cost(small([node("Sigmoid", "x", "y")], {}), 10).flops == 0


# -- memory, counted by hand ----------------------------------------------------------------


def test_a_chain_holds_two_tensors_at_a_time(small: Small) -> None:
    nodes = [node("Relu", "x", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]
    found = cost(small(nodes, {}), 10)
    assert (found.live, found.largest) == (2 * 3 * FLOAT, 3 * FLOAT)


def test_a_tensor_is_held_until_its_last_use(small: Small) -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Relu", "a", "b"),
        node("Relu", "b", "c"),
        node("Add", "c a", "y"),
    ]
    assert cost(small(nodes, {}), 10).live == 3 * 3 * FLOAT


def test_weights_and_the_networks_input_are_not_counted(small: Small) -> None:
    model = small([node("Conv", "x k", "y")], {"k": ones(500, 3, 1, 1)})
    assert cost(model, 10).live == 500 * FLOAT


def test_what_nobody_takes_is_held_while_it_is_made(small: Small) -> None:
    model = small([node("Concat", "x x x", "unused", axis=1), node("Relu", "x", "y")], {})
    assert cost(model, 10).live == 9 * FLOAT


def test_the_plan_has_room_for_what_the_runtime_keeps(small: Small) -> None:
    found = cost(small([node("Relu", "x", "y")], {}), 10)
    assert found.bytes == found.live + COPIES * found.largest


# -- shapes ---------------------------------------------------------------------------------


def test_shapes_that_are_computed_in_the_graph_are_known(small: Small) -> None:
    nodes = [
        node("Shape", "x", "size", start=2),
        node("Mul", "size two", "double"),
        node("Concat", "lead double", "wanted", axis=0),
        node("Expand", "column wanted", "y"),
    ]
    numbers = {
        "two": np.array([2, 2]),
        "lead": np.array([1, 3]),
        "column": ones(1, 3, 1, 1),
    }
    assert tensors(small(nodes, numbers), 7).shape("y") == (1, 3, 14, 14)


def test_a_shape_that_depends_on_values_is_refused(small: Small) -> None:
    model = small([node("NonZero", "x", "y")], {})
    with pytest.raises(ExportError, match="NonZero 'y': the shape of 'y' is not fixed"):
        cost(model, 10)


@pytest.mark.parametrize("architecture", ["smp-regnety_004-3", "smp-edgenext_small-3"])
@pytest.mark.parametrize("tile", [64, 104])
def test_the_shapes_of_a_network_are_those_that_it_answers_with(
    architecture: str, tile: int, random_weights: Draw
) -> None:
    model = network(architecture, random_weights(architecture), family("omnicloudmask-v4"), "")
    assert tensors(model, tile).shape("probabilities") == (1, 4, tile, tile)


def test_the_rewritten_network_has_the_operations_of_the_one_as_written(
    random_weights: Draw,
) -> None:
    v4 = family("omnicloudmask-v4")
    arrays = random_weights("smp-regnety_004-3")
    ours = cost(network("smp-regnety_004-3", arrays, v4, ""), 128)
    theirs = cost(plain_network("smp-regnety_004-3", arrays, v4, ""), 128)
    assert ours.flops == theirs.flops
