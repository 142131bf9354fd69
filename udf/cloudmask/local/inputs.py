"""From what was typed to scenes, their names, and where their masks go."""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rasterio.errors import RasterioError

from cloudmask.errors import CloudmaskError, OptionError
from cloudmask.local.readers import find_scenes
from cloudmask.local.writers import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudmask.local.product import Scene


@dataclass(frozen=True, slots=True)
class Failure:
    """What cannot be masked, and why."""

    place: str
    reason: str


def scenes_of(words: Sequence[str]) -> tuple[list[Scene], list[Failure]]:
    """Find the scenes that paths, patterns and addresses mean, each once, and what is none.

    Args:
        words: As typed; a pattern such as "*.SAFE" may come unexpanded.

    Raises:
        CloudmaskError: A pattern matches nothing, or the only word means no scene.
    """
    places = [place for word in words for place in _expanded(word)]
    found: dict[tuple[str, str], Scene] = {}
    failures = []
    for place in places:
        try:
            found |= {(scene.place, scene.name): scene for scene in find_scenes(place)}
        except Exception as error:
            # Whatever a strange file makes a library raise: the others are there to be masked.
            if len(places) == 1:
                raise
            known = isinstance(error, (CloudmaskError, OSError, RasterioError))
            kind = "" if known else f"{type(error).__name__}: "
            failures.append(Failure(place, f"{kind}{error}"))
    return list(found.values()), failures


PRODUCTS = ("*.SAFE", "S2*.zip")
"""Names of Sentinel-2 products; a folder of such means them."""


def _expanded(word: str) -> list[str]:
    if "://" in word:
        return [word]
    if os.path.lexists(word):
        inside = {str(path) for pattern in PRODUCTS for path in Path(word).glob(pattern)}
        return sorted(inside) or [word]
    if not glob.has_magic(word):
        return [word]
    found = sorted(glob.glob(word, recursive=True))  # noqa: PTH207  # takes absolute patterns, too
    if not found:
        raise OptionError(f"{word}: no file or folder has such a name")
    return found


def named(scenes: Iterable[Scene]) -> dict[str, Scene]:
    """Give each scene a name of its own: where two are alike, with their folders' names.

    Raises:
        OptionError: Then, too, two are alike.
    """
    scenes = list(scenes)
    times = Counter(_key(scene.name) for scene in scenes)
    found: dict[str, Scene] = {}
    keys: dict[str, Scene] = {}
    for scene in scenes:
        folder = PurePath(scene.place).parent.name
        name = scene.name if times[_key(scene.name)] == 1 else f"{folder}_{scene.name}"
        if _key(name) in keys:
            other = keys[_key(name)].place
            raise OptionError(
                f"{scene.place} and {other}: both would be called {name}; mask them to two folders"
            )
        found[name] = keys[_key(name)] = scene
    return found


def _key(name: str) -> str:
    """Make names alike that are one file where capitals do not count."""
    return name.casefold()


def folder_for(output: str, scenes: int) -> Path | None:
    """Tell the folder that is to be written to; None if `output` is one file.

    Args:
        output: As typed.
        scenes: How many there are.

    Raises:
        OptionError: Several scenes cannot be one file.
    """
    path = Path(output)
    store = path.suffix.lower() == ".zarr"  # a folder that is one file
    if output.endswith(("/", os.sep)) or (path.is_dir() and not store):
        return path
    if scenes == 1:
        return None
    if path.suffix.lower() in SUFFIXES:
        raise OptionError(
            f"{output}: {scenes} scenes are given, so a folder is needed; end its name in /"
        )
    return path
