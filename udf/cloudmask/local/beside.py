"""Files that are there whole or not at all, and what dead processes left in the making."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudmask.local.room import amount, is_full, room

if TYPE_CHECKING:
    from collections.abc import Iterator


def _umask() -> int:
    """Read the process's file mode mask, which can only be read by setting it."""
    current = os.umask(0)
    os.umask(current)
    return current


_UMASK = _umask()
"""Read once: threads that set it at the same moment could leave the wrong one behind."""

_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
"""This machine: several may write to one folder, and their process numbers say nothing here."""

# As `hidden` begins it and `tempfile` goes on; GDAL adds to that for files of its own.
_IN_THE_MAKING = re.compile(r"\..+\.(?P<process>\d+)-(?P<host>[0-9a-f]{8})\.[a-z0-9_]{8}.*")

DAY = 86_400
"""Seconds; what another machine has not touched for so long is no longer at work."""


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; renamed to `path` if all goes well.

    Whatever stood at `path` stays until then.

    Raises:
        OSError: The disk is full; the message says what lacks.
    """
    handle, name = tempfile.mkstemp(prefix=hidden(path), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_UMASK)
        partial.replace(path)
    except OSError as error:
        if not is_full(error):
            raise
        written = partial.stat().st_size if partial.exists() else 0
        partial.unlink(missing_ok=True)  # what it took is free again, and yet was not enough
        raise OSError(
            f"{path}: cannot be written ({error.strerror} after {amount(written)}); "
            f"{room(path, 0)}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
        Path(f"{partial}.aux.xml").unlink(missing_ok=True)


def hidden(path: Path) -> str:
    """Say how the names of temporary files and folders beside `path` start.

    Process and machine are in it, so that what a killed process left is told from what is at work.
    """
    return f".{path.stem}.{os.getpid()}-{_HOST}."


def sweep(folder: Path, stem: str = "") -> None:
    """Remove what dead processes left in the making; nothing else is touched.

    Args:
        folder: Where to look.
        stem: Of the file that was to be made; empty for all.
    """
    for left in dead(folder, stem):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def dead(folder: Path, stem: str = "") -> list[Path]:
    """List what dead processes left in the making; arguments as for `sweep`."""
    started = (left for left in folder.iterdir() if left.name.startswith(f".{stem}"))
    return [left for left in started if _is_left(left)]


def _is_left(path: Path) -> bool:
    found = _IN_THE_MAKING.fullmatch(path.name)
    if found is None:
        return False
    if found["host"] != _HOST:
        return _untouched(path)
    return not _alive(int(found["process"]))


def _alive(process: int) -> bool:
    if os.name != "posix":  # there a signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _untouched(path: Path) -> bool:
    """Tell whether neither a file nor what lies in a folder was written to for a day."""
    try:
        times = [each.stat().st_mtime for each in (path, *path.rglob("*"))]
    except OSError:  # somebody works on it
        return False
    return time.time() - max(times) > DAY
