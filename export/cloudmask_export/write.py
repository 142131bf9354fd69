"""Several files that are there all or not at all.

Files are renamed one by one, so whoever is killed then leaves some new and some old ones. He also
leaves his hidden folder, and from that the next one puts things back as they were.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cloudmask.local.beside import dead, hidden
from cloudmask.local.room import is_full, room
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
    _undo_the_dead(paths)
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

    Raises:
        OSError: The disk is full; the message says what lacks.
    """
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    _undo_the_dead(paths)
    try:
        with TemporaryDirectory(prefix=hidden(paths[0]), dir=folder) as name:
            partial = [Path(name, path.name) for path in paths]
            yield partial
            _rename(partial, paths)
    except OSError as error:
        if not is_full(error):
            raise
        what = f"{paths[0]} and what goes with it"
        raise OSError(
            f"{what}: cannot be written ({error.strerror}); {room(paths[0], 0)}"
        ) from error


def _undo_the_dead(paths: Sequence[Path]) -> None:
    """Put back what a process that was killed while it renamed left half done, and clean up."""
    folder = paths[0].parent
    if not folder.is_dir():
        return
    for left in dead(folder, paths[0].stem):
        if left.name.rsplit(".", 2)[0] != f".{paths[0].stem}":
            continue  # another network's, whose name begins like this one's
        if _names(left / RENAMING) == [path.name for path in paths]:
            _put_back([left / path.name for path in paths], paths)
            (left / RENAMING).unlink()
        shutil.rmtree(left, ignore_errors=True)


def _names(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []


RENAMING = "renaming"
"""Stands in the hidden folder while files are renamed: their names, a line each. With its removal
the new files are valid."""


def _rename(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    """Rename files; what one replaces is put back if another cannot be renamed."""
    absent = [source for source in sources if not source.exists()]
    if absent:
        raise FileNotFoundError(errno.ENOENT, "was not written", str(absent[0]))
    renaming = sources[0].with_name(RENAMING)
    renaming.write_text("\n".join(source.name for source in sources), "utf-8")
    try:
        for source, target in zip(sources, targets, strict=True):
            if target.is_file():
                target.rename(_before(source))
            source.rename(target)
        renaming.unlink()
    except BaseException:
        _put_back(sources, targets)
        raise


def _put_back(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    """Undo renames, or what is left to undo of them; who is killed here may be followed, too."""
    for source, target in zip(sources, targets, strict=True):
        if not source.exists():
            target.rename(source)
        if _before(source).exists():
            _before(source).rename(target)


def _before(source: Path) -> Path:
    return source.with_name(f"{source.name}.before")
