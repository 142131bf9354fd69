"""The training itself: stages, checkpoints, validation. Torch.

Everything drawn for a step comes from a generator seeded with the recipe's seed, the stage and the
step: a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cloudmask_export.skeletons.networks import network
from cloudmask_export.training import augment
from cloudmask_export.training.bank import FINE, SCALE
from cloudmask_export.training.losses import cost
from cloudmask_export.training.recipe import CHANNELS
from cloudmask_export.training.sets import members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from cloudmask_export.training.bank import Bank
    from cloudmask_export.training.recipe import Recipe, Stage

WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class Normal:
    """What is taken off each band, and what it is divided by."""

    mean: Tensor
    """(band, 1, 1) reflectance."""
    std: Tensor

    @staticmethod
    def of(bank: Bank) -> Normal:
        """Measure it on every fourth pixel, with three digits."""
        seen = bank.images[:, :, ::4, ::4].astype(np.float32) / SCALE
        mean, std = (np.round(f(seen, axis=(0, 2, 3)), 4) for f in (np.mean, np.std))
        std = np.maximum(std, 0.002)
        return Normal(
            *(torch.tensor(each, dtype=torch.float32)[:, None, None] for each in (mean, std))
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise reflectance (..., band, y, x)."""
        return (images - self.mean) / self.std


class Trainer:
    """The state of a training."""

    def __init__(self, recipe: Recipe, bank: Bank, normal: Normal) -> None:
        self.recipe, self.bank, self.normal = recipe, bank, normal
        self.stage, self.step = 0, 0
        torch.manual_seed(recipe.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.begin(network(recipe.architecture, recipe.stages[0].classes))

    def begin(self, net: nn.Module) -> None:
        """Train this network from now on, with a fresh average and optimiser."""
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.kept = AveragedModel(
            self.net, multi_avg_fn=get_ema_multi_avg_fn(self.recipe.smoothing), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=1e-3, weight_decay=self.recipe.decay
        )

    def run(self) -> Iterator[float]:
        """Train to the end.

        Yields:
            The loss of each step.
        """
        while True:
            stage = self.recipe.stages[self.stage]
            while self.step < stage.steps:
                loss = self._one(stage)
                self.step += 1
                yield loss
            if self.stage + 1 == len(self.recipe.stages):
                return
            self._transfer(self.recipe.stages[self.stage + 1])

    def _transfer(self, following: Stage) -> None:
        """Go on with the averaged weights; classes that are split begin as what they were."""
        before, after = (
            CHANNELS[n] for n in (self.recipe.stages[self.stage].classes, following.classes)
        )
        torch.manual_seed(self.recipe.seed + self.stage + 1)
        fresh = network(self.recipe.architecture, following.classes)
        state = {name: tensor.clone() for name, tensor in self.kept.module.state_dict().items()}
        rows = [next(n for n, old in enumerate(before) if set(new) & set(old)) for new in after]
        for name in list(fresh.state_dict())[-2:]:
            state[name] = state[name][rows]
        fresh.load_state_dict(state)
        self.stage, self.step = self.stage + 1, 0
        self.begin(fresh)

    def _one(self, stage: Stage) -> float:
        images, allowed = self.batch(stage)
        for group in self.optimiser.param_groups:
            group["lr"] = stage.rate * pace(self.step, stage.steps)
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.net(images)
        loss = cost(logits.float(), allowed, self.recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.kept.update_parameters(self.net)
        return float(loss.detach())

    def batch(self, stage: Stage) -> tuple[Tensor, Tensor]:
        """Draw the images of the present step, normalised, and what each pixel may be."""
        recipe, how = self.recipe, self.recipe.augment
        rng = np.random.default_rng([recipe.seed, 3, self.stage, self.step])
        chosen = np.sort(self.bank.draw(recipe.batch, recipe.sources.shares, rng))
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        images = torch.from_numpy(self.bank.images[chosen].astype(np.float32) / np.float32(SCALE))
        sets = torch.from_numpy(self.bank.sets[chosen])
        factor = 1 if rng.random() < how.fine else round(recipe.pixel_size / FINE)
        images, sets = augment.coarser(images, sets, factor)
        images, sets = augment.moved(images, sets, recipe.crop, how, draws)
        images = self.normal(augment.relit(images, how, draws))
        images = augment.without_bands(images, how.dropout, draws)
        allowed = torch.from_numpy(members(sets.numpy(), CHANNELS[stage.classes]))
        return (
            images.to(self.device, memory_format=torch.channels_last),
            allowed.to(self.device),
        )


def pace(step: int, steps: int) -> float:
    """Give the learning rate of a step as a share of the highest."""
    warm = max(round(WARM_UP * steps), 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1))) + 1e-3
