"""Groups of operations in OpenVINO's graphs, found by structure, whatever their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Pattern: TypeAlias = "Op | str | float | tuple[int, ...]"


@dataclass(frozen=True, slots=True)
class Op:
    """An operation.

    Its inputs are operations in turn, or names (of anything, but the same thing wherever the name
    stands), or numbers: constants of this value.
    """

    kind: str
    inputs: tuple[Pattern, ...]


def op(kind: str, *inputs: Pattern) -> Op:
    """Write a pattern."""
    return Op(kind, inputs)


def bound(node: Any, pattern: Op) -> Mapping[str, Any] | None:
    """Compare the operations that end in a node with a pattern.

    Args:
        node: An `openvino.Node` of one output.
        pattern: What to find.

    Returns:
        The `openvino.Output` behind each name, None if it is something else.
    """
    names: dict[str, Any] = {}
    return names if _is(node.output(0), pattern, names) else None


def _is(output: Any, pattern: Pattern, names: dict[str, Any]) -> bool:
    if isinstance(pattern, str):
        return bool(names.setdefault(pattern, output) == output)
    if not isinstance(pattern, Op):
        return numbers(output) == tuple(np.atleast_1d(pattern).tolist())
    node = output.get_node()
    if node.get_type_name() != pattern.kind:
        return False
    inputs = node.input_values()
    return len(inputs) == len(pattern.inputs) and all(
        _is(each, wanted, names) for each, wanted in zip(inputs, pattern.inputs, strict=True)
    )


FEW = 8


def numbers(output: Any) -> tuple[float, ...] | None:
    """Give the values of a small constant, None if it is large or none."""
    node = output.get_node()
    if node.get_type_name() != "Constant" or int(np.prod(output.get_shape())) > FEW:
        return None
    return tuple(np.ravel(node.data).tolist())
