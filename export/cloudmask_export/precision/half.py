"""Weights stored with 16 bits and widened when the network is loaded.

Half the size to send and to keep, the speed of float32: CPUs compute in float32 anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, numpy_helper

from cloudmask_export.errors import ExportError
from cloudmask_export.graph.parts import node, replace_nodes, weights

if TYPE_CHECKING:
    from onnx import GraphProto

HALF_MAX = float(np.finfo(np.float16).max)
SMALL = 2
"""Tensors of fewer axes (biases, batch normalisation) keep 32 bits: they are a thousandth of the
size."""


def store_half(graph: GraphProto) -> int:
    """Store a graph's kernels as float16 with a Cast to float32 behind each, in place.

    ONNX Runtime does the casts once, when it loads the network.

    Returns:
        How many tensors were halved.

    Raises:
        ExportError: A weight is too large for float16.
    """
    casts = []
    for name, tensor in weights(graph).items():
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) >= SMALL:
            values = numpy_helper.to_array(tensor)
            _check_range(name, float(np.abs(values).max(initial=0)))
            half = f"{name}/half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
            casts.append(node("Cast", [half], name, to=TensorProto.FLOAT))
    replace_nodes(graph, [*casts, *graph.node])
    return len(casts)


def _check_range(name: str, largest: float) -> None:
    if largest > HALF_MAX:
        raise ExportError(
            f"{name} has a weight of {largest:g}, float16 ends at {HALF_MAX:g}; keep fp32"
        )
