"""Let the parts of a training do something small, and write down what: `training.py FOLDER`.

`losses.npz`, `augmented.npz` and `transfer.npz` hold what went in and what came out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import torch

sys.path.insert(0, str(Path(__file__).parents[4] / "udf"))

from cloudmask_export.training import augment
from cloudmask_export.training.bank import Bank
from cloudmask_export.training.loop import Normal, Trainer
from cloudmask_export.training.losses import cost
from cloudmask_export.training.recipe import Augment, Recipe, Sources, Stage

STILL = Augment(scale=1.0, rotate=False)
EDGE = 32


def losses() -> dict[str, Any]:
    """Cost of random logits: certain labels, then sets, then pixels that may be anything."""
    logits = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    codes = torch.randint(4, (2, 8, 8))
    single = torch.nn.functional.one_hot(codes, 4).movedim(-1, 1).bool()
    several = single | (torch.rand(2, 4, 8, 8) < 0.4)
    several[0, :, :4] = True
    other = torch.where(several.all(1, keepdim=True), torch.randn_like(logits), logits)
    return {
        "logits": logits,
        "single": single,
        "several": several,
        "single entropy": cost(logits, single, "cross-entropy"),
        "single dice": cost(logits, single, "dice"),
        "single both": cost(logits, single, "both"),
        "several entropy": cost(logits, several, "cross-entropy"),
        "several dice": cost(logits, several, "dice"),
        "other entropy": cost(other, several, "cross-entropy"),
        "other dice": cost(other, several, "dice"),
        "unknown": cost(logits, torch.ones_like(single), "both"),
    }


def augmented() -> dict[str, Any]:
    """Flips and quarter turns of whole images, and images averaged."""
    rng = torch.Generator().manual_seed(3)
    images = torch.rand(40, 3, EDGE, EDGE)
    sets = torch.randint(1, 16, (40, EDGE, EDGE), dtype=torch.uint8)
    moved, labels = augment.moved(images, sets, EDGE, STILL, rng)
    coarse, united = augment.coarser(images, sets, 2)
    lost = augment.without_bands(images, 0.5, rng)
    return {
        "images": images, "sets": sets, "moved": moved, "labels": labels,
        "coarse": coarse, "united": united, "lost": lost,
    }  # fmt: skip


def transfer() -> dict[str, Any]:
    """Weights before and after three classes become four."""
    draw = np.random.default_rng(0)
    bank = Bank(
        images=draw.integers(1, 9000, (3, 4, 256, 256), np.uint16),
        sets=draw.choice(np.array([1, 2, 4, 8], np.uint8), (3, 256, 256)),
        kinds=np.ones(3, np.uint8),
        weights=np.ones(3, np.float32),
    )
    trainer = Trainer(_recipe(), bank, Normal.of(bank))
    steps = trainer.run()
    for _ in range(3):
        next(steps)
    before = _arrays(trainer)
    trainer._transfer(trainer.recipe.stages[1])
    after = _arrays(trainer)
    names = np.array(list(before))
    return {
        "names": names,
        **{f"before {name}": array for name, array in before.items()},
        **{f"after {name}": array for name, array in after.items()},
        "fresh": np.array([trainer.stage, trainer.step, len(trainer.optimiser.state)]),
    }


def _arrays(trainer: Trainer) -> dict[str, Any]:
    return {k: t.numpy().copy() for k, t in trainer.kept.module.state_dict().items()}


def _recipe() -> Recipe:
    return Recipe(
        name="tried",
        architecture="slim-regnety_002-4",
        bands=("B02", "B03", "B04", "B08"),
        sources=Sources(simulated=3),
        stages=(Stage(classes=3, steps=3), Stage(classes=4, steps=3)),
        batch=2,
        crop=32,
    )


def main(folder: Path) -> None:
    """Write all files."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for made in (losses, augmented, transfer):
        arrays = {name: np.asarray(value) for name, value in made().items()}
        np.savez(folder / f"{made.__name__}.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
