from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import onnx
import onnxruntime
import pytest

from cloudmask import engines
from cloudmask.engines import PROVIDERS, open_session, providers_here
from cloudmask.engines.trial import NETWORK
from cloudmask.runtime import Runtime


def test_all_but_the_processor_say_what_they_need() -> None:
    assert next(iter(PROVIDERS)) == "cpu"
    assert [name for name, each in PROVIDERS.items() if not each.install] == ["cpu"]
    assert all(each.what and each.name == name for name, each in PROVIDERS.items())


def test_the_names_of_onnx_runtimes_providers_are_its_own() -> None:
    known = set(onnxruntime.get_all_providers())
    assert {name for each in PROVIDERS.values() for name in each.onnxruntime} <= known


def test_the_network_to_try_is_a_convolution_that_changes_nothing() -> None:
    model = onnx.load_from_string(NETWORK)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    tile = np.random.default_rng(0).normal(size=(2, 1, 5, 7)).astype(np.float32)
    found = open_session(NETWORK, "trial", Runtime(threads=1)).run(tile)
    np.testing.assert_array_equal(found, tile)


def test_the_processor_is_everywhere_and_openvino_where_it_is_installed() -> None:
    assert providers_here()[0] == "cpu"
    assert ("openvino" in providers_here()) is (find_spec("openvino") is not None)


def test_without_openvino_it_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not [name for name in providers_here() if name.startswith("openvino")]


def test_what_onnx_runtime_lists_but_cannot_start_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "cuda" in providers_here():
        pytest.skip("a graphics card is here")
    listed = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    assert "cuda" not in providers_here()


def test_an_engine_that_computes_something_else_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong:
        def run(self, tiles: np.ndarray) -> np.ndarray:
            return tiles + 1

    monkeypatch.setattr(engines, "open_session", lambda *_: Wrong())
    assert providers_here() == ()


def test_engines_are_imported_only_when_they_run() -> None:
    code = (
        "import sys, cloudmask, cloudmask.engines; cloudmask.Runtime(provider='openvino');"
        "print({'openvino', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
