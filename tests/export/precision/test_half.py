from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloudmask_export.errors import ExportError
from cloudmask_export.families import family
from cloudmask_export.graph import network
from cloudmask_export.precision import store_half

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Draw = Callable[..., dict[str, NDArray[np.float32]]]

NAME = "smp-regnety_004-3"


def answered(model: ModelProto, tile: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: tile})
    return np.asarray(found)


def convolution(kernel: NDArray[np.float32]) -> ModelProto:
    shape: list[str | int | None] = ["n", 2, "y", "x"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "kernel", "bias"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([0.1, 1e-9], np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_file_is_half_as_large(random_weights: Draw) -> None:
    model = network(NAME, random_weights(NAME), family("omnicloudmask-v4"), "")
    before = len(model.SerializeToString())
    store_half(model.graph)
    assert 0.48 < len(model.SerializeToString()) / before < 0.54


def test_it_computes_in_float32_with_the_rounded_weights() -> None:
    draw = np.random.default_rng(0)
    kernel = draw.normal(size=(2, 2, 1, 1)).astype(np.float32)
    model = convolution(kernel)
    store_half(model.graph)
    tile = (1e5 * draw.normal(size=(1, 2, 3, 3))).astype(np.float32)  # beyond float16
    rounded = kernel.astype(np.float16).astype(np.float64)[:, :, 0, 0]
    wanted = np.einsum("oi,niyx->noyx", rounded, tile.astype(np.float64))
    wanted += np.array([0.1, 1e-9]).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(answered(model, tile), wanted, rtol=1e-5)


def test_biases_keep_32_bits() -> None:
    model = convolution(np.ones((2, 2, 1, 1), np.float32))
    assert store_half(model.graph) == 1
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert kinds == {"kernel/half": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}


def test_a_weight_beyond_float16_is_refused() -> None:
    model = convolution(np.full((2, 2, 1, 1), 7e4, np.float32))
    with pytest.raises(ExportError, match="kernel has a weight of 70000, float16 ends at 65504"):
        store_half(model.graph)
