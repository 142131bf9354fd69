"""Networks without their weights: an ONNX graph for each architecture that is published.

A skeleton's initialisers have the names and shapes of the entries of the authors' state dict, and
no data. What is to be known about the files stands in `load_skeleton`; how they are made, in
`build.py` (which needs torch and timm; reading them needs onnx alone).
"""

from __future__ import annotations

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
)
"""Decoder (fastai's DynamicUnet, Unet of segmentation_models_pytorch), encoder in timm, bands."""


def load_skeleton(name: str) -> ModelProto:
    """Read the graph of one of `ARCHITECTURES`: opset 17, IR 8, no external data.

    Input `input`: float32 (batch, band, y, x), normalised already; all but the bands are dynamic.
    Output `logits`: float32 (batch, class, y, x). An initialiser is either a constant, named
    `const/...` and with its data, or an entry of the state dict, with its shape and without data;
    every entry is there but `num_batches_tracked`. BatchNormalization nodes are those of the
    network. A node `cloudmask::Activation` (one input, one output) stands wherever fastai's
    `act_cls` does. The metadata hold `architecture`, `head` (comma-separated names of the
    initialisers whose first axis is the classes) and `versions` (what the graph was made with).

    Raises:
        ExportError: The name is unknown, or its file is missing.
    """
    # Not above: build.py shall run where torch, timm and onnx are, and nothing that we need.
    from cloudmask_export.errors import ExportError

    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ExportError(f"no network is called {name!r}; choose one of {known}")
    file = files(__name__) / f"{name}.onnx"
    if not file.is_file():
        raise ExportError(
            f"{file} is missing: the installation is damaged, install openeo-cloudmask again"
        )
    return onnx.load_from_string(file.read_bytes())
