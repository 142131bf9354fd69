from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from cloudmask.engines import PROVIDERS, open_session
from cloudmask.engines.ort import OrtSession, _session_options, inference_session
from cloudmask.errors import ModelError
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Install = Callable[..., list["FakeSession"]]

ONE_THREAD = Runtime(threads=1)
CPU, CUDA, TENSORRT = (PROVIDERS[name].onnxruntime[0] for name in ("cpu", "cuda", "tensorrt"))


class FakeSession:
    """Stands in for ONNX Runtime's session where a graphics card would be needed."""

    def __init__(self, running: list[str], asked: list[str], **settings: Any) -> None:
        self.running, self.asked, self.settings = running, asked, settings
        self.fallback = True
        self.at_once = self.most_at_once = 0

    def get_providers(self) -> list[str]:
        """Say what it really runs on."""
        return self.running

    def disable_fallback(self) -> None:
        """Do not go elsewhere when a call fails."""
        self.fallback = False

    def get_inputs(self) -> list[Any]:
        """Give one input."""
        return [SimpleNamespace(name="x", type="tensor(float)", shape=["n", 1, "y", "x"])]

    def get_outputs(self) -> list[Any]:
        """Give one output."""
        return [SimpleNamespace(name="y", type="tensor(float)", shape=["n", 1, "y", "x"])]

    def run(self, _: list[str], feed: dict[str, NDArray[np.float32]]) -> list[Any]:
        """Give back what came, and notice calls at the same time."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.01)
        self.at_once -= 1
        return [feed["x"].copy()]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put another ONNX Runtime in the place of this one; gives the sessions that are opened."""

    def installed(
        available: list[str], running: list[str] | None = None, fails: str = ""
    ) -> list[FakeSession]:
        opened: list[FakeSession] = []

        def session(_: bytes, __: Any, providers: list[str], **settings: Any) -> FakeSession:
            if fails:
                raise RuntimeError(fails)
            found = providers if running is None else running
            opened.append(FakeSession(found, providers, **settings))
            return opened[-1]

        fake: Any = ModuleType("onnxruntime")
        fake.get_available_providers = lambda: available
        fake.SessionOptions = onnxruntime.SessionOptions
        fake.InferenceSession = session
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        return opened

    return installed


def open_on(provider: str) -> Any:
    return open_session(b"", "net", Runtime(threads=1, provider=provider))


# -- which provider runs --------------------------------------------------------------------


def test_a_provider_that_is_not_installed_is_refused_with_what_to_install(
    install: Install,
) -> None:
    install([CPU, "AzureExecutionProvider"])
    with pytest.raises(
        ModelError,
        match=r"'cuda' .* is not installed: ONNX Runtime has CPUE.*pip install onnxruntime-gpu`",
    ):
        open_on("cuda")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_session_that_quietly_went_to_the_cpu_is_refused(
    install: Install, provider: str
) -> None:
    install([TENSORRT, CUDA, CPU], running=[CPU])
    with pytest.raises(
        ModelError, match=rf"'{provider}' .* does not start, .* on {CPU} instead; it needs .*'cpu'"
    ):
        open_on(provider)


def test_tensorrt_that_quietly_became_cuda_is_refused(install: Install) -> None:
    install([TENSORRT, CUDA, CPU], running=[CUDA, CPU])
    with pytest.raises(ModelError, match=f"'tensorrt' .* would run on {CUDA}, {CPU} instead"):
        open_on("tensorrt")


def test_a_provider_that_fails_aloud_is_named(install: Install) -> None:
    install([CUDA, CPU], fails="no device")
    with pytest.raises(ModelError, match=r"model 'net': provider 'cuda' .*\(no device\); it nee"):
        open_on("cuda")


def test_what_tensorrt_does_not_know_goes_to_cuda(install: Install) -> None:
    opened = install([TENSORRT, CUDA, CPU])
    open_on("tensorrt")
    assert opened[0].asked == [TENSORRT, CUDA]


def test_a_call_that_fails_later_is_not_tried_on_the_cpu(install: Install) -> None:
    opened = install([CUDA, CPU], running=[CUDA, CPU])
    open_on("cuda")
    assert not opened[0].fallback
    assert opened[0].settings == {"enable_fallback": 0}


def test_onnx_runtimes_own_session_does_not_fall_back_either(network: ModelProto) -> None:
    session = inference_session(network.SerializeToString(), "small", ONE_THREAD)
    assert session._enable_fallback is False


@pytest.mark.parametrize(("provider", "most"), [("directml", 1), ("cuda", 4)])
def test_directml_gets_one_call_at_a_time(install: Install, provider: str, most: int) -> None:
    opened = install([PROVIDERS[provider].onnxruntime[0]])
    session, start = open_on(provider), threading.Barrier(4)

    def run(_: int) -> Any:
        start.wait()
        return session.run(np.zeros((1, 1, 2, 2), np.float32))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert 1 <= opened[0].most_at_once <= most
    assert (opened[0].most_at_once == 1) is (provider == "directml")


# -- how it runs ----------------------------------------------------------------------------


def test_the_session_gets_the_threads_and_does_not_spin() -> None:
    options = _session_options(onnxruntime.SessionOptions(), Runtime(threads=3))
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_mem_pattern


def test_the_session_gets_no_more_threads_than_the_system_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It would wait for ever for those that it cannot start (tests/openeo/test_starved.py).
    monkeypatch.setattr("cloudmask.engines.ort.startable", lambda wanted: wanted - 2)
    options = _session_options(onnxruntime.SessionOptions(), Runtime(threads=5))
    assert options.intra_op_num_threads == 3


@pytest.mark.parametrize("arena", [True, False])
def test_the_session_gets_the_arena_that_was_chosen(*, arena: bool) -> None:
    options = _session_options(onnxruntime.SessionOptions(), Runtime(threads=1, arena=arena))
    assert options.enable_cpu_mem_arena is arena


def test_inputs_outputs_and_metadata_are_the_files(network: ModelProto) -> None:
    from onnx import ModelProto, helper

    copy = ModelProto()
    copy.CopyFrom(network)
    helper.set_model_props(copy, {METADATA_KEY: "{}"})
    found = open_session(copy.SerializeToString(), "small", ONE_THREAD)
    assert isinstance(found, OrtSession)
    assert found.metadata == {METADATA_KEY: "{}"}
    assert [(each.name, each.dtype, each.shape) for each in found.inputs] == [
        ("x", "float32", ("n", 2, "h", "w"))
    ]
    assert [(each.name, each.dtype) for each in found.outputs] == [("y", "float32")]


def test_an_answer_is_the_callers_own(network: ModelProto, tiles: NDArray[np.float32]) -> None:
    session = open_session(network.SerializeToString(), "small", ONE_THREAD)
    first = session.run(tiles)
    kept = first.copy()
    session.run(tiles + 1)
    np.testing.assert_array_equal(first, kept)
    first[:] = -1
    np.testing.assert_array_equal(session.run(tiles), kept)
