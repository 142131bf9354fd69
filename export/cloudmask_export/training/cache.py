"""The bank of a training, kept beside its results: to label, compose and simulate takes longest.

It is told by a fingerprint of all that it depends on: what the recipe says of it, the source files
(name, size, time of change), and the code that makes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask_export.training.bank import Bank, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.resources.abc import Traversable

    from cloudmask_export.training.recipe import Recipe

PARTS = tuple(each.name for each in fields(Bank))
"""A file each."""
NAMES = ("train", "held")
"""What is trained on, and what is held out."""
CODE = {
    "cloudmask_export.training": ("bank", "labelled", "pairs", "sets", "skies"),
    "cloudmask.local.simulator": (),
}
"""Package -> its modules whose text tells one bank from another; none for all of them."""


def cached(
    recipe: Recipe, folder: Path, tell: Callable[[str], None] = lambda _words: None
) -> tuple[Bank, Bank]:
    """Give the banks of a recipe: those in the folder if they are the same, else new ones.

    Args:
        recipe: Says what is in them.
        folder: Where they are kept, as `bank-FINGERPRINT`; older ones of it are removed.
        tell: Called with a few words before each image that is made.

    Returns:
        What to train on, and what is held out (perhaps nothing), mapped from the files.
    """
    place = folder / f"bank-{fingerprint(recipe)[:12]}"
    if not all(path.is_file() for path in _paths(place)):
        shutil.rmtree(place, ignore_errors=True)
        _keep(build(recipe, tell), place)
    for other in folder.glob("bank-*"):
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    train, held = (_read(place, name) for name in NAMES)
    return train, held


def fingerprint(recipe: Recipe) -> str:
    """Give the sha256, hexadecimal, of all that a bank depends on; no image is opened."""
    sources = recipe.sources
    told = {
        "bands": recipe.bands,
        "seed": recipe.seed,
        # Shares are drawn by, not built by; where the files lie does not count.
        "sources": {
            "hold_out": sources.hold_out,
            "composed": sources.composed,
            "simulated": sources.simulated,
        },
        "files": [_listed(path) for path in (*sources.pairs, *sources.labelled)],
        "code": list(_code()),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def without_places(recipe: Recipe) -> Recipe:
    """Give a recipe whose sources name no folders: those may move."""
    nowhere: dict[str, Any] = {
        key: tuple(Path(path.name) for path in getattr(recipe.sources, key))
        for key in ("pairs", "labelled")
    }
    return replace(recipe, sources=replace(recipe.sources, **nowhere))


def _listed(path: Path) -> list[tuple[str, int, int]]:
    found = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [
        (each.relative_to(path.parent).as_posix(), seen.st_size, seen.st_mtime_ns)
        for each, seen in ((each, each.stat()) for each in found)
    ]


def _code() -> Iterator[str]:
    for package, modules in CODE.items():
        for each in sorted(files(package).iterdir(), key=_name):
            stem, _, ending = each.name.rpartition(".")
            if ending == "py" and (stem in modules or not modules):
                yield hashlib.sha256(each.read_bytes()).hexdigest()


def _name(each: Traversable) -> str:
    return each.name


def _keep(banks: tuple[Bank, Bank], place: Path) -> None:
    """Write banks beside their place, and rename."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        arrays = [getattr(bank, part) for bank in banks for part in PARTS]
        for path, array in zip(_paths(partial), arrays, strict=True):
            np.save(path, array)
        partial.chmod(0o755)
        os.replace(partial, place)  # noqa: PTH105 - a folder, which Path.replace is not typed for
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(place: Path, name: str) -> Bank:
    return Bank(*map(_mapped, _paths(place, (name,))))


def _paths(place: Path, names: Sequence[str] = NAMES) -> list[Path]:
    return [place / f"{name}-{part}.npy" for name in names for part in PARTS]


def _mapped(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    """Map a file; an empty array cannot be."""
    found = np.load(path, allow_pickle=False)
    return found if found.size == 0 else np.load(path, mmap_mode="r", allow_pickle=False)
