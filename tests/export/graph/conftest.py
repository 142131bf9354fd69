"""Small graphs, and networks to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto


@pytest.fixture(scope="session")
def small() -> Callable[..., ModelProto]:
    """Make a network of some nodes: `x` (n, bands, y, x) -> `y`."""

    def make(
        nodes: Sequence[NodeProto], tensors: Mapping[str, NDArray[Any]], bands: int = 3
    ) -> ModelProto:
        shape: list[str | int | None] = ["n", bands, "height", "width"]
        graph = helper.make_graph(
            list(nodes),
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, name) for name, values in tensors.items()],
        )
        opset = [helper.make_opsetid("", 17), helper.make_opsetid("cloudmask", 1)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)

    return make


@pytest.fixture(scope="session")
def run() -> Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]:
    """Run a network with one input and one output, nothing optimised."""

    def answer(model: ModelProto, values: NDArray[np.float32]) -> NDArray[np.float32]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        (found,) = session.run(None, {session.get_inputs()[0].name: values})
        return np.asarray(found)

    return answer
