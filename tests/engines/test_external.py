from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cloudmask.engines import external, open_session
from cloudmask.engines.external import refuse_external
from cloudmask.errors import ModelError
from cloudmask.runtime import PROVIDERS, Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto, NodeProto

WEIGHTS = np.full((1, 1, 1, 1), 7, np.float32)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TensorProto:
    """Give a tensor whose numbers are in a file of the folder that the process runs in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def network(*nodes: NodeProto, tensors: Any = ()) -> ModelProto:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, "h", "v"])
        for name in ("x", "y")
    ]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], initializer=list(tensors))
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def add() -> NodeProto:
    return helper.make_node("Add", ["x", "w"], ["y"])


def in_a_constant(tensor: TensorProto) -> ModelProto:
    return network(helper.make_node("Constant", [], ["w"], value=tensor), add())


def in_a_branch(tensor: TensorProto) -> ModelProto:
    inner = network(add(), tensors=[tensor]).graph
    return network(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))


def in_a_function(tensor: TensorProto) -> ModelProto:
    made = network(helper.make_node("Mine", ["x"], ["y"], domain="mine"))
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    imports = [helper.make_opsetid("", 17)]
    made.functions.append(
        helper.make_function("mine", "Mine", ["x"], ["y"], [constant, add()], imports)
    )
    return made


PLACES = {
    "an initializer": lambda tensor: network(add(), tensors=[tensor]),
    "a constant": in_a_constant,
    "a branch": in_a_branch,
    "a function": in_a_function,
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file_are_refused_wherever_they_are_named(
    place: str, outside: TensorProto
) -> None:
    with pytest.raises(ModelError, match="keeps weights in another file"):
        refuse_external(PLACES[place](outside).SerializeToString(), "net")


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_no_engine_is_asked_to_open_a_network_that_names_another_file(
    provider: str, outside: TensorProto
) -> None:
    content = network(add(), tensors=[outside]).SerializeToString()
    assert provider in PROVIDERS
    with pytest.raises(ModelError, match="keeps weights in another file"):
        open_session(content, "net", Runtime(threads=1, provider=provider))


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_the_file_itself_are_taken_wherever_they_are(place: str) -> None:
    inside = numpy_helper.from_array(WEIGHTS, "w")
    refuse_external(PLACES[place](inside).SerializeToString(), "net")


def test_onnx_runtimes_own_format_is_not_taken(tmp_path: Path) -> None:
    inside = numpy_helper.from_array(WEIGHTS, "w")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "net.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    content = network(add(), tensors=[inside]).SerializeToString()
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="not a usable ONNX network"):
        open_session((tmp_path / "net.ort").read_bytes(), "net", Runtime(threads=1))


@given(st.binary(max_size=300))
def test_what_is_no_network_is_left_to_the_engine_or_refused(content: bytes) -> None:
    with suppress(ModelError):
        refuse_external(content, "net")


def test_a_file_of_endless_parts_is_refused_before_it_takes_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(external, "MOST_FIELDS", 100)
    with pytest.raises(ModelError, match="has more than 100 parts"):
        refuse_external(b"\x08\x00" * 101, "net")
