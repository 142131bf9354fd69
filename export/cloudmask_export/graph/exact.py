"""What a graph does for sizes that do not halve evenly, taken out for sizes that do.

A decoder doubles its pictures and cuts them to the size of the encoder's, or resizes them to it.
For a tile that is a multiple of a power of two the upper levels need neither: there a cut takes
all, and a resize doubles. ONNX Runtime then keeps these pictures in the layout in which it
convolves. Values are moved all the same, so answers keep every bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask_export.families.family import HALVED
from cloudmask_export.graph.parts import (
    COLUMNS,
    ROWS,
    attribute,
    constant,
    drop_unused,
    node,
    rename_input,
    replace_nodes,
    uses,
)
from cloudmask_export.graph.shapes import tensors

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from cloudmask_export.graph.shapes import Tensors

LEAST = 64
"""Pixels of the smallest tile tried."""


def keep_even_sizes(model: ModelProto, multiple: int) -> None:
    """Let a network do less, in place, as every tile will be a multiple of `multiple` pixels.

    Tried with tiles of every remainder modulo `HALVED` that such a tile can have.

    Raises:
        ExportError: The shapes in the graph depend on more than the input's.
    """
    tried = [tensors(model, each) for each in range(LEAST, LEAST + HALVED, multiple)]
    _drop_cuts(model.graph, tried)
    _double(model.graph, tried)
    _drop_dead(model.graph)


def _drop_cuts(graph: GraphProto, tried: list[Tensors]) -> None:
    """Drop every Slice that takes all of its input."""
    answers = {each.name for each in graph.output}
    kept: list[NodeProto] = []
    for each in list(graph.node):
        inner = each.op_type == "Slice" and each.output[0] not in answers
        if inner and all(_takes_all(each, known) for known in tried):
            rename_input(graph, each.output[0], each.input[0])
        else:
            kept.append(each)
    replace_nodes(graph, kept)


def _takes_all(cut: NodeProto, known: Tensors) -> bool:
    source, target = cut.input[0], cut.output[0]
    forwards = len(cut.input) < 5 or bool((known.values[cut.input[4]] > 0).all())  # noqa: PLR2004
    return forwards and known.shape(source) == known.shape(target)


def _double(graph: GraphProto, tried: list[Tensors]) -> None:
    """Resize at once where columns and then rows are gathered twice each."""
    columns = {each.output[0]: each for each in graph.node if _twice(each, COLUMNS, tried)}
    nodes: list[NodeProto] = []
    for each in graph.node:
        if _twice(each, ROWS, tried) and each.input[0] in columns:
            nodes.append(_doubled(graph, columns[each.input[0]].input[0], each.output[0]))
        else:
            nodes.append(each)
    replace_nodes(graph, nodes)


def _twice(each: NodeProto, axis: int, tried: list[Tensors]) -> bool:
    """Whether it gathers 0, 0, 1, 1, 2, ... of all along an axis."""
    if each.op_type != "Gather" or attribute(each, "axis", 0) != axis:
        return False
    return all(_each_twice(each, axis, known) for known in tried)


def _each_twice(gather: NodeProto, axis: int, known: Tensors) -> bool:
    source, index = gather.input
    shape = known.shape(source)
    wanted = np.repeat(np.arange(shape[axis]), 2) if len(shape) > axis else None
    return wanted is not None and np.array_equal(known.values.get(index, ()), wanted)


def _doubled(graph: GraphProto, source: str, target: str) -> NodeProto:
    twice = constant(graph, "doubled", np.array([1, 1, 2, 2], np.float32))
    return node(
        "Resize",
        [source, "", twice],
        target,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _drop_dead(graph: GraphProto) -> None:
    """Drop what made sizes and indices that nothing takes now."""
    while True:
        used = uses(graph)
        kept = [each for each in graph.node if any(used[name] for name in each.output)]
        if len(kept) == len(graph.node):
            break
        replace_nodes(graph, kept)
    drop_unused(graph)
