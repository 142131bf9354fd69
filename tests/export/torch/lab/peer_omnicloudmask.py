"""Run OmniCloudMask's own `predict_from_array` on a scene, with a network that is given.

    python peer_omnicloudmask.py SCENE.npz ENCODER WEIGHTS.safetensors --out OUT.npz

SCENE.npz holds `numbers` (3, y, x) red, green, near infrared, `tile` and `overlap`. OUT.npz gets
`classes` (y, x), and `confidence` (class, y, x), what it gives as such.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import torch
from omnicloudmask import predict_from_array
from omnicloudmask.model_utils import load_model_from_weights


def main() -> None:
    """Read the command line, run, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = load_model_from_weights(
        f"tu-{options.encoder}", options.weights, "smp", torch.device("cpu")
    )
    with np.load(options.scene) as file:
        scene = dict(file)
    common = {
        "patch_size": int(scene["tile"]),
        "patch_overlap": int(scene["overlap"]),
        "custom_models": [model],
        "inference_device": "cpu",
    }
    classes = predict_from_array(scene["numbers"], **common)[0]
    confidence = predict_from_array(scene["numbers"], export_confidence=True, **common)
    np.savez(options.out, classes=classes, confidence=confidence)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with torch.no_grad():
        main()
