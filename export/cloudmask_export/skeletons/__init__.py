"""Networks without their weights: an ONNX graph for each architecture that is published.

A skeleton's initialisers have the names and shapes of the entries of the authors' state dict, and
no data. What is to be known about the files stands in `load_skeleton`; how they are made, in
`build.py` (which needs torch and timm; reading them needs onnx alone).
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from onnx import ModelProto

ARCHITECTURES = (
    "dynunet-regnety_006-13",
    "dynunet-regnety_004-3",
    "dynunet-convnextv2_nano-3",
    "dynunet-edgenext_small-3",
    "smp-regnety_004-3",
    "smp-edgenext_small-3",
    "slim-regnety_002-13",
    "slim-regnety_002-4",
)
"""Decoder (fastai's DynamicUnet, Unet of segmentation_models_pytorch, the same with four narrow
blocks on an encoder without its last stage), encoder in timm, bands."""

_ANY = re.compile(r"(?:dynunet|smp|slim)-[\w.]+-[1-9]\d*")


def load_skeleton(name: str) -> ModelProto:
    """Read the graph of one of `ARCHITECTURES`, or make another one where torch and timm are.

    It has opset 17, IR 8 and no external data.

    Input `input`: float32 (batch, band, y, x), normalised already; all but the bands are dynamic.
    Output `logits`: float32 (batch, class, y, x). An initialiser is either a constant, named
    `const/...` and with its data, or an entry of the state dict, with its shape and without data;
    every entry is there but `num_batches_tracked`. BatchNormalization nodes are those of the
    network. A node `cloudmask::Activation` (one input, one output) stands wherever fastai's
    `act_cls` does. The metadata hold `architecture`, `head` (comma-separated names of the
    initialisers whose first axis is the classes) and `versions` (what the graph was made with).

    Raises:
        ExportError: The name is unknown, its file is missing, or it does not ship and torch is
            not here to make it.
    """
    # Not above: build.py shall run where torch, timm and onnx are, and nothing that we need.
    from cloudmask_export.errors import ExportError

    if name not in ARCHITECTURES:
        return onnx.load_from_string(_made(name))
    file = files(__name__) / f"{name}.onnx"
    if not file.is_file():
        raise ExportError(
            f"{file} is missing: the installation is damaged, install openeo-cloudmask again"
        )
    return onnx.load_from_string(file.read_bytes())


@lru_cache(maxsize=2)
def _made(name: str) -> bytes:
    """Make a graph that does not ship."""
    from cloudmask_export.errors import ExportError

    unknown = f"no network is called {name!r}; choose one of {', '.join(ARCHITECTURES)}"
    if not _ANY.fullmatch(name):
        raise ExportError(unknown)
    try:
        from cloudmask_export.skeletons.build import skeleton
    except ImportError as error:
        raise ExportError(
            f"{unknown}. Others are made where torch is: pip install "
            "'openeo-cloudmask[local,export,train]'"
        ) from error
    try:
        return skeleton(name).SerializeToString()
    except RuntimeError as error:  # timm knows no such encoder
        raise ExportError(f"{unknown} ({error})") from error
