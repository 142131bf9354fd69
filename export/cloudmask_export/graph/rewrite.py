"""Operations that ONNX Runtime computes slowly, written with others that it computes fast.

All exact: values are moved, or the same formula is written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask_export.graph.parts import (
    COLUMNS,
    ROWS,
    attribute,
    constant,
    makers,
    node,
    replace_nodes,
    weights,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def write_out_softmax(graph: GraphProto) -> None:
    """Write the softmax over channels out, in place.

    ONNX Runtime transposes for it, on one thread, as its own runs over the last axis only. The
    greatest logit is subtracted first, so that nothing overflows.
    """
    nodes: list[NodeProto] = []
    for each in graph.node:
        if each.op_type == "Softmax" and attribute(each, "axis", -1) == 1:
            nodes += _softmax(graph, each.input[0], each.output[0])
        else:
            nodes.append(each)
    replace_nodes(graph, nodes)


def _softmax(graph: GraphProto, source: str, target: str) -> list[NodeProto]:
    axis = constant(graph, "channels", np.array([1], np.int64))
    best, below, power, total = (
        f"{target}/{name}" for name in ("best", "below", "power", "total")
    )
    return [
        node("ReduceMax", [source], best, axes=[1], keepdims=1),
        node("Sub", [source, best], below),
        node("Exp", [below], power),
        node("ReduceSum", [power, axis], total, keepdims=1),
        node("Div", [power, total], target),
    ]


def write_out_shuffles(graph: GraphProto) -> None:
    """Write every pixel shuffle behind a convolution as transposing and gathering, in place.

    ONNX Runtime's DepthToSpace moves number by number on one thread. `cloudmask.engines` makes
    one operation of these again where that is faster: change both.
    """
    made_by, tensors = makers(graph), weights(graph)
    nodes: list[NodeProto] = []
    for each in graph.node:
        before = each
        while before.op_type != "Conv" and before.input and before.input[0] in made_by:
            before = made_by[before.input[0]]
        if _is_shuffle(each) and before.op_type == "Conv":
            nodes += _shuffle(graph, each, tensors[before.input[1]].dims[0] // 4)
        else:
            nodes.append(each)
    replace_nodes(graph, nodes)


def _is_shuffle(each: NodeProto) -> bool:
    """Whether it is torch's PixelShuffle(2)."""
    return (
        each.op_type == "DepthToSpace"
        and attribute(each, "mode", b"DCR") == b"CRD"
        and attribute(each, "blocksize", 0) == 2  # noqa: PLR2004
    )


def _shuffle(graph: GraphProto, shuffle: NodeProto, channels: int) -> list[NodeProto]:
    """Turn (n, 4c, h, w) into (n, c, 2h, 2w): columns by a transposition, rows by a gathering.

    The input's channels count (channel, row, column), the last two 0 or 1. Planes of two columns
    become rows of pairs, that is (n, c, row, h, 2w), and then rows are taken in turn.
    """
    source, target = shuffle.input[0], shuffle.output[0]
    pairs, columns, rows, shape = (
        f"{target}/{name}" for name in ("pairs", "columns", "rows", "shape")
    )
    two_planes = constant(graph, f"shuffle/{channels}/pairs", _whole(0, 2 * channels, 2, -1))
    return [
        *_double_height(graph, source, target),
        node("Reshape", [source, two_planes], pairs),
        node("Transpose", [pairs], columns, perm=[0, 1, 3, 2]),
        node(
            "Concat",
            [
                constant(graph, f"shuffle/{channels}", _whole(0, channels)),
                f"{target}/height",
                constant(graph, "shuffle/rest", _whole(-1)),
            ],
            shape,
            axis=0,
        ),
        node("Reshape", [columns, shape], rows),
        *_turns(graph, target),
        node("Gather", [rows, f"{target}/turns"], target, axis=2),
    ]


def _double_height(graph: GraphProto, source: str, target: str) -> list[NodeProto]:
    two = constant(graph, "shuffle/two", _whole(2))
    half = f"{target}/half"
    return [
        node("Shape", [source], half, start=2, end=3),
        node("Mul", [half, two], f"{target}/height"),
    ]


def _turns(graph: GraphProto, target: str) -> list[NodeProto]:
    """Count 0, h, 1, h + 1, ...: the rows of both kinds in turn."""
    names = ("count", "all", "halves", "couples", "turns")
    count, every, halves, couples, turns = (f"{target}/{name}" for name in names)
    first, step = (constant(graph, f"shuffle/{n}", np.array(n, np.int64)) for n in (0, 1))
    return [
        node("Squeeze", [f"{target}/height"], count),
        node("Range", [first, count, step], every),
        node("Reshape", [every, constant(graph, "shuffle/halves", _whole(2, -1))], halves),
        node("Transpose", [halves], couples, perm=[1, 0]),
        node("Reshape", [couples, constant(graph, "shuffle/rest", _whole(-1))], turns),
    ]


def _whole(*values: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def turn_gathers(graph: GraphProto) -> None:
    """Let columns be gathered as rows of the picture turned round, in place.

    Such a gathering along columns and then along rows resizes to the nearest pixel. ONNX Runtime
    copies whole rows at once, and columns number by number.
    """
    taken_by_rows = {
        each.input[0]
        for each in graph.node
        if each.op_type == "Gather" and attribute(each, "axis", 0) == ROWS
    }
    nodes: list[NodeProto] = []
    for each in graph.node:
        along = attribute(each, "axis", 0) if each.op_type == "Gather" else None
        if along == COLUMNS and each.output[0] in taken_by_rows:
            source, index = each.input
            nodes += _turned_gather(source, index, each.output[0])
        else:
            nodes.append(each)
    replace_nodes(graph, nodes)


def _turned_gather(source: str, index: str, target: str) -> list[NodeProto]:
    turned, gathered = f"{target}/turned", f"{target}/gathered"
    return [
        node("Transpose", [source], turned, perm=[0, 1, COLUMNS, ROWS]),
        node("Gather", [turned, index], gathered, axis=ROWS),
        node("Transpose", [gathered], target, perm=[0, 1, COLUMNS, ROWS]),
    ]
