"""Files that are there already, fetched before or put there by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask_export.families import canonical_name
from cloudmask_export.families.lock import sha256_of
from cloudmask_export.fetch.page import is_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudmask_export.families import WeightFile
    from cloudmask_export.families.lock import Lock


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a folder of one published file."""

    path: Path | None
    """The file to take; None if it must be fetched."""
    refused: tuple[str, ...] = ()
    """Files of its name that are not it, and why."""


def look(weights: WeightFile, folder: Path, lock: Lock) -> Found:
    """Look for a published file under any of its names, those of a browser's copies too."""
    refused: list[str] = []
    for path in _candidates(weights, folder):
        fault = _fault(path, weights, lock)
        if not fault:
            return Found(path, tuple(refused))
        refused.append(f"{path.name} is there, but {fault}")
    return Found(None, tuple(refused))


def _candidates(weights: WeightFile, folder: Path) -> Iterator[Path]:
    there = sorted(path for path in folder.iterdir() if path.is_file())
    for name in weights.names:
        # The plain name goes before copies of it.
        named = [path for path in there if canonical_name(path.name) == name]
        yield from sorted(named, key=lambda path: len(path.name))


def _fault(path: Path, weights: WeightFile, lock: Lock) -> str:
    """Say why a file is not the published one; "" if nothing speaks against it."""
    name = canonical_name(path.name)
    pin = lock.of(name)
    if pin:
        found = sha256_of(path)
        same = found == pin.sha256
        return "" if same else f"its sha256 is {found} where the lock file says {pin.sha256}"
    size, expected = path.stat().st_size, weights.size_of(name)
    if expected is not None and size != expected:
        return f"it has {size:,} bytes where {expected:,} are expected"
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "it is empty"
    return "it is a web page and not the weights" if is_page(head) else ""
