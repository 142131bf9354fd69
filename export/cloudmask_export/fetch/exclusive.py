"""One process at a time: a lock on a file, which the system lifts when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cloudmask_export.fetch.errors import FetchError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAUSE = 0.1
"""Seconds between two looks at a lock that another process holds."""


@contextmanager
def alone(path: Path, patience: float, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock; threads of one process exclude each other too.

    Args:
        path: A file made for this, and removed afterwards.
        patience: Seconds to wait for another holder.
        waiting: Called once if there is one.

    Raises:
        FetchError: The other holder did not finish in time.
    """
    handle = _wait(path, patience, waiting)
    try:
        yield
    finally:
        _release(path, handle)


def _wait(path: Path, patience: float, waiting: Callable[[], None]) -> int:
    end = time.monotonic() + patience
    told = False
    while (handle := _take(path)) is None:
        if not told:
            waiting()
            told = True
        if time.monotonic() > end:
            raise FetchError(
                f"another process has held {path} for {patience:g} s; end it, then try again"
            )
        time.sleep(PAUSE)
    return handle


def _take(path: Path) -> int | None:
    """Lock the file now; None if it is another's."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        _lock(handle)
        # The holder before may have removed the file between our opening and locking it.
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    os.close(handle)
    return None


def _release(path: Path, handle: int) -> None:
    # Removed while locked, so that nobody else can lock what is about to go.
    with suppress(PermissionError):  # Windows removes no open file; another process will.
        path.unlink(missing_ok=True)
    os.close(handle)


def _lock(handle: int) -> None:
    """Lock an open file or raise BlockingIOError (PermissionError on Windows)."""
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
