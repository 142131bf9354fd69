"""What is said of a disk that is full."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room on the disk, in the user's share of it, or for so large a file."""


def is_full(error: BaseException) -> bool:
    """Tell whether the system refused to write because there is no room."""
    return isinstance(error, OSError) and error.errno in FULL


def room(path: Path, needed: int) -> str:
    """Say what a file takes, what there is, and what to do.

    Args:
        path: The file to make; its folder is there.
        needed: Bytes that it takes at most, with what it is made of; 0 if nobody knows.
    """
    free = shutil.disk_usage(path.parent).free
    takes = f"up to {amount(needed)} are needed, " if needed else ""
    return (
        f"{takes}{amount(free)} are free in {path.parent.absolute()}: make room, or choose a "
        "folder on another disk"
    )


def amount(size: int) -> str:
    """Write a number of bytes: 0.4 MB, 12.0 MB."""
    return f"{size / 1e6:,.1f} MB"
