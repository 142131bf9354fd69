"""Several files that are there all or not at all."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def is_made(network: Path, report: Path, weights: str) -> bool:
    """Tell whether a network is there whole and was made of weights with this sha256."""
    try:
        found = json.loads(report.read_bytes())
        digest = hashlib.sha256(network.read_bytes()).hexdigest()
        return bool(found["source"]["sha256"] == weights and found["result"]["sha256"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse to replace files unless that is wanted.

    Raises:
        ExportError: One of them exists, or their folder is a file.
    """
    folder = paths[0].parent
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder}: is a file; name a folder for the results")
    found = [path for path in paths if path.exists()]
    if found and not force:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise ExportError(
            f"{found[0]}{more}: exists already; say --force to replace it, or choose another "
            "folder"
        )


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a place to write each file to; all are renamed in turn if all goes well.

    Files that are replaced are kept until the last is renamed, and put back if one cannot be.

    Args:
        paths: Where the files shall be, in one folder, which is made if absent. What makes the
            others known, such as a manifest, stands last.

    Yields:
        As many paths, in a hidden folder beside them.
    """
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{paths[0].stem}.", dir=folder) as name:
        partial = [Path(name, path.name) for path in paths]
        yield partial
        _rename(partial, paths)


def _rename(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    """Rename files; what one replaces is put back if another cannot be renamed."""
    kept = [source.with_name(f"{source.name}.before") for source in sources]
    begun: list[Path] = []
    try:
        for source, target, before in zip(sources, targets, kept, strict=True):
            if target.is_file():
                target.rename(before)
            begun.append(target)
            source.rename(target)
    except BaseException:
        for target, before in zip(targets, kept, strict=True):
            if before.exists():
                before.replace(target)
            elif target in begun and target.is_file():
                target.unlink()
        raise
