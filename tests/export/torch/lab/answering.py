"""Ask a checkpoint's averaged network: `answering.py CHECKPOINT FOLDER`.

Reads `image.npy`, (batch, band, y, x) reflectance, and writes `probabilities.npy`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import torch

from cloudmask_export.skeletons.networks import network


def main(checkpoint: Path, folder: Path) -> None:
    """Load, normalise, run."""
    state = torch.load(checkpoint, weights_only=True)
    net = network("slim-regnety_002-13", 4)
    prefix = "module."
    kept = {k.removeprefix(prefix): v for k, v in state["kept"].items() if k.startswith(prefix)}
    net.load_state_dict(kept)
    image = torch.from_numpy(np.load(folder / "image.npy"))
    with torch.no_grad():
        found = net.eval()((image - state["mean"]) / state["std"]).softmax(1)
    np.save(folder / "probabilities.npy", found.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
