"""What a call of a network costs, counted from its graph."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cloudmask_export.graph.parts import attribute
from cloudmask_export.graph.shapes import tensors

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from cloudmask_export.graph.shapes import Shape, Tensors


COPIES = 5
"""Tensors of the greatest size that ONNX Runtime holds beside those that must be there: in other
layouts before and after a convolution, its workspace, and what an allocator keeps."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a tile, a pixel of it."""

    flops: float
    """Floating point operations of convolutions and matrix products, which are nearly all: a
    multiplication with its addition counts 2."""
    live: float
    """Bytes of the tensors that must be there at the same time, at the worst moment."""
    largest: float
    """Bytes of the largest tensor."""

    @property
    def bytes(self) -> float:
        """Working memory of a call to plan with.

        Validated by the peak resident memory of fresh processes above what they held when the
        network was loaded and freed memory given back: CloudS2Mask (fp32 and int8), both
        networks of OmniCloudMask V4 and one of ukis-csmask, tiles of 256 to 1000 pixels, two
        threads, memory pattern off. That is 0.4 to 0.8 of this with the allocator's arena.
        Without it this is no bound: 0.7 to 2.1, as the C library's heap may keep up to 230 MB of
        freed pieces besides, the more the smaller the tensors are.
        """
        return self.live + COPIES * self.largest


def cost(model: ModelProto, tile: int) -> Cost:
    """Count what a tile of `tile` x `tile` pixels costs, divided by its pixels.

    Raises:
        ExportError: The shapes in the graph depend on more than the input's.
    """
    known = tensors(model, tile)
    flops = sum(_flops(each, known) for each in model.graph.node)
    largest = max(known.bytes(name) for each in model.graph.node for name in each.output if name)
    pixels = tile**2
    return Cost(flops / pixels, _peak(model.graph, known) / pixels, largest / pixels)


def _flops(node: NodeProto, known: Tensors) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    first, second, result = (known.shape(n) for n in (*node.input[:2], node.output[0]))
    return 2 * _products(node, first, second, result)


def _products(node: NodeProto, first: Shape, second: Shape, result: Shape) -> int:
    """Count multiplications: each result's elements, or each input's, times what it meets."""
    if node.op_type == "Conv":  # kernel (out, in / groups, y, x)
        return prod(result) * prod(second[1:])
    if node.op_type == "ConvTranspose":  # kernel (in, out / groups, y, x)
        return prod(first) * prod(second[1:])
    if node.op_type == "Gemm":
        return prod(result) * first[0 if attribute(node, "transA", 0) else 1]
    return prod(result) * first[-1]


def _peak(graph: GraphProto, known: Tensors) -> int:
    """Add up the tensors that are there, node by node in the graph's order, and take the most.

    A tensor is there from the node that makes it until the last that takes it has run. The
    network's input is the caller's, weights and constants are not counted.
    """
    last = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last |= {output.name: len(graph.node) for output in graph.output}
    there: dict[str, int] = {}
    most = 0
    for place, node in enumerate(graph.node):
        there |= {name: known.bytes(name) for name in node.output if name}
        most = max(most, sum(there.values()))
        there = {name: size for name, size in there.items() if last.get(name, -1) > place}
    return most
