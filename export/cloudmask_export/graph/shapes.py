"""The shape of every tensor of a graph at one size of its input.

ONNX's own inference stops where a shape is computed in the graph. Here what is computed of shapes
is computed, so that every shape is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, defs, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TypeProto

    Shape = tuple[int, ...]

SMALL = 1 << 14
"""Elements of the greatest tensor whose values are computed: shapes and indices have few."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """What is known of a graph's tensors, by name."""

    opset: int
    types: dict[str, TypeProto] = field(default_factory=dict)
    values: dict[str, NDArray[Any]] = field(default_factory=dict)

    def shape(self, name: str) -> Shape:
        """Give the shape of a tensor."""
        return tuple(each.dim_value for each in self.types[name].tensor_type.shape.dim)

    def bytes(self, name: str) -> int:
        """Give the size of a tensor."""
        kind = helper.tensor_dtype_to_np_dtype(self.types[name].tensor_type.elem_type)
        return prod(self.shape(name)) * kind.itemsize

    def set_value(self, name: str, value: NDArray[Any]) -> None:
        """Note a tensor's shape, and its values if they are few."""
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.types[name] = helper.make_tensor_type_proto(kind, value.shape)
        if value.size <= SMALL:
            self.values[name] = value


def tensors(model: ModelProto, tile: int) -> Tensors:
    """Find the shape of every tensor of a network.

    Args:
        model: With one input (batch, band, y, x). Its weights may lack their data.
        tile: y and x; the batch is one tile.

    Raises:
        ExportError: A shape depends on more than the input's shape, or an operation is unknown.
    """
    opset = next(each.version for each in model.opset_import if not each.domain)
    known = Tensors(opset)
    for tensor in model.graph.initializer:
        _note(known, tensor)
    given = model.graph.input[0]
    bands = given.type.tensor_type.shape.dim[1].dim_value
    shape = (1, bands, tile, tile)
    known.types[given.name] = helper.make_tensor_type_proto(TensorProto.FLOAT, shape)
    for node in model.graph.node:
        for name, found in _outputs(node, known):
            if isinstance(found, np.ndarray):
                known.set_value(name, found)
            else:
                known.types[name] = found
    return known


def _note(known: Tensors, tensor: TensorProto) -> None:
    if prod(tensor.dims) <= SMALL and tensor.ByteSize() > prod(tensor.dims):
        known.set_value(tensor.name, numpy_helper.to_array(tensor))
    else:
        kind = helper.make_tensor_type_proto(tensor.data_type, tuple(tensor.dims))
        known.types[tensor.name] = kind


def _outputs(node: NodeProto, known: Tensors) -> Iterator[tuple[str, NDArray[Any] | TypeProto]]:
    inputs = [name for name in node.input if name]
    if node.op_type == "Shape":
        # Only the shape of its input is needed, whose values are not known.
        like = {inputs[0]: np.broadcast_to(np.float32(0), known.shape(inputs[0]))}
        yield from _computed(node, like, known.opset)
    elif all(name in known.values for name in inputs):
        yield from _computed(node, {name: known.values[name] for name in inputs}, known.opset)
    else:
        yield from _inferred(node, inputs, known)


def _computed(
    node: NodeProto, inputs: dict[str, NDArray[Any]], opset: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    evaluator = ReferenceEvaluator(node, opsets={"": opset})
    for name, value in zip(node.output, evaluator.run(None, inputs), strict=True):
        yield name, np.asarray(value)


def _inferred(
    node: NodeProto, inputs: list[str], known: Tensors
) -> Iterator[tuple[str, TypeProto]]:
    schema = defs.get_schema(node.op_type, known.opset, node.domain)
    data = {n: numpy_helper.from_array(known.values[n], n) for n in inputs if n in known.values}
    types = {name: known.types[name] for name in inputs}
    opset = [helper.make_opsetid("", known.opset)]
    found = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=opset)
    for name in filter(None, node.output):
        shape = found[name].tensor_type.shape if name in found else None
        if shape is None or not all(each.HasField("dim_value") for each in shape.dim):
            raise ExportError(f"{node.op_type} {node.name!r}: the shape of {name!r} is not fixed")
        yield name, found[name]
