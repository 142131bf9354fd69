"""Make the skeletons again: `python -m cloudmask_export.skeletons.build FOLDER`.

Needs torch, timm and onnx. The same versions of them give the same bytes.
"""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import timm
import torch
from onnx import helper

from cloudmask_export.skeletons import ARCHITECTURES
from cloudmask_export.skeletons.networks import DynamicUnet, network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import GraphProto, ModelProto, TensorProto
    from torch import Tensor, nn

OPSET = 17
"""Read at the same speed by onnxruntime 1.15 to 1.31, and by onnxruntime-openvino."""
IR_VERSION = 8
SHAPE = (2, 96, 160)
"""(batch, y, x) to trace with: none is 1, none equals another, all levels have several pixels."""


def skeleton(architecture: str) -> ModelProto:
    """Trace an architecture and take its weights out."""
    torch.manual_seed(0)
    traced = network(architecture).eval()
    _randomise(traced.state_dict())
    model = _export(traced, bands=int(architecture.rpartition("-")[2]))
    state = {n: t for n, t in traced.state_dict().items() if not n.endswith("num_batches_tracked")}
    _check_names(model.graph, state)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    _name_constants(model.graph)
    _forget(model)
    facts = {
        "architecture": architecture,
        "head": ",".join(_head(state)),
        "versions": f"torch {_version(torch)}, timm {_version(timm)}",
    }
    helper.set_model_props(model, facts)
    return model


def _randomise(state: Mapping[str, Tensor]) -> None:
    """Make all tensors differ: the exporter merges those that are equal.

    Their values go; only that none equals another counts.
    """
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)


def _export(traced: nn.Module, bands: int) -> ModelProto:
    """Trace as it is: weights unfolded, BatchNormalization a node of its own."""
    batch, height, width = SHAPE
    file = io.BytesIO()
    axes = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        # That the exporter is old, that the trace holds no branch: the tests tell whether it does.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced,
            (torch.rand(batch, bands, height, width),),
            file,
            dynamo=False,
            opset_version=OPSET,
            custom_opsets={"cloudmask": 1} if isinstance(traced, DynamicUnet) else None,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": axes, "logits": axes},
        )
    return onnx.load_from_string(file.getvalue())


def _check_names(graph: GraphProto, state: Mapping[str, Tensor]) -> None:
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if found != wanted:
        differing = sorted(found.items() ^ wanted.items())
        sys.exit(f"initialisers and state dict differ, first in {differing[:4]}")


def _name_constants(graph: GraphProto) -> None:
    """Turn Constant nodes into initialisers `const/...`, equal ones into one."""
    names: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        tensor = _value(node.attribute[0].t)
        key = tensor.SerializeToString()
        if key not in names:
            names[key] = tensor.name = f"const/{len(names)}"
            graph.initializer.append(tensor)
        renamed[node.output[0]] = names[key]
        graph.node.remove(node)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)


def _value(tensor: TensorProto) -> TensorProto:
    """Copy what counts, so that equal constants are equal bytes."""
    return onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor))


def _forget(model: ModelProto) -> None:
    """Leave out what tells about the machine or can be inferred again."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "cloudmask_export", "", ""
    model.graph.name, model.graph.doc_string = "skeleton", ""
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")


def _head(state: Mapping[str, Tensor]) -> list[str]:
    """Name the weight and the bias of the last layer."""
    return list(state)[-2:]


def _version(module: object) -> str:
    """Give the version without what tells CPU and GPU builds apart."""
    return str(getattr(module, "__version__", "")).split("+", 1)[0]


def main(folder: Path) -> None:
    """Write `ARCHITECTURE.onnx` for every architecture."""
    for name in ARCHITECTURES:
        (folder / f"{name}.onnx").write_bytes(skeleton(name).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
