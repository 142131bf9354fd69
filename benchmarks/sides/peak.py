"""As fast as the machine multiplies: `python -m benchmarks.sides.peak JSON`.

JSON: `kind`, one of `KINDS`. Of several shapes the fastest is taken; fp32 products by numpy's
BLAS, fp32 and 8-bit convolutions (and 8-bit products) by ONNX Runtime, 8-bit convolutions by
OpenVINO.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.sides.serving import Side, serve
from cloudmask import Runtime
from cloudmask.engines import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRODUCTS = (1536, 2048, 3072)
"""Edges of square matrices."""
STACKS = ((64, 256), (128, 128), (256, 64), (512, 32))
"""Channels and edge of an image that 3 x 3 convolutions turn into one alike."""
DEPTH = 8
"""Convolutions in a stack; what the first and the last convert is then of no weight."""
SECONDS = 0.3
"""A run's length, about."""

Candidate = tuple["Callable[[], Any]", float]
"""Something to run, and its operations: a multiplication with its addition counts 2."""


def gemm() -> Iterator[Candidate]:
    """Multiply matrices."""
    draw = np.random.default_rng(0)
    for edge in PRODUCTS:
        a, b = (draw.random((edge, edge), np.float32) for _ in "ab")
        yield partial(np.matmul, a, b, out=np.empty_like(a)), 2.0 * edge**3


def convolutions(provider: str, *, int8: bool) -> Iterator[Candidate]:
    """Convolve images."""
    for channels, edge in STACKS:
        session = open_session(stack(channels, int8=int8), "stack", Runtime(provider=provider))
        tile = np.random.default_rng(0).random((1, channels, edge, edge), np.float32)
        yield partial(session.run, tile), 2.0 * 9 * channels**2 * edge**2 * DEPTH


def integer_products() -> Iterator[Candidate]:
    """Multiply matrices of bytes in ONNX Runtime, whose convolutions of bytes are slower."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = Runtime().intra_op_threads
    draw = np.random.default_rng(0)
    for edge in PRODUCTS:
        session = onnxruntime.InferenceSession(_integer_product(edge), options)
        a = draw.integers(0, 255, (edge, edge), np.uint8)
        yield partial(session.run, None, {"a": a}), 2.0 * edge**3


def int8_onnxruntime() -> Iterator[Candidate]:
    """Do both."""
    yield from convolutions("cpu", int8=True)
    yield from integer_products()


KINDS: dict[str, Callable[[], Iterator[Candidate]]] = {
    "fp32 product": gemm,
    "fp32 convolution": partial(convolutions, "cpu", int8=False),
    "int8 onnxruntime": int8_onnxruntime,
    "int8 OpenVINO": partial(convolutions, "openvino", int8=True),
}


def stack(channels: int, *, int8: bool) -> bytes:
    """Make a network of convolutions; with `int8`, quantised as `cloudmask_export` does."""
    draw = np.random.default_rng(0)
    nodes: list[Any] = []
    shape, name = (channels, channels, 3, 3), "x"
    constants = [numpy_helper.from_array(np.array(1 / 128, np.float32), "scale")]
    constants += [numpy_helper.from_array(np.array(128, np.uint8), "zero")]
    for layer in range(DEPTH):
        kernel, bound = f"w{layer}", f"k{layer}"
        if int8:
            name = _rounded(nodes, name, f"x{layer}")
            values = draw.integers(-8, 8, shape, np.int8)
            nodes.append(helper.make_node("DequantizeLinear", [kernel, "scale"], [bound]))
        else:
            values, bound = draw.normal(0, 0.05, shape).astype(np.float32), kernel
        constants.append(numpy_helper.from_array(values, kernel))
        out = f"y{layer}" if layer + 1 < DEPTH else "y"
        nodes.append(helper.make_node("Conv", [name, bound], [out], pads=[1] * 4))
        name = out
    free: list[str | int | None] = ["n", channels, "h", "w"]
    ends = [helper.make_tensor_value_info(each, TensorProto.FLOAT, free) for each in "xy"]
    return _serialised(helper.make_graph(nodes, "stack", ends[:1], ends[1:], constants))


def _rounded(nodes: list[Any], name: str, prefix: str) -> str:
    """Put a tensor on 8 bits and back, which engines take as an order to compute so."""
    byte, back = f"{prefix}q", f"{prefix}d"
    nodes.append(helper.make_node("QuantizeLinear", [name, "scale", "zero"], [byte]))
    nodes.append(helper.make_node("DequantizeLinear", [byte, "scale", "zero"], [back]))
    return back


def _integer_product(edge: int) -> bytes:
    values = np.random.default_rng(1).integers(-128, 127, (edge, edge), np.int8)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    ends = [
        helper.make_tensor_value_info(name, kind, [edge, edge])
        for name, kind in (("a", TensorProto.UINT8), ("c", TensorProto.INT32))
    ]
    constant = [numpy_helper.from_array(values, "b")]
    return _serialised(helper.make_graph([node], "product", ends[:1], ends[1:], constant))


def _serialised(graph: onnx.GraphProto) -> bytes:
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def load(order: dict[str, Any]) -> Side:
    """Find the fastest shape."""
    found = []
    for work, flops in KINDS[order["kind"]]():
        work()
        found.append((flops / min(_timed(work) for _ in range(2)), work, flops))
    rate, work, flops = max(found, key=lambda each: each[0])
    repeats = max(1, round(SECONDS * rate / flops))
    return Side(partial(_repeated, work, repeats), {"flops": flops * repeats})


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _repeated(work: Callable[[], Any], repeats: int) -> None:
    for _ in range(repeats):
        work()


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
