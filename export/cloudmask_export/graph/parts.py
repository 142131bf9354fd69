"""Small pieces of ONNX graphs: nodes, constants, and who uses what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto

CONST = "const/"
"""What the names of constants begin with: they are no weights."""

ROWS, COLUMNS = 2, 3
"""Axes of (n, channel, y, x)."""


def constant(graph: GraphProto, name: str, value: NDArray[Any] | float) -> str:
    """Add a constant (float32 if it is a float) to a graph once, and return its name."""
    full = CONST + name
    if all(tensor.name != full for tensor in graph.initializer):
        array = np.asarray(value, np.float32) if isinstance(value, float) else value
        graph.initializer.append(numpy_helper.from_array(array, full))
    return full


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    """Make a node with one output, named by it."""
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Put other nodes, in an order in which they can run, in the place of a graph's."""
    kept = list(nodes)
    del graph.node[:]
    graph.node.extend(kept)


def weights(graph: GraphProto) -> dict[str, TensorProto]:
    """List what a graph takes from a weight file, by name."""
    return {each.name: each for each in graph.initializer if not each.name.startswith(CONST)}


def uses(graph: GraphProto) -> Counter[str]:
    """Count how often each tensor is used, as input of a node or as output of the graph."""
    found = Counter(name for each in graph.node for name in each.input)
    found.update(output.name for output in graph.output)
    return found


def makers(graph: GraphProto) -> dict[str, NodeProto]:
    """Tell which node makes each tensor."""
    return {name: each for each in graph.node for name in each.output}


def attribute(each: NodeProto, name: str, default: Any = None) -> Any:
    """Give the value of a node's attribute."""
    found = next((known for known in each.attribute if known.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def drop_unused(graph: GraphProto) -> None:
    """Remove the initialisers that no node uses."""
    used = uses(graph)
    # One by one, as to put the rest in again would copy a network's weights.
    for place in reversed(range(len(graph.initializer))):
        if not used[graph.initializer[place].name]:
            del graph.initializer[place]


def rename_input(graph: GraphProto, old: str, new: str) -> None:
    """Let every node that took `old` take `new`."""
    for each in graph.node:
        for place, name in enumerate(each.input):
            if name == old:
                each.input[place] = new
