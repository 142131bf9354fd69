"""The decoder's activation, which a graph without weights leaves open.

fastai calls it `act_cls`: CloudS2Mask's decoder was trained with Mish or ReLU, and only its weight
file says which. Mish is `x tanh(ln(1 + e^x))` (Misra 2019, arXiv:1908.08681).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.errors import ExportError
from cloudmask_export.graph.parts import node, replace_nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import GraphProto, NodeProto

PLACEHOLDER = "Activation"
DOMAIN = "cloudmask"


def set_activation(graph: GraphProto, kind: str) -> None:
    """Put an activation in the place of every placeholder, in place.

    Args:
        graph: With nodes `cloudmask::Activation`.
        kind: "Mish", "Mish as written" (as torch exports it, slow in ONNX Runtime, fused by
            OpenVINO) or "ReLU"; anything for a graph without placeholders.

    Raises:
        ExportError: It is another.
    """
    nodes: list[NodeProto] = []
    for each in graph.node:
        if each.domain == DOMAIN and each.op_type == PLACEHOLDER:
            nodes += _written(graph, kind, each.input[0], each.output[0])
        else:
            nodes.append(each)
    replace_nodes(graph, nodes)


def _written(graph: GraphProto, kind: str, source: str, target: str) -> list[NodeProto]:
    if kind not in _WRITERS:
        raise ExportError(f"activation {kind!r}: known are {', '.join(_WRITERS)}")
    return _WRITERS[kind](graph, source, target)


def _relu(_graph: GraphProto, source: str, target: str) -> list[NodeProto]:
    return [node("Relu", [source], target)]


def _mish_as_written(_graph: GraphProto, source: str, target: str) -> list[NodeProto]:
    soft, bent = f"{target}/softplus", f"{target}/tanh"
    return [
        node("Softplus", [source], soft),
        node("Tanh", [soft], bent),
        node("Mul", [source, bent], target),
    ]


def _mish(_graph: GraphProto, source: str, target: str) -> list[NodeProto]:
    """Write tanh(ln(1 + e^x)) as 1 - 2 q / (1 + q), q = sigmoid(-x)^2: the same, and vectorised.

    ONNX Runtime's Softplus is scalar and would take about a third of CloudS2Mask's time. Softsign
    is q / (1 + |q|), HardSigmoid a line cut off at 0 and 1, which is where it ends anyway. Large
    and small x need no care: a sigmoid neither overflows nor divides by zero.
    `cloudmask.engines` makes one operation of these again where that is faster: change both.
    """
    opposite, sigmoid, square, soft, share = (
        f"{target}/{name}" for name in ("opposite", "sigmoid", "square", "softsign", "share")
    )
    return [
        node("Neg", [source], opposite),
        node("Sigmoid", [opposite], sigmoid),
        node("Mul", [sigmoid, sigmoid], square),
        node("Softsign", [square], soft),
        node("HardSigmoid", [soft], share, alpha=-2.0, beta=1.0),
        node("Mul", [source, share], target),
    ]


_WRITERS: dict[str, Callable[[GraphProto, str, str], list[NodeProto]]] = {
    "Mish": _mish,
    "Mish as written": _mish_as_written,
    "ReLU": _relu,
}
