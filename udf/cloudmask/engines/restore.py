"""What our ONNX files have written out, as one operation again in OpenVINO's graphs.

Networks are exported in operators that ONNX Runtime computes fast (`cloudmask_export.graph`).
OpenVINO has faster ones of its own for these, some of which it computes together with the
convolution before. The softmax over channels, written out as well, it finds by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask.engines.pattern import bound, numbers, op

if TYPE_CHECKING:
    from collections.abc import Mapping

# x tanh(ln(1 + e^x)) = x (1 - 2 q / (1 + q)), q = sigmoid(-x)^2; the factors in any order.
_SIGMOID = op("Sigmoid", op("Negative", "x"))
_GATE = op("HardSigmoid", op("SoftSign", op("Multiply", _SIGMOID, _SIGMOID)), -2.0, 1.0)
MISH = (op("Multiply", "x", _GATE), op("Multiply", _GATE, "x"))

# (n, 4c, h, w) -> (n, c, 2h, 2w): columns by a transposition, then rows taken in turn.
_HEIGHT = op("Multiply", op("Slice", op("ShapeOf", "x"), (2,), (3,), (1,), (0,)), (2,))
_COLUMNS = op("Transpose", op("Reshape", "x", "pairs"), (0, 1, 3, 2))
_ROWS = op("Reshape", _COLUMNS, op("Concat", "planes", _HEIGHT, (-1,)))
_ALL = op("Range", 0, op("Squeeze", _HEIGHT), 1)
_TURNS = op("Reshape", op("Transpose", op("Reshape", _ALL, (2, -1)), (1, 0)), (-1,))
SHUFFLE = op("Gather", _ROWS, _TURNS, 2)


def restore(graph: Any) -> int:
    """Replace each written-out Mish and pixel shuffle by OpenVINO's operation.

    Args:
        graph: An `openvino.Model`; changed. In the order of its operations, so that one may be
            the argument of the next.

    Returns:
        How many there were.
    """
    from openvino.utils import replace_node

    restored = 0
    for node in graph.get_ordered_ops():
        found = _mish(node) or _shuffle(node)
        if found is not None:
            found.set_friendly_name(node.get_friendly_name())
            replace_node(node, found)
            restored += 1
    return restored


def _mish(node: Any) -> Any:
    from openvino import opset13

    found = next(filter(None, (bound(node, pattern) for pattern in MISH)), None)
    return None if found is None else opset13.mish(found["x"])


def _shuffle(node: Any) -> Any:
    from openvino import opset13

    found = bound(node, SHUFFLE)
    if found is None or not _halves_channels(found):
        return None
    return opset13.depth_to_space(found["x"], "depth_first", 2)


def _halves_channels(found: Mapping[str, Any]) -> bool:
    """Whether the planes that a shuffle moves are those of its 4c channels."""
    shape = found["x"].partial_shape
    if shape.rank.is_dynamic or shape[1].is_dynamic:
        return False
    planes, odd = divmod(shape[1].get_length(), 4)
    wanted = ((0, 2 * planes, 2, -1), (0, planes))
    return not odd and (numbers(found["pairs"]), numbers(found["planes"])) == wanted
