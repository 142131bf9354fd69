from __future__ import annotations

import hashlib
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloudmask import model as module
from cloudmask.engines import open_session, providers_here
from cloudmask.errors import CloudmaskError, ModelError
from cloudmask.model import OnnxModel, embedded_manifest, load_onnx
from cloudmask.options import Options
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY, ModelSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHTS = np.random.default_rng(1).normal(0, 1, (3, 2, 1, 1)).astype(np.float32)
FREE: list[Any] = ["n", 2, "y", "x"]
SAME: list[Any] = ["n", 3, "y2", "x2"]
ONE_THREAD = Runtime(threads=1)


class MakeNetwork(Protocol):
    """What the fixture below gives."""

    def __call__(
        self,
        *,
        weights: NDArray[np.float32] = ...,
        takes: list[Any] = ...,
        gives: list[Any] = ...,
        pool: int = ...,
        manifest: str = ...,
        outputs: int = ...,
    ) -> Path:
        """Write a network."""


@pytest.fixture
def make_network(tmp_path: Path) -> MakeNetwork:
    """Write a 1 x 1 convolution as an ONNX file."""

    def make(
        *,
        weights: NDArray[np.float32] = WEIGHTS,
        takes: list[Any] = FREE,
        gives: list[Any] = SAME,
        pool: int = 1,
        manifest: str = "",
        outputs: int = 1,
    ) -> Path:
        nodes = [helper.make_node("Conv", ["input", "weights"], ["mixed"], kernel_shape=[1, 1])]
        nodes.append(
            helper.make_node(
                "AveragePool", ["mixed"], ["output"], kernel_shape=[pool] * 2, strides=[pool] * 2
            )
        )
        out = [helper.make_tensor_value_info("output", TensorProto.FLOAT, gives)]
        if outputs == 2:
            out.append(helper.make_tensor_value_info("mixed", TensorProto.FLOAT, gives))
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, takes)],
            out,
            [numpy_helper.from_array(weights, "weights")],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if manifest:
            helper.set_model_props(made, {METADATA_KEY: manifest})
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.onnx"
        onnx.save(made, path)
        return path

    return make


def spec(**changes: Any) -> ModelSpec:
    plain = ModelSpec(
        name="net",
        bands=("B02", "B03"),
        classes=(0, 1, 3),
        tile=16,
        overlap=4,
        mean=(0.2, 0.3),
        std=(0.5, 0.7),
        softmax=True,
    )
    return replace(plain, **changes)


def tiles(number: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(2).uniform(0, 1, (number, 2, 16, 16)).astype(np.float32)


def oracle(stack: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standardise, multiply, softmax, in double precision."""
    mean, std = np.array([0.2, 0.3]), np.array([0.5, 0.7])
    scaled = (np.moveaxis(stack, 1, -1).astype(np.float64) - mean) / std
    powers = np.exp(scaled @ WEIGHTS[:, :, 0, 0].T.astype(np.float64))
    return np.moveaxis(powers / powers.sum(axis=-1, keepdims=True), -1, 1)


# -- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", providers_here())
def test_a_network_answers_as_plain_arithmetic_says(
    make_network: MakeNetwork, provider: str
) -> None:
    model = load_onnx(make_network(), spec(), Runtime(threads=1, provider=provider))
    tolerance = 0.02 if provider.endswith("bf16") else 1e-6
    np.testing.assert_allclose(model(tiles()), oracle(tiles()), rtol=0, atol=tolerance)


def test_tiles_need_not_be_contiguous(make_network: MakeNetwork) -> None:
    for each in (spec(), spec(mean=(), std=())):
        model = load_onnx(make_network(), each, ONE_THREAD)
        turned = np.rot90(tiles(), axes=(-2, -1))[..., ::-1]
        np.testing.assert_array_equal(model(turned), model(turned.copy()))


def test_tiles_are_not_changed(make_network: MakeNetwork) -> None:
    stack = tiles()
    load_onnx(make_network(), spec(), ONE_THREAD)(stack)
    np.testing.assert_array_equal(stack, tiles())


def test_without_softmax_the_answer_is_the_graphs_own(make_network: MakeNetwork) -> None:
    plain = load_onnx(make_network(), spec(softmax=False, mean=(), std=()), ONE_THREAD)
    expected = np.moveaxis(np.moveaxis(tiles(), 1, -1) @ WEIGHTS[:, :, 0, 0].T, -1, 1)
    np.testing.assert_allclose(plain(tiles()), expected, rtol=0, atol=1e-5)


def test_probabilities_of_large_logits_are_finite_and_sum_to_one(
    make_network: MakeNetwork,
) -> None:
    model = load_onnx(make_network(weights=WEIGHTS * 1e4), spec(), ONE_THREAD)
    answer = model(tiles())
    assert np.isfinite(answer).all()
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=0, atol=1e-6)


# -- contradictions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bands": ("B02",), "mean": (), "std": ()}, "input has 2 bands, manifest has 1"),
        ({"classes": (0, 1)}, "output has 3 classes, manifest has 2"),
        ({"input_name": "x"}, r"inputs \['input'\], manifest has 'x'"),
    ],
)
def test_a_manifest_that_contradicts_its_network_is_refused(
    make_network: MakeNetwork, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(ModelError, match=f"model 'net' contradicts its manifest: .*{match}"):
        load_onnx(make_network(), spec(**changes), ONE_THREAD)


@pytest.mark.parametrize(("edge", "fixed"), [(32, True), (32, False), (16, False)])
def test_another_tile_than_the_networks_is_refused(
    make_network: MakeNetwork, edge: int, *, fixed: bool
) -> None:
    path = make_network(takes=["n", 2, edge, edge])
    with pytest.raises(ModelError, match=f"it takes tiles of {edge} pixels, the manifest has"):
        load_onnx(path, spec(fixed_tile=fixed), ONE_THREAD)


def test_a_fixed_tile_as_the_manifest_says_is_taken(make_network: MakeNetwork) -> None:
    model = load_onnx(make_network(takes=["n", 2, 16, 16]), spec(fixed_tile=True), ONE_THREAD)
    assert model(tiles()).shape == (3, 3, 16, 16)


def test_a_network_of_two_outputs_is_refused(make_network: MakeNetwork) -> None:
    with pytest.raises(ModelError, match="2 outputs, one is supported"):
        load_onnx(make_network(outputs=2), spec(), ONE_THREAD)


def test_a_network_of_fixed_batches_runs_any_batch_or_is_refused(
    make_network: MakeNetwork,
) -> None:
    path = make_network(takes=[1, 2, "y", "x"], gives=[1, 3, "y", "x"])
    try:
        answer = load_onnx(path, spec(), ONE_THREAD)(tiles())
    except CloudmaskError:
        return
    np.testing.assert_allclose(answer, oracle(tiles()), rtol=0, atol=1e-6)


def test_a_network_whose_answer_is_smaller_than_its_tile_is_refused(
    make_network: MakeNetwork,
) -> None:
    path = make_network(pool=2)
    with pytest.raises(ModelError, match="net"):
        load_onnx(path, spec(), ONE_THREAD)(tiles())


@pytest.mark.parametrize("provider", providers_here())
def test_a_network_that_fails_on_a_tile_says_so(make_network: MakeNetwork, provider: str) -> None:
    path, runtime = make_network(), Runtime(threads=1, provider=provider)
    model = load_onnx(path, spec(mean=(), std=()), runtime)
    with pytest.raises(ModelError, match=r"model 'net' failed on tiles of shape \(1, 3, 16, 16\)"):
        model(np.zeros((1, 3, 16, 16), np.float32))


# -- files ----------------------------------------------------------------------------------


def test_the_pinned_file_is_taken(make_network: MakeNetwork) -> None:
    path = make_network()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_onnx(path, spec(sha256=sha256), ONE_THREAD).spec.sha256 == sha256


def test_a_file_with_another_hash_is_refused(make_network: MakeNetwork) -> None:
    with pytest.raises(ModelError, match=r"sha256 is [0-9a-f]{64}, the manifest says 0000"):
        load_onnx(make_network(), spec(sha256="0" * 64), ONE_THREAD)


def test_the_hash_is_compared_before_the_file_is_parsed(
    make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a file with a wrong hash was opened")

    monkeypatch.setattr(module, "open_session", refuse)
    with pytest.raises(ModelError, match="the manifest says"):
        load_onnx(make_network(), spec(sha256="1" * 64), ONE_THREAD)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps({"a": 1}), b"\x08" * 4000])
def test_bytes_that_are_no_network_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not a usable ONNX network|contradicts its manifest"):
        load_onnx(path, spec(), ONE_THREAD)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_network_is_refused(make_network: MakeNetwork, share: float) -> None:
    path = make_network()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"not a usable ONNX network|contradicts its manifest"):
        load_onnx(path, spec(), ONE_THREAD)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_onnx(tmp_path / "none.onnx", spec(), ONE_THREAD)


def test_a_provider_that_is_not_here_is_refused(make_network: MakeNetwork) -> None:
    absent = next(name for name in ("directml", "coreml") if name not in providers_here())
    with pytest.raises(ModelError, match=f"provider '{absent}' .* is not installed.*it needs"):
        load_onnx(make_network(), spec(), Runtime(threads=1, provider=absent))


def test_the_manifest_inside_a_file_is_found(make_network: MakeNetwork) -> None:
    text = json.dumps({"a": "manifest"})
    assert embedded_manifest(make_network(manifest=text)) == text


def test_a_file_without_a_manifest_inside_has_none(make_network: MakeNetwork) -> None:
    assert embedded_manifest(make_network()) is None


# -- sessions -------------------------------------------------------------------------------


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the networks that sessions are opened for."""
    opened: list[str] = []

    def watched(content: bytes, name: str, runtime: Runtime) -> Any:
        opened.append(name)
        return open_session(content, name, runtime)

    monkeypatch.setattr(module, "open_session", watched)
    return opened


def test_a_session_is_opened_once_a_process(
    make_network: MakeNetwork, sessions: list[str]
) -> None:
    path = make_network()
    first = load_onnx(path, spec(), ONE_THREAD)
    assert load_onnx(path, spec(), ONE_THREAD) is first
    assert sessions == ["net"]


def test_threads_that_start_together_open_one_session(
    make_network: MakeNetwork, sessions: list[str]
) -> None:
    path, start = make_network(), threading.Barrier(8)

    def load(_: int) -> OnnxModel:
        start.wait()
        return load_onnx(path, spec(), ONE_THREAD)

    with ThreadPoolExecutor(8) as pool:
        assert len({id(model) for model in pool.map(load, range(8))}) == 1
    assert sessions == ["net"]


@pytest.mark.parametrize("changes", [{"threads": 2}, {"arena": False}])
def test_another_runtime_is_another_session(
    make_network: MakeNetwork, sessions: list[str], changes: dict[str, Any]
) -> None:
    path = make_network()
    load_onnx(path, spec(), ONE_THREAD)
    load_onnx(path, spec(), replace(ONE_THREAD, **changes))
    assert sessions == ["net", "net"]


def test_a_pickled_network_opens_no_second_session(
    make_network: MakeNetwork, sessions: list[str]
) -> None:
    model = load_onnx(make_network(), spec(), ONE_THREAD)
    assert pickle.loads(pickle.dumps(model)) is model  # noqa: S301 - our own bytes
    assert sessions == ["net"]


def test_a_network_unpickled_elsewhere_answers_the_same(make_network: MakeNetwork) -> None:
    model = load_onnx(make_network(), spec(), ONE_THREAD)
    answer, pickled = model(tiles()), pickle.dumps(model)
    assert len(pickled) < 4000  # the recipe, not the weights
    module._load_onnx.cache_clear()
    again = pickle.loads(pickled)  # noqa: S301 - our own bytes
    assert again is not model
    np.testing.assert_array_equal(again(tiles()), answer)


def test_several_threads_may_call_one_network(make_network: MakeNetwork) -> None:
    model = load_onnx(make_network(), spec(), ONE_THREAD)
    expected = model(tiles())
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: model(tiles()), range(40)):
            np.testing.assert_array_equal(answer, expected)


def test_options_open_networks_with_their_runtime(
    make_network: MakeNetwork, sessions: list[str]
) -> None:
    model = load_onnx(make_network(), spec(), ONE_THREAD)
    ensemble = Options(runtime=ONE_THREAD).ensemble([model])
    assert ensemble.models == (model,)
    assert sessions == ["net"]
