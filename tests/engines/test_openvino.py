from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.engines import open_session
from cloudmask.engines.openvino import OpenVinoSession, open_openvino
from cloudmask.errors import ModelError
from cloudmask.registry import find
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY
from cloudmask_export.precision.int8 import quantise

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

openvino = pytest.importorskip("openvino")

ONE_THREAD = Runtime(threads=1, provider="openvino")


@pytest.fixture
def content(network: ModelProto) -> bytes:
    """The small network as a file."""
    return network.SerializeToString()


@pytest.fixture
def session(content: bytes) -> OpenVinoSession:
    """Open the small network."""
    return open_openvino(content, "small", ONE_THREAD)


class WatchedCore:
    """OpenVINO's core, which notes what it is asked to compile."""

    def __init__(self) -> None:
        self._core = openvino.Core()
        self.compiled: list[str] = []

    def compile_model(self, graph: Any, device: str, settings: dict[str, Any]) -> Any:
        """Note and compile."""
        self.compiled.append(graph.inputs[0].shape.to_string())
        return self._core.compile_model(graph, device, settings)


@pytest.fixture
def core(session: OpenVinoSession) -> WatchedCore:
    """Watch what the session compiles."""
    session._core = WatchedCore()
    return session._core


def zeros(height: int, width: int = 16, number: int = 1) -> NDArray[np.float32]:
    return np.zeros((number, 2, height, width), np.float32)


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Share of pixels with the same most probable class."""
    return float(np.mean(one.argmax(axis=1) == other.argmax(axis=1)))


# -- answers --------------------------------------------------------------------------------


def test_it_answers_as_onnx_runtime_does(content: bytes, tiles: NDArray[np.float32]) -> None:
    cpu = open_session(content, "small", Runtime(threads=1)).run(tiles)
    found = open_session(content, "small", ONE_THREAD).run(tiles)
    assert found.dtype == np.float32
    assert found.shape == (5, 3, 32, 48)
    np.testing.assert_allclose(found, cpu, rtol=0, atol=1e-5)


def test_a_network_in_8_bits_gives_the_classes_that_onnx_runtime_gives(
    network: ModelProto, tiles: NDArray[np.float32]
) -> None:
    content = quantise(network, list(tiles)).SerializeToString()
    cpu = open_session(content, "small", Runtime(threads=1)).run(tiles)
    assert agreement(open_openvino(content, "small", ONE_THREAD).run(tiles), cpu) > 0.99


@pytest.mark.parametrize("name", ["ukis-4b-l1c", "ukis-6b-l2a"])
def test_a_trained_network_gives_the_classes_that_onnx_runtime_gives(name: str) -> None:
    entry = find(name)
    if not entry.installed:
        pytest.skip(f"{name} is not installed")
    image = np.random.default_rng(5).uniform(0, 0.6, (2, len(entry.spec.bands), 16, 16))
    smooth = np.kron(image, np.ones((16, 16))).astype(np.float32)
    cpu, found = (entry.load(Runtime(threads=2, provider=each))(smooth) for each in PAIR)
    np.testing.assert_allclose(found, cpu, rtol=0, atol=1e-3)
    assert agreement(found, cpu) > 0.9998


PAIR = ("cpu", "openvino")


@pytest.mark.parametrize("bits", [32, 8])
def test_the_same_bytes_come_from_any_threads_batch_and_repetition(
    network: ModelProto, tiles: NDArray[np.float32], bits: int
) -> None:
    made = network if bits == 32 else quantise(network, list(tiles))
    content = made.SerializeToString()
    expected = open_openvino(content, "small", ONE_THREAD).run(tiles)
    for threads in (1, 2, 3):
        session = open_openvino(content, "small", Runtime(threads=threads, provider="openvino"))
        for size in (5, 1, 2, 5):
            parts = [session.run(tiles[first : first + size]) for first in range(0, 5, size)]
            np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_several_threads_may_run_tiles_of_several_sizes(
    session: OpenVinoSession, tiles: NDArray[np.float32]
) -> None:
    kinds = [tiles, np.ascontiguousarray(tiles[:, :, :16]), tiles[:1] * 2]
    expected = [session.run(each) for each in kinds]
    with ThreadPoolExecutor(6) as pool:
        for number, found in enumerate(pool.map(session.run, kinds * 20)):
            np.testing.assert_array_equal(found, expected[number % 3])


@pytest.mark.parametrize("number", [1, 3])
def test_an_answer_is_the_callers_own(
    session: OpenVinoSession, tiles: NDArray[np.float32], number: int
) -> None:
    first = session.run(tiles[:number])
    kept = first.copy()
    assert first.flags.writeable
    session.run(tiles[:number] + 1)
    np.testing.assert_array_equal(first, kept)
    first[:] = -1
    np.testing.assert_array_equal(session.run(tiles[:number]), kept)


def test_tiles_are_not_changed(session: OpenVinoSession, tiles: NDArray[np.float32]) -> None:
    before = tiles.copy()
    session.run(tiles)
    np.testing.assert_array_equal(tiles, before)


# -- compiling ------------------------------------------------------------------------------


def test_a_size_of_tiles_is_compiled_once_whatever_the_batch(
    session: OpenVinoSession, core: WatchedCore
) -> None:
    for number in (1, 3, 2):
        session.run(zeros(16, number=number))
    assert core.compiled == ["[1,2,16,16]"]


def test_nothing_is_compiled_before_a_tile_comes(core: WatchedCore) -> None:
    assert core.compiled == []


def test_the_two_sizes_used_last_are_kept(session: OpenVinoSession, core: WatchedCore) -> None:
    for height in (16, 32, 16, 48, 16, 32):
        session.run(zeros(height))
    heights = [int(shape.split(",")[2]) for shape in core.compiled]
    assert heights == [16, 32, 48, 32]


def test_threads_that_start_together_compile_once(
    session: OpenVinoSession, core: WatchedCore
) -> None:
    start = threading.Barrier(6)

    def run(_: int) -> None:
        start.wait()
        session.run(zeros(16))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    assert len(core.compiled) == 1


def test_it_computes_in_float32_on_the_threads_asked_for_and_binds_none(content: bytes) -> None:
    session = open_openvino(content, "small", Runtime(threads=1, provider="openvino"))
    compiled = session._compiled_for((2, 16, 16))
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_what_is_compiled_has_the_operations_that_openvino_is_fast_at(
    session: OpenVinoSession,
) -> None:
    assert sum(each.get_type_name() == "Mish" for each in session._graph.get_ops()) == 2


# -- what the file says ---------------------------------------------------------------------


def test_inputs_outputs_and_metadata_are_the_files(network: ModelProto) -> None:
    from onnx import ModelProto, helper

    copy = ModelProto()
    copy.CopyFrom(network)
    helper.set_model_props(copy, {METADATA_KEY: '{"a": "ü"}', "b": ""})
    content = copy.SerializeToString()
    found = open_openvino(content, "small", ONE_THREAD)
    cpu = open_session(content, "small", Runtime(threads=1))
    assert found.metadata == cpu.metadata == {METADATA_KEY: '{"a": "ü"}', "b": ""}
    assert [(each.name, each.dtype) for each in found.inputs + found.outputs] == [
        (each.name, each.dtype) for each in cpu.inputs + cpu.outputs
    ]
    assert found.inputs[0].shape == (None, 2, None, None)
    assert found.outputs[0].shape == (None, 3, None, None)


def test_a_file_without_metadata_has_none(session: OpenVinoSession) -> None:
    assert session.metadata == {}


IR = b"<?xml version='1.0'?><net name='a' version='11'><layers/><edges/></net>"


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x04K\x01.", IR])
def test_bytes_that_are_no_onnx_network_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="model 'net': not a usable ONNX network"):
        open_openvino(content, "net", ONE_THREAD)


# -- where it runs --------------------------------------------------------------------------


def test_without_openvino_the_message_says_what_to_install(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r"'openvino' .* is not installed .*sk\[openvino\]"):
        open_openvino(content, "net", ONE_THREAD)


def test_bfloat16_runs_where_the_processor_has_it_and_is_refused_elsewhere(
    content: bytes, tiles: NDArray[np.float32]
) -> None:
    runtime = Runtime(threads=1, provider="openvino-bf16")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(ModelError, match=r"'openvino-bf16': .*FP32.*choose provider 'openv"):
            open_openvino(content, "net", runtime)
        return
    session = open_openvino(content, "net", runtime)
    hint = session._compiled_for((2, 32, 48)).get_property("INFERENCE_PRECISION_HINT")
    assert hint == openvino.Type.bf16
    plain = open_openvino(content, "net", ONE_THREAD).run(tiles)
    assert agreement(session.run(tiles), plain) > 0.97


def test_float32_is_asked_for_where_the_processor_has_bfloat16(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "BF16"])
    hints = {"openvino": "f32", "openvino-bf16": "bf16"}
    for provider, hint in hints.items():
        session = open_openvino(content, "net", Runtime(provider=provider))
        assert session._settings["INFERENCE_PRECISION_HINT"] == hint


def test_bfloat16_is_refused_where_the_processor_lacks_it(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(ModelError, match=r"it has FP32, INT8\), and imitating it is several"):
        open_openvino(content, "net", Runtime(provider="openvino-bf16"))
