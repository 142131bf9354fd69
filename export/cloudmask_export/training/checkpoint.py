"""What a training needs to go on as if it had not been interrupted. Torch, to save and load."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.local.beside import beside
from cloudmask_export.errors import ExportError
from cloudmask_export.training.cache import without_places
from cloudmask_export.training.config import Config, as_text, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask_export.training.loop import Trainer
    from cloudmask_export.training.recipe import Recipe

FILE = "checkpoint.pt"
VERSION = 1
FREE = ("name", "every")
"""Fields of a recipe that may change between two runs: they change no weight."""
KEYS = ("version", "config", "data", "stage", "step", "losses", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a checkpoint says besides its tensors."""

    config: Config
    data: str
    """Fingerprint of the banks (`cache.fingerprint`)."""
    stage: int
    """Counted from 0."""
    step: int
    """Steps of the stage that are done."""
    losses: tuple[float, ...]
    """Of the steps since the log's last row."""
    seconds: float
    """That all steps so far took."""


def save(path: Path, trainer: Trainer, facts: Facts) -> None:
    """Write a checkpoint, whole or not at all; the one before stays until then."""
    import torch

    state = {
        "version": VERSION,
        "config": as_text(facts.config),
        "data": facts.data,
        "stage": facts.stage,
        "step": facts.step,
        "losses": list(facts.losses),
        "seconds": facts.seconds,
        "mean": trainer.normal.mean,
        "std": trainer.normal.std,
        "net": trainer.net.state_dict(),
        "kept": trainer.kept.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
    }
    with beside(path) as partial:
        torch.save(state, partial)


def load(path: Path) -> tuple[Facts, Mapping[str, Any]]:
    """Read a checkpoint; nothing in it is ever executed.

    Returns:
        What it says, and all of it with its tensors, for `restore`.

    Raises:
        ExportError: It is damaged, no checkpoint, or of another version.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises whatever its parts do
        raise ExportError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}): it is damaged, or "
            "none; move it away and begin anew"
        ) from error
    return facts(path, state), state


def facts(path: Path, state: object) -> Facts:
    """Read what a checkpoint says.

    Raises:
        ExportError: It is none of ours, or of another version.
    """
    if not isinstance(state, dict) or not set(KEYS) <= state.keys():
        raise ExportError(f"{path}: is no checkpoint of `cloudmask train`; name another folder")
    if state["version"] != VERSION:
        raise ExportError(
            f"{path}: has the format {state['version']}, this version of openeo-cloudmask knows "
            f"{VERSION}; go on with the version that began, or begin anew in another folder"
        )
    return Facts(
        config=parse(state["config"], Path()),
        data=state["data"],
        stage=state["stage"],
        step=state["step"],
        losses=tuple(state["losses"]),
        seconds=state["seconds"],
    )


def refuse_other(path: Path, found: Facts, config: Config, data: str) -> None:
    """Refuse a checkpoint of another recipe or of other data.

    Raises:
        ExportError: Names the first thing that differs, as it was and as it is now.
    """
    changed = _changed(found.config.recipe, config.recipe)
    if changed:
        key, before, now = changed
        raise ExportError(
            f"{path}: was made with {key} = {before}, the config now says {now}; set it back to "
            "go on, or begin anew in another folder"
        )
    if found.data != data:
        raise ExportError(
            f"{path}: was made of other data: files of the sources have been added, removed or "
            "changed since, or this is another version of openeo-cloudmask; begin anew in another "
            "folder"
        )


def _changed(before: Recipe, now: Recipe) -> tuple[str, Any, Any] | None:
    """Find the first field that differs; folders may have moved."""
    before, now = without_places(before), without_places(now)
    for name in (each.name for each in fields(before)):
        old, new = getattr(before, name), getattr(now, name)
        if old != new and name not in FREE:
            return name, old, new
    return None


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Put a trainer of the same recipe where another one was."""
    from cloudmask_export.skeletons.networks import network

    trainer.stage, recipe = state["stage"], trainer.recipe
    fresh = network(recipe.architecture, recipe.stages[trainer.stage].classes)
    trainer.begin(fresh)
    trainer.net.load_state_dict(state["net"])
    trainer.kept.load_state_dict(state["kept"])
    trainer.optimiser.load_state_dict(state["optimiser"])
    trainer.step = state["step"]
