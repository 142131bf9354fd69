"""Export fresh weights of an architecture that does not ship: `other.py ARCHITECTURE FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import torch
from author import draw, randomise

sys.path.insert(0, str(Path(__file__).parents[4] / "udf"))

from cloudmask_export import report
from cloudmask_export.make import Order, make
from cloudmask_export.skeletons.networks import network
from cloudmask_export.training.config import Card, Config
from cloudmask_export.training.recipe import Recipe, Sources, Stage
from cloudmask_export.training.weights import describe, write_weights

BANDS = ("B02", "B03", "B04", "B08", "B11")


def main(architecture: str, folder: Path) -> None:
    """Write weights as a training does, and export them."""
    recipe = Recipe(
        name="other",
        architecture=architecture,
        bands=BANDS,
        sources=Sources(simulated=1),
        stages=(Stage(classes=3, steps=1),),
    )
    net = network(architecture, 3).eval()
    with torch.no_grad():
        randomise(net, draw(len(BANDS), "2x96x96"))
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    level = np.full(len(BANDS), 0.1, np.float32)
    config = Config(recipe, Card(tile=128, overlap=32))
    write_weights(folder / "w.safetensors", arrays, describe(config, level, level))
    # The project is not installed here, so it has no version.
    vars(report)["version"] = str
    make(folder / "w.safetensors", Order(folder=folder, name="other"))


if __name__ == "__main__":
    torch.manual_seed(0)
    main(sys.argv[1], Path(sys.argv[2]))
