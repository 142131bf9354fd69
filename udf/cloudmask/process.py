"""What this process holds, and how much the system lets it have."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from itertools import takewhile
from pathlib import Path

BASE = 176 * 2**20
"""Bytes resident in a process that has imported Python, numpy, scipy, xarray and what that takes
along (pandas, pyarrow if it is there), ONNX Runtime and rasterio."""

TO_COME = 40 * 2**20
"""Bytes that libraries take when a network is opened and a file is written for the first time."""

NO_LIMIT = 2**60
"""Bytes; control groups of the first version write a number beyond it for "none"."""


@cache
def held() -> int:
    """Bytes that the process holds before its networks are opened; looked up once.

    Later it would hold the networks, too, which a plan counts for itself.
    """
    return max(BASE, resident() + TO_COME)


def resident() -> int:
    """Bytes of this process in memory now; 0 where the system does not tell (not Linux)."""
    return _status("VmRSS:")


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return int(found[0]) * 2**10 if found else 0


def allowed() -> int | None:
    """Bytes that the system lets this process have; None if it sets no limit that we know.

    The least of the address space (RLIMIT_AS) and the control groups, those above included.
    """
    known = [limit for limit in (address_space(), *_control_groups()) if limit is not None]
    return min(known, default=None)


def room(memory: int | None) -> int | None:
    """Bytes to choose by: what is said, and no more than the system lets this process have."""
    known = [limit for limit in (memory, allowed()) if limit is not None]
    return min(known, default=None)


def address_space() -> int | None:
    """Bytes of address space that this process may have (RLIMIT_AS); None if not limited."""
    try:
        import resource
    except ImportError:  # not on Windows, where no such limit exists
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _control_groups(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """List the limits of the control groups that this process is in, from the innermost."""
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        number, controllers, place = line.split(":", 2)
        if number == "0" and not controllers:
            found += _limits(root, place, "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits(root / "memory", place, "memory.limit_in_bytes")
    return found


def _limits(root: Path, place: str, name: str) -> list[int]:
    inner = root / place.strip("/")
    # In a container the path is the host's, and the group itself is the root.
    folders = [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root)]
    texts = [_text(folder / name) for folder in folders]
    numbers = [int(text) for text in texts if text.isdecimal()]
    return [number for number in numbers if number < NO_LIMIT]


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""


def give_back() -> None:
    """Let the C library return freed memory to the system; it keeps it otherwise.

    Opening a network frees more than the network is in size. Only glibc has such a call.
    """
    trim = getattr(_own_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


LARGE = 4 * 2**20
"""Bytes of a block that is returned to the system when it is freed."""


def return_large_blocks() -> None:
    """Let the C library return each large block when it is freed, for as long as this runs.

    By itself glibc raises the size from which it does so to 32 MiB, and what is smaller stays in
    pieces: a network's call without an arena then takes a third to two thirds more memory.
    """
    adjust = getattr(_own_library(), "mallopt", None)
    if adjust is not None:
        adjust(_MMAP_THRESHOLD, LARGE)


_MMAP_THRESHOLD = -3
"""Name of the option in glibc's <malloc.h>; a value of ours also stops its raising."""


def startable(wanted: int) -> int:
    """Tell how many of the wanted threads this process can have, the one that asks included.

    ONNX Runtime waits for ever if it can start some of its threads but not all. So they are
    started for a moment, one more for what it takes meanwhile.
    """
    limit, library = address_space(), _own_library()
    if limit is not None:
        wanted = max(1, min(wanted, (limit - _status("VmSize:")) // OF_A_THREAD))
    return wanted if wanted == 1 or library is None else _started(wanted, library)


OF_A_THREAD = 136 * 2**20
"""Bytes of address space for a thread: its stack, and what glibc reserves for its memory."""


def _started(wanted: int, library: ctypes.CDLL) -> int:
    gate = ctypes.create_string_buffer(_SEMAPHORE)
    library.sem_init(gate, 0, 0)
    started = list(takewhile(bool, (_waiting(library, gate) for _ in range(wanted))))
    for _ in started:
        library.sem_post(gate)
    for thread in started:
        library.pthread_join(thread, None)  # until its stack is given back
    return max(1, len(started))


def _waiting(library: ctypes.CDLL, gate: ctypes.Array[ctypes.c_char]) -> ctypes.c_ulong | None:
    """Start a thread that waits at a semaphore; None if the system does not give one."""
    thread, work = ctypes.c_ulong(), ctypes.cast(library.sem_wait, ctypes.c_void_p)
    failed = library.pthread_create(ctypes.byref(thread), None, work, gate)
    return None if failed else thread


_SEMAPHORE = 64
"""Bytes that hold a `sem_t` on any Linux; it has 16 or 32."""


@cache
def _own_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
