"""Small networks with Mish written out, as our exports write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Arrays = Mapping[str, NDArray[np.float32]]


class WriteMish(Protocol):
    """What the fixture below gives."""

    def __call__(self, source: str, target: str, **changes: Any) -> list[NodeProto]:
        """Write it out."""


@pytest.fixture(scope="session")
def write_mish() -> WriteMish:
    """Write x (1 - 2 q / (1 + q)), q = sigmoid(-x)^2, in ONNX; parts of it may be changed."""
    plain: dict[str, Any] = {
        "negated": "Neg",
        "share": "Softsign",
        "alpha": -2.0,
        "beta": 1.0,
        "turned": False,
    }

    def write(source: str, target: str, **changes: Any) -> list[NodeProto]:
        assert changes.keys() <= plain.keys() | {"gated", "second"}
        chosen, node = plain | changes, helper.make_node
        negative, sigmoid, square, share, gate = (f"{target}.{number}" for number in range(5))
        ends = [chosen.get("gated", source), gate]
        return [
            node(chosen["negated"], [source], [negative]),
            node("Sigmoid", [negative], [sigmoid]),
            node("Mul", [sigmoid, chosen.get("second", sigmoid)], [square]),
            node(chosen["share"], [square], [share]),
            node("HardSigmoid", [share], [gate], alpha=chosen["alpha"], beta=chosen["beta"]),
            node("Mul", ends[::-1] if chosen["turned"] else ends, [target]),
        ]

    return write


@pytest.fixture(scope="session")
def make() -> Callable[..., ModelProto]:
    """Make a network of some nodes: `x` (n, bands, height, width) -> `y`."""

    def made(nodes: Sequence[NodeProto], tensors: Arrays, bands: int = 2) -> ModelProto:
        kinds = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size, "h", "w"])
            for name, size in (("x", bands), ("y", None))
        ]
        values = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
        graph = helper.make_graph(list(nodes), "small", kinds[:1], kinds[1:], values)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)

    return made


@pytest.fixture(scope="session")
def network(make: Callable[..., ModelProto], write_mish: WriteMish) -> ModelProto:
    """Three convolutions, Mish after two of them, and softmax; 2 bands, 3 classes."""
    draw = np.random.default_rng(3)
    shapes = {"w0": (8, 2, 3, 3), "w1": (8, 8, 3, 3), "w2": (3, 8, 1, 1)}
    tensors = {
        name: (draw.normal(size=shape) * 2 / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c0"], pads=[1] * 4, name="first"),
        *write_mish("c0", "m0"),
        helper.make_node("Conv", ["m0", "w1"], ["c1"], pads=[1] * 4, name="second"),
        *write_mish("c1", "m1"),
        helper.make_node("Conv", ["m1", "w2"], ["c2"], name="third"),
        helper.make_node("Softmax", ["c2"], ["y"], axis=1),
    ]
    return make(nodes, tensors)


@pytest.fixture
def tiles() -> NDArray[np.float32]:
    """Five tiles of 2 bands, 32 x 48 pixels."""
    return np.random.default_rng(4).normal(size=(5, 2, 32, 48)).astype(np.float32)
