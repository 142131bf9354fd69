from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from cloudmask.engines import open_session
from cloudmask.runtime import Runtime
from cloudmask_export.families import family
from cloudmask_export.graph import network
from cloudmask_export.precision import quantise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Draw = Callable[..., dict[str, NDArray[np.float32]]]

NAME = "smp-regnety_004-3"
LAST = "segmentation_head.0.weight"


def tiles(count: int) -> list[NDArray[np.float32]]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = draw.random((3, 16, 16))
        smooth = np.kron(coarse, np.ones((8, 8))) + 0.05 * draw.random((3, 128, 128))
        found.append(smooth.astype(np.float32))
    return found


@pytest.fixture(scope="module")
def exact(random_weights: Draw) -> ModelProto:
    return network(NAME, random_weights(NAME), family("omnicloudmask-v4"), "")


@pytest.fixture(scope="module")
def quantised(exact: ModelProto) -> ModelProto:
    return quantise(exact, tiles(4))


def answered(model: ModelProto, tile: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: tile[None]})
    return np.asarray(found)


def test_the_file_is_about_a_quarter(exact: ModelProto, quantised: ModelProto) -> None:
    share = len(quantised.SerializeToString()) / len(exact.SerializeToString())
    assert 0.24 < share < 0.32


def test_its_ends_are_those_of_the_network(exact: ModelProto, quantised: ModelProto) -> None:
    ends = [(m.graph.input[0].SerializeToString(), m.graph.output[0].SerializeToString())
            for m in (exact, quantised)]  # fmt: skip
    assert ends[0] == ends[1]


def test_only_what_convolutions_take_and_give_is_quantised(quantised: ModelProto) -> None:
    graph = quantised.graph
    kernels = {each.name for each in graph.initializer}
    behind = {n.input[0]: n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    widened = {n.input[0]: n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    given = {n.output[0] for n in graph.node if n.op_type == "Conv"}
    taken = {name for n in graph.node if n.op_type == "Conv" for name in n.input}
    assert behind
    for before, after in behind.items():
        assert before in given or widened[after] in taken, before
    assert {widened[name] for name in widened if name in kernels} <= taken


def test_most_pixels_keep_their_class(exact: ModelProto, quantised: ModelProto) -> None:
    unseen = tiles(6)[-1]
    before, after = answered(exact, unseen), answered(quantised, unseen)
    assert np.mean(before.argmax(axis=1) == after.argmax(axis=1)) > 0.85
    assert np.abs(before - after).max() > 0  # it is quantised indeed


def test_quantising_twice_gives_the_same_bytes(exact: ModelProto, quantised: ModelProto) -> None:
    again = quantise(exact, tiles(4))
    assert again.SerializeToString() == quantised.SerializeToString()


def test_it_leaves_the_log_as_it_was(exact: ModelProto) -> None:
    quantise(exact, tiles(1))
    names = [getattr(each, "__module__", "") for each in logging.getLogger().filters]
    assert not [name for name in names if name.startswith("cloudmask")]


def test_every_channel_has_a_scale_of_its_own(quantised: ModelProto) -> None:
    tensors = {each.name: each for each in quantised.graph.initializer}
    scales = {
        node.input[0]: tensors[node.input[1]].dims
        for node in quantised.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors
    }
    kernels = {name: dims for name, dims in scales.items() if len(tensors[name].dims) == 4}
    assert kernels
    assert all(list(dims) == [tensors[name].dims[0]] for name, dims in kernels.items())


def test_the_encoder_can_be_left_as_it_is(exact: ModelProto) -> None:
    graph = quantise(exact, tiles(2), encoder=False).graph
    kept = {each.name for each in graph.initializer if each.data_type == TensorProto.FLOAT}
    kernels = {n.input[1] for n in exact.graph.node if n.op_type == "Conv"}
    encoder = {name for name in kernels if name.startswith("encoder.")}
    assert encoder <= kept
    assert (kernels - encoder) & kept == {LAST}


def test_the_convolution_that_gives_the_classes_keeps_its_numbers(quantised: ModelProto) -> None:
    kept = {each.name for each in quantised.graph.initializer if len(each.dims) == 4}
    assert LAST in kept


def test_a_convolution_of_positions_alone_keeps_its_numbers(random_weights: Draw) -> None:
    name = "smp-edgenext_small-3"
    model = network(name, random_weights(name), family("omnicloudmask-v4"), "")
    made = quantise(model, tiles(1))
    exact_ones = [
        node.input[1]
        for node in made.graph.node
        if node.op_type == "Conv" and not node.input[1].endswith("DequantizeLinear_Output")
    ]
    assert len(exact_ones) == 2
    assert "pos_embd" in exact_ones[0]
    assert exact_ones[1] == LAST


def test_openvino_compiles_a_network_with_positions_in_8_bits(random_weights: Draw) -> None:
    pytest.importorskip("openvino")
    name = "smp-edgenext_small-3"
    model = network(name, random_weights(name), family("omnicloudmask-v4"), "")
    made = quantise(model, tiles(1)).SerializeToString()
    session = open_session(made, name, Runtime(threads=1, provider="openvino"))
    assert session.run(np.stack(tiles(1))).shape == (1, 4, 128, 128)
