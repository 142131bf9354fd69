"""Sentences for a person: how to get files by hand, how to pin them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from cloudmask_export.families import canonical_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cloudmask_export.families import Family, WeightFile


WEIGHTS = "weights"
"""Folder within a folder of networks where `cloudmask fetch` keeps what they were made of."""


def by_hand(family: Family, failed: Mapping[WeightFile, tuple[str, ...]], folder: Path) -> str:
    """Say what each place answered, and which files to get from where and put where."""
    lines = [f"{len(failed)} of {len(family.members)} files of {family.name} could not be fetched"]
    networks = folder.parent if folder.name == WEIGHTS else folder
    for weights, faults in failed.items():
        lines += [f"{weights.file}:", *(f"  {fault}" for fault in faults)]
    lines.append("By hand: on a machine that has a way there, open in a browser")
    for weights in failed:
        lines += [
            f"  for {name}:\n    {url}" for url in weights.urls for name in [_what(weights, url)]
        ]
    lines += [
        "(one address is enough for each file), put the files under these names into",
        f"  {folder.resolve()}",
        "and run again",
        f"  cloudmask fetch {family.name} -o {shlex.quote(str(networks))}",
    ]
    return "\n".join(lines)


def _what(weights: WeightFile, url: str) -> str:
    name = weights.saved_as(url)
    size = weights.size_of(name)
    return name if size is None else f"{name} ({size:,} bytes)"


def nothing_published(family: Family) -> str:
    """Say what to do with a family that has no files."""
    return (
        f"{family.name}: no weights of it are published; export your own with cloudmask export "
        f"FILE --family {family.name}"
    )


def unpinned(path: Path, sha256: str) -> str:
    """Say that a file's hash is not known, why it is taken, and how to pin it."""
    entry = {canonical_name(path.name): {"sha256": sha256, "size": path.stat().st_size}}
    return (
        f"{path.name}: no lock file knows its hash, so nobody checked that it is its authors' "
        "file. It is taken nevertheless, because reading weights runs nothing that is in them. "
        f"Its sha256 is {sha256}; to pin it, give a lock file (--lock) with\n"
        f"  {json.dumps({'files': entry})}"
    )
