"""What a graph without weights leaves out at its two ends.

At the front reflectance becomes what the network was trained on; at the back logits become
probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from cloudmask_export.families import FixedNormalisation
from cloudmask_export.graph.fill import heads
from cloudmask_export.graph.parts import constant, node, rename_input, replace_nodes, weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    from cloudmask_export.families.normalisation import Normalisation

INPUT = "reflectance"
OUTPUT = "probabilities"
FLAT = 1e-6
"""Reflectance: a band whose standard deviation over a tile is less is constant; one step of
Sentinel-2's numbers is 1e-4."""
REFLECTANCE_ONE = 10000.0
"""The number that a reflectance of 1 has in the products the authors read."""


def normalise(graph: GraphProto, normalisation: Normalisation) -> None:
    """Let a graph take reflectance instead of normalised values, in place."""
    inner = graph.input[0].name
    rename_input(graph, inner, "normalised")
    if isinstance(normalisation, FixedNormalisation):
        front = _fixed(graph, normalisation)
    else:
        front = _per_patch(graph)
    graph.input[0].name = INPUT
    replace_nodes(graph, [*front, *graph.node])


def _fixed(graph: GraphProto, by: FixedNormalisation) -> list[NodeProto]:
    """Subtract a mean and divide by a standard deviation, both of number / divisor."""
    scale = by.divisor / REFLECTANCE_ONE
    shape = (1, -1, 1, 1)
    mean = (np.array(by.mean) * scale).astype(np.float32).reshape(shape)
    std = (np.array(by.std) * scale).astype(np.float32).reshape(shape)
    return [
        node("Sub", [INPUT, constant(graph, "mean", mean)], "centred"),
        node("Div", ["centred", constant(graph, "std", std)], "normalised"),
    ]


def _per_patch(graph: GraphProto) -> list[NodeProto]:
    """Subtract each band's mean over the tile and divide by its standard deviation.

    As OmniCloudMask's `channel_norm_torch`; a constant band becomes 0. What float32 leaves of the
    mean is subtracted once more: a million numbers do not add up to their last digits.
    """
    flat, one = constant(graph, "flat", FLAT), constant(graph, "one", 1.0)
    return [
        *_mean(INPUT, "tile/mean"),
        node("Sub", [INPUT, "tile/mean"], "tile/nearly"),
        *_mean("tile/nearly", "tile/rest"),
        node("Sub", ["tile/nearly", "tile/rest"], "tile/centred"),
        node("Mul", ["tile/centred", "tile/centred"], "tile/squares"),
        *_mean("tile/squares", "tile/variance"),
        node("Sqrt", ["tile/variance"], "tile/std"),
        node("Greater", ["tile/std", flat], "tile/varies"),
        node("Where", ["tile/varies", "tile/std", one], "tile/divisor"),
        node("Div", ["tile/centred", "tile/divisor"], "normalised"),
    ]


def _mean(source: str, target: str) -> list[NodeProto]:
    """Average over a tile: along rows first, as short sums lose less."""
    return [
        node("ReduceMean", [source], f"{target}/rows", axes=[3], keepdims=1),
        node("ReduceMean", [f"{target}/rows"], target, axes=[2], keepdims=1),
    ]


def order_classes(model: ModelProto, order: Sequence[int]) -> None:
    """Put a filled network's output channels into another order, in place.

    Args:
        model: The network.
        order: Which of the old channels stands at each new place.
    """
    tensors = weights(model.graph)
    for name in heads(model):
        values = numpy_helper.to_array(tensors[name])[list(order)]
        tensors[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def softmax(graph: GraphProto, classes: int) -> None:
    """Let a graph answer with probabilities instead of logits, in place."""
    graph.node.append(node("Softmax", [graph.output[0].name], OUTPUT, axis=1))
    bands = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for ends, name, channels in ((graph.input, INPUT, bands), (graph.output, OUTPUT, classes)):
        del ends[:]
        ends.append(_tensor(name, channels))


def _tensor(name: str, channels: int) -> ValueInfoProto:
    shape = ("batch", channels, "height", "width")
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
