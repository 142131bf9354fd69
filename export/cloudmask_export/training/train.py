"""A whole training, in a folder: bank, steps, checkpoints, log, weights. Torch.

The folder holds `bank-FINGERPRINT/`, `checkpoint.pt`, `log.csv`, and at the end
`weights.safetensors`, which `cloudmask_export.make` takes like any other weights.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from cloudmask_export.errors import ExportError
from cloudmask_export.skeletons.networks import network
from cloudmask_export.training import cache, checkpoint, log
from cloudmask_export.training.checkpoint import Facts
from cloudmask_export.training.events import Doing, Stepped
from cloudmask_export.training.log import Row
from cloudmask_export.training.loop import Normal, Trainer, pace
from cloudmask_export.training.validate import validate
from cloudmask_export.training.weights import describe, write_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.training.bank import Bank
    from cloudmask_export.training.config import Config
    from cloudmask_export.training.events import Event, Tell
    from cloudmask_export.training.recipe import Recipe, Stage


WEIGHTS = "weights.safetensors"


def _silent(_event: Event) -> None:
    """Tell nobody."""


def train(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    threads: int | None = None,
    tell: Tell = _silent,
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train a network.

    What is drawn is drawn by the recipe's seed: on a CPU the same config and the same number of
    threads give the same weights, interrupted or not.

    Args:
        config: What it is to be.
        folder: Where everything goes; made if absent.
        resume: Go on from the folder's checkpoint, if there is one.
        threads: That torch computes with; None for as many as it thinks best.
        tell: Called with what is being done, after each step, and with each row of the log.
        stop: Asked after each step whether to end; a checkpoint is written then.

    Returns:
        The file of its weights; None if it was stopped.

    Raises:
        ExportError: The network or the data cannot be had, the folder holds another training, or
            the loss is no number any more.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    path = folder / checkpoint.FILE
    _refuse_begun(path, resume=resume)
    _check_network(config.recipe)
    folder.mkdir(parents=True, exist_ok=True)
    data = cache.fingerprint(config.recipe)
    going_on = path.exists()
    if going_on:
        # Before the bank is made anew, which takes long.
        checkpoint.refuse_other(path, checkpoint.load(path)[0], config, data)
    bank, held = cache.cached(config.recipe, folder, lambda words: tell(Doing(words)))
    trainer = Trainer(config.recipe, bank, Normal.of(bank))
    run = _Run(config, folder, data, trainer, held)
    run.enter(going_on=going_on)
    return _written(config, folder, trainer) if run.go(tell, stop) else None


def _refuse_begun(path: Path, *, resume: bool) -> None:
    if path.exists() and not resume:
        raise ExportError(
            f"{path}: a training has begun in this folder; say --resume to go on with it, or name "
            "another folder"
        )


def _check_network(recipe: Recipe) -> None:
    """Refuse an encoder that timm does not have, or that does not fit the decoder."""
    try:
        network(recipe.architecture, recipe.stages[0].classes)
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
        raise ExportError(
            f"architecture = {recipe.architecture!r}: cannot be made ({error}); the encoder is a "
            "model of timm with features, such as regnety_002, regnety_006 or edgenext_small"
        ) from error


class _Run:
    """A training on its way: what a checkpoint and a row of the log need besides the trainer."""

    def __init__(
        self, config: Config, folder: Path, data: str, trainer: Trainer, held: Bank
    ) -> None:
        self.config, self.folder, self.data = config, folder, data
        self.trainer, self.held = trainer, held
        self.losses: list[float] = []
        self.seconds = 0.0

    def enter(self, *, going_on: bool) -> None:
        """Begin at the beginning, or where the checkpoint is."""
        if going_on:
            facts, state = checkpoint.load(self.folder / checkpoint.FILE)
            checkpoint.restore(self.trainer, state)
            self.losses, self.seconds = list(facts.losses), facts.seconds
        log.begin(self.folder / log.FILE, self.trainer.stage + 1, self.trainer.step)

    def go(self, tell: Tell, stop: Callable[[], bool]) -> bool:
        """Take steps; say whether all are taken."""
        stages, trainer = self.trainer.recipe.stages, self.trainer
        total = sum(stage.steps for stage in stages)
        steps = trainer.run()
        while True:
            began = time.perf_counter()
            loss = next(steps, None)
            if loss is None:
                return True
            self.seconds += time.perf_counter() - began
            self._take(loss)
            done = sum(stage.steps for stage in stages[: trainer.stage]) + trainer.step
            tell(Stepped(done, total, loss))
            if self._is_due():
                tell(self._row())
                self._save()
            if stop():
                self._save()
                return False

    def _take(self, loss: float) -> None:
        if not math.isfinite(loss):
            stage = self.trainer.stage + 1
            raise ExportError(
                f"stage {stage}, step {self.trainer.step}: the loss is {loss}; begin anew in "
                f"another folder with a lower rate than {self._stage.rate:g}"
            )
        self.losses.append(loss)

    def _is_due(self) -> bool:
        step = self.trainer.step
        return step % self.trainer.recipe.every == 0 or step == self._stage.steps

    @property
    def _stage(self) -> Stage:
        return self.trainer.recipe.stages[self.trainer.stage]

    def _row(self) -> Row:
        stage, step = self._stage, self.trainer.step
        row = Row(
            stage=self.trainer.stage + 1,
            classes=stage.classes,
            step=step,
            loss=float(np.mean(self.losses)),
            rate=stage.rate * pace(step - 1, stage.steps),
            scores=validate(
                self._answer, self.held, stage.classes, self.trainer.recipe.pixel_size
            ),
            seconds=self.seconds,
        )
        self.losses.clear()
        # Before the checkpoint: a row too many is taken out on the way back, one too few is lost.
        log.add(self.folder / log.FILE, row)
        return row

    def _answer(self, images: NDArray[np.float32]) -> NDArray[np.intp]:
        """Ask the averaged network: reflectance (n, band, y, x) -> channel (n, y, x)."""
        net = self.trainer.kept.module.eval()
        with torch.no_grad():
            seen = self.trainer.normal(torch.from_numpy(images)).to(self.trainer.device)
            found: NDArray[np.intp] = net(seen).argmax(dim=1).cpu().numpy()
        return found

    def _save(self) -> None:
        facts = Facts(
            config=self.config,
            data=self.data,
            stage=self.trainer.stage,
            step=self.trainer.step,
            losses=tuple(self.losses),
            seconds=self.seconds,
        )
        checkpoint.save(self.folder / checkpoint.FILE, self.trainer, facts)


def _written(config: Config, folder: Path, trainer: Trainer) -> Path:
    """Write the averaged weights."""
    mean, std = (each.flatten().numpy() for each in (trainer.normal.mean, trainer.normal.std))
    state = trainer.kept.module.state_dict()
    arrays = {name: tensor.cpu().contiguous().numpy() for name, tensor in state.items()}
    path = folder / WEIGHTS
    write_weights(path, arrays, describe(config, mean, std))
    return path
