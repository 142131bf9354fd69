from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper
from onnx.numpy_helper import from_array, to_array

from cloudmask.engines.openvino import open_openvino
from cloudmask.engines.restore import restore
from cloudmask.runtime import Runtime
from cloudmask_export.graph.activation import set_activation
from cloudmask_export.graph.rewrite import write_out_shuffles, write_out_softmax
from cloudmask_export.precision.int8 import quantise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Make = Callable[..., ModelProto]
    WriteMish = Callable[..., list[NodeProto]]

pytest.importorskip("openvino")

PATTERN = {"Negative", "Sigmoid", "SoftSign", "HardSigmoid", "Multiply"}


def read(model: ModelProto) -> Any:
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(BytesIO(model.SerializeToString())))


def operations(graph: Any) -> Counter[str]:
    return Counter(each.get_type_name() for each in graph.get_ops())


def test_every_mish_is_an_operation_again_and_nothing_of_it_is_left(network: ModelProto) -> None:
    graph = read(network)
    assert set(operations(graph)) >= PATTERN
    assert restore(graph) == 2
    assert operations(graph)["Mish"] == 2
    assert not PATTERN & set(operations(graph))


def test_a_mish_as_our_exports_write_it_is_found(make: Make) -> None:
    model = make([helper.make_node("Activation", ["x"], ["y"], domain="cloudmask")], {})
    set_activation(model.graph, "Mish")
    assert restore(read(model)) == 1


def test_the_gate_may_be_the_first_factor(make: Make, write_mish: WriteMish) -> None:
    assert restore(read(make(write_mish("x", "y", turned=True), {}))) == 1


def test_a_mish_of_a_mish_is_two(make: Make, write_mish: WriteMish) -> None:
    graph = read(make([*write_mish("x", "a"), *write_mish("a", "y")], {}))
    assert restore(graph) == 2
    assert not PATTERN & set(operations(graph))


def test_what_else_uses_a_part_of_it_keeps_it(make: Make, write_mish: WriteMish) -> None:
    nodes = [*write_mish("x", "m"), helper.make_node("Add", ["m", "m.1"], ["y"])]
    graph = read(make(nodes, {}))
    assert restore(graph) == 1
    assert {"Mish", "Negative", "Sigmoid"} <= set(operations(graph))


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": -1.0},
        {"beta": 0.5},
        {"share": "Tanh"},
        {"negated": "Abs"},
        {"gated": "other"},
        {"second": "other"},
    ],
)
def test_what_only_resembles_it_is_left_alone(
    make: Make, write_mish: WriteMish, changes: dict[str, Any]
) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["other"]), *write_mish("x", "y", **changes)]
    graph = read(make(nodes, {}))
    before = operations(graph)
    assert restore(graph) == 0
    assert operations(graph) == before


def test_a_graph_without_any_stays_as_it_is(make: Make) -> None:
    graph = read(make([helper.make_node("Mul", ["x", "x"], ["y"])], {}))
    assert restore(graph) == 0


def test_the_restored_operation_computes_what_the_paper_says(
    make: Make, write_mish: WriteMish
) -> None:
    x = np.linspace(-40, 40, 4096).reshape(1, 2, 32, 64)
    content = make(write_mish("x", "y"), {}).SerializeToString()
    found = open_openvino(content, "mish", Runtime(provider="openvino")).run(x.astype(np.float32))
    np.testing.assert_allclose(found, x * np.tanh(np.logaddexp(0, x)), rtol=1e-5, atol=1e-6)


def test_every_mish_of_a_network_in_8_bits_is_restored(
    network: ModelProto, tiles: NDArray[np.float32]
) -> None:
    graph = read(quantise(network, list(tiles)))
    assert operations(graph)["FakeQuantize"]
    assert restore(graph) == 2
    assert not {"Negative", "Sigmoid", "SoftSign", "HardSigmoid"} & set(operations(graph))


# -- pixel shuffle --------------------------------------------------------------------------


@pytest.fixture
def shuffled(make: Make) -> ModelProto:
    """A convolution to 12 channels, and torch's PixelShuffle(2) as our exports write it."""
    weights = np.random.default_rng(6).normal(size=(12, 2, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD"),
    ]
    model = make(nodes, {"w": weights})
    write_out_shuffles(model.graph)
    return model


def test_a_pixel_shuffle_is_one_operation_again(shuffled: ModelProto) -> None:
    graph = read(shuffled)
    assert {"Gather", "Range", "Transpose"} <= set(operations(graph))
    assert restore(graph) == 1
    assert set(operations(graph)) == {
        "Parameter", "Constant", "Convolution", "DepthToSpace", "Result",
    }  # fmt: skip


def test_the_restored_shuffle_moves_every_number_where_torch_does(
    shuffled: ModelProto, tiles: NDArray[np.float32]
) -> None:
    found = open_openvino(shuffled.SerializeToString(), "s", Runtime(provider="openvino"))
    (weights,) = (each for each in shuffled.graph.initializer if each.name == "w")
    mixed = np.einsum("oi,niyx->noyx", to_array(weights)[:, :, 0, 0], tiles)
    number, _, height, width = mixed.shape
    planes = mixed.reshape(number, 3, 2, 2, height, width).transpose(0, 1, 4, 2, 5, 3)
    wanted = planes.reshape(number, 3, 2 * height, 2 * width)
    np.testing.assert_allclose(found.run(tiles), wanted, rtol=0, atol=1e-5)


def number_of(model: ModelProto, name: str) -> Any:
    """Find a constant by the end of its name."""
    return next(each for each in model.graph.initializer if each.name.endswith(name))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shuffle/3/pairs", [0, 3, 4, -1]),
        ("shuffle/3", [0, 6]),
        ("shuffle/two", [4]),
        ("shuffle/halves", [-1, 2]),
    ],
)
def test_another_order_of_numbers_is_no_shuffle(
    shuffled: ModelProto, name: str, values: list[int]
) -> None:
    number_of(shuffled, name).CopyFrom(
        from_array(np.array(values), number_of(shuffled, name).name)
    )
    assert restore(read(shuffled)) == 0


@pytest.mark.parametrize("perm", [[0, 1, 2, 3], [0, 3, 1, 2]])
def test_another_transposition_is_no_shuffle(shuffled: ModelProto, perm: list[int]) -> None:
    node = next(each for each in shuffled.graph.node if "columns" in str(each.output))
    node.attribute[0].ints[:] = perm
    assert restore(read(shuffled)) == 0


# -- softmax --------------------------------------------------------------------------------


def test_openvino_finds_a_softmax_that_is_written_out_by_itself(make: Make) -> None:
    import openvino

    model = make([helper.make_node("Softmax", ["x"], ["y"], axis=1)], {})
    write_out_softmax(model.graph)
    assert "Softmax" not in {each.op_type for each in model.graph.node}
    graph = read(model)
    graph.reshape([1, 2, 32, 32])
    compiled = openvino.Core().compile_model(graph, "CPU")
    kinds = {
        each.get_rt_info()["layerType"].astype(str)
        for each in compiled.get_runtime_model().get_ops()
    }
    assert "Softmax" in kinds
    assert "Eltwise" not in kinds
