"""Batch normalisation that follows a convolution is folded into its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from cloudmask_export.graph.parts import attribute, drop_unused, makers, replace_nodes, uses

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto

EPSILON = 1e-5
"""What ONNX adds to a variance if a node does not say."""


def fold_batch_norm(graph: GraphProto) -> int:
    """Fold every BatchNormalization into the convolution before it, in place.

    Computed in float64; exact but for the last rounding.

    Returns:
        How many were folded. One that follows no convolution stays.
    """
    tensors = {each.name: each for each in graph.initializer}
    used, made_by = uses(graph), makers(graph)
    kept = []
    for each in graph.node:
        before = made_by.get(each.input[0]) if each.op_type == "BatchNormalization" else None
        if before is not None and _can_take(before, used, tensors):
            _fold(graph, before, each, tensors)
        else:
            kept.append(each)
    folded = len(graph.node) - len(kept)
    replace_nodes(graph, kept)
    drop_unused(graph)
    return folded


def _can_take(conv: NodeProto, used: dict[str, int], tensors: dict[str, TensorProto]) -> bool:
    """Whether a node is a convolution whose result and weights nothing else uses."""
    return (
        conv.op_type == "Conv"
        and used[conv.output[0]] == 1
        and all(name in tensors and used[name] == 1 for name in conv.input[1:])
    )


def _fold(
    graph: GraphProto, conv: NodeProto, norm: NodeProto, tensors: dict[str, TensorProto]
) -> None:
    gamma, beta, mean, variance = (_values(tensors[name]) for name in norm.input[1:5])
    scale = gamma / np.sqrt(variance + _epsilon(norm))
    kernel = tensors[conv.input[1]]
    bias = _values(tensors[conv.input[2]]) if len(conv.input) > 2 else 0.0  # noqa: PLR2004
    _set(kernel, _values(kernel) * scale.reshape(-1, 1, 1, 1))
    name = conv.input[2] if len(conv.input) > 2 else f"{kernel.name}/bias"  # noqa: PLR2004
    if name not in tensors:
        conv.input.append(name)
        graph.initializer.append(numpy_helper.from_array(np.zeros(0, np.float32), name))
        tensors[name] = graph.initializer[-1]
    _set(tensors[name], (bias - mean) * scale + beta)
    conv.output[0] = norm.output[0]


def _epsilon(norm: NodeProto) -> float:
    return float(attribute(norm, "epsilon", EPSILON))


def _values(tensor: TensorProto) -> NDArray[np.float64]:
    return numpy_helper.to_array(tensor).astype(np.float64)


def _set(tensor: TensorProto, values: NDArray[np.float64]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
