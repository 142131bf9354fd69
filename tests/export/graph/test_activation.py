from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from cloudmask_export.errors import ExportError
from cloudmask_export.graph.activation import set_activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Small = Callable[..., ModelProto]
    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]

VALUES = np.concatenate([np.linspace(-120, 120, 4001), [-1e4, -0.0, 0.0, 1e-8, 1e4, 3e38]])


def placeholder() -> list[object]:
    return [helper.make_node("Activation", ["x"], ["y"], domain="cloudmask")]


def spread(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32).reshape(1, 1, 1, -1)


def mish(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute it as the paper writes it, in float64."""
    return x * np.tanh(np.logaddexp(0, x))


@pytest.mark.parametrize(("kind", "least"), [("Mish", 1.6e-6), ("Mish as written", 2e-7)])
def test_mish_is_the_papers(kind: str, least: float, small: Small, run: Run) -> None:
    model = small(placeholder(), {}, bands=1)
    set_activation(model.graph, kind)
    x = spread(VALUES)
    wanted = mish(x.astype(np.float64))
    np.testing.assert_allclose(run(model, x), wanted, rtol=2e-6, atol=least)


def test_mish_needs_no_slow_operation(small: Small) -> None:
    model = small(placeholder(), {}, bands=1)
    set_activation(model.graph, "Mish")
    assert not {"Softplus", "Tanh", "Log", "Exp"} & {each.op_type for each in model.graph.node}


def test_relu_takes_the_placeholders_place(small: Small, run: Run) -> None:
    model = small(placeholder(), {}, bands=1)
    set_activation(model.graph, "ReLU")
    x = spread(VALUES)
    np.testing.assert_array_equal(run(model, x), np.maximum(x, 0))


def test_every_placeholder_is_filled(small: Small, run: Run) -> None:
    nodes = [
        helper.make_node("Activation", ["x"], ["a"], domain="cloudmask"),
        helper.make_node("Activation", ["a"], ["y"], domain="cloudmask"),
    ]
    model = small(nodes, {}, bands=1)
    set_activation(model.graph, "Mish")
    x = spread(np.linspace(-5, 5, 101))
    np.testing.assert_allclose(run(model, x), mish(mish(x.astype(float))), atol=2e-6)
    assert len({each.name for each in model.graph.node}) == len(model.graph.node)


def test_another_activation_is_refused(small: Small) -> None:
    model = small(placeholder(), {}, bands=1)
    with pytest.raises(ExportError, match="'GELU': known are Mish, Mish as written, ReLU"):
        set_activation(model.graph, "GELU")


def test_a_graph_that_leaves_nothing_open_stays_as_it_is(small: Small) -> None:
    model = small([helper.make_node("Relu", ["x"], ["y"])], {})
    before = model.SerializeToString()
    set_activation(model.graph, "")
    assert model.SerializeToString() == before
