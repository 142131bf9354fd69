from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from cloudmask_export.graph.fold import fold_batch_norm
from cloudmask_export.skeletons import ARCHITECTURES, load_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Small = Callable[..., ModelProto]
    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]

NORM = ("gamma", "beta", "mean", "variance")


def tensors(seed: int, *, bias: bool, groups: int = 1) -> dict[str, NDArray[np.float32]]:
    draw = np.random.default_rng(seed)
    found = {
        "kernel": draw.normal(size=(6, 6 // groups, 3, 3)),
        "gamma": draw.normal(1, 0.5, 6),
        "beta": draw.normal(size=6),
        "mean": draw.normal(size=6),
        "variance": draw.uniform(0.01, 3, 6),
        **({"bias": draw.normal(size=6)} if bias else {}),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def conv(target: str = "a", *, bias: bool = False, **attributes: Any) -> NodeProto:
    taken = ["x", "kernel", *(["bias"] if bias else [])]
    return helper.make_node("Conv", taken, [target], pads=[1, 1, 1, 1], **attributes)


def norm(source: str = "a", target: str = "y", **attributes: Any) -> NodeProto:
    return helper.make_node("BatchNormalization", [source, *NORM], [target], **attributes)


def image(seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(2, 6, 9, 8)).astype(np.float32)


@given(
    seed=st.integers(0, 999),
    bias=st.booleans(),
    groups=st.sampled_from([1, 2, 6]),
    epsilon=st.sampled_from([None, 1e-5, 1e-3, 0.5]),
)
def test_folding_changes_nothing_but_the_last_digits(
    small: Small, run: Run, seed: int, *, bias: bool, groups: int, epsilon: float | None
) -> None:
    extra: dict[str, Any] = {} if epsilon is None else {"epsilon": epsilon}
    nodes = [conv(bias=bias, group=groups), norm(**extra)]
    model = small(nodes, tensors(seed, bias=bias, groups=groups), bands=6)
    wanted = run(model, image(seed))
    assert fold_batch_norm(model.graph) == 1
    assert [each.op_type for each in model.graph.node] == ["Conv"]
    np.testing.assert_allclose(run(model, image(seed)), wanted, rtol=1e-4, atol=1e-4)


def test_what_was_folded_is_no_longer_stored(small: Small) -> None:
    model = small([conv(), norm()], tensors(0, bias=False), bands=6)
    fold_batch_norm(model.graph)
    names = {each.name for each in model.graph.initializer}
    assert not names & set(NORM)


def test_a_normalisation_that_follows_no_convolution_stays(small: Small, run: Run) -> None:
    model = small([norm("x")], tensors(0, bias=False), bands=6)
    wanted = run(model, image())
    assert fold_batch_norm(model.graph) == 0
    np.testing.assert_array_equal(run(model, image()), wanted)


def test_a_convolution_whose_result_something_else_uses_stays(small: Small, run: Run) -> None:
    nodes = [conv(), norm("a", "b"), helper.make_node("Add", ["a", "b"], ["y"])]
    model = small(nodes, tensors(0, bias=False), bands=6)
    wanted = run(model, image())
    assert fold_batch_norm(model.graph) == 0
    np.testing.assert_array_equal(run(model, image()), wanted)


def test_a_kernel_that_two_convolutions_share_stays(small: Small, run: Run) -> None:
    nodes = [
        conv("a"),
        norm("a", "b"),
        conv("c"),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    model = small(nodes, tensors(0, bias=False), bands=6)
    wanted = run(model, image())
    assert fold_batch_norm(model.graph) == 0
    np.testing.assert_array_equal(run(model, image()), wanted)


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if "regnet" in n])
def test_regnets_convolutions_take_all_normalisations_of_the_encoder(name: str) -> None:
    graph = load_skeleton(name).graph
    makers = {each.output[0]: each.op_type for each in graph.node}
    norms = [each for each in graph.node if each.op_type == "BatchNormalization"]
    after = [makers.get(each.input[0]) for each in norms]
    assert after.count("Conv") >= 30
