"""What watches while the product has an input of ours: for hanging, for memory, for execution.

All three are of this process and of its main thread, and are put back as they were.
"""

from __future__ import annotations

import ast
import os
import resource
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SECONDS = 20.0
"""That one trial may take, on a busy machine; most take a thousandth."""
MEMORY = 512 * 1024**2
"""Bytes beyond what the process takes before the first trial."""


class HangError(BaseException):
    """A trial took too long. No Exception, so that no reader can take it for one of its own."""


class ExecutedError(BaseException):
    """A trial did what reading never needs: execute, import, write, connect."""


# -- hanging --------------------------------------------------------------------------------


@contextmanager
def watched(seconds: float = SECONDS) -> Iterator[None]:
    """Raise HangError in what takes longer; what uses the same timer, as pytest does, goes on."""
    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, _hangs)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            rest = max(left - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, rest, interval)


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise HangError("it hangs")


# -- memory ---------------------------------------------------------------------------------


@contextmanager
def limited(more: int = MEMORY) -> Iterator[None]:
    """Let the process take only so many bytes more, where the system tells what it takes."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(statm.read_text("ascii").split()[0]) * resource.getpagesize() + more
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# -- execution ------------------------------------------------------------------------------

FORBIDDEN = frozenset(
    {
        "exec", "compile", "import", "marshal.loads", "marshal.load", "pickle.find_class",
        "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill",
        "pty.spawn", "subprocess.Popen", "_thread.start_new_thread", "sys.addaudithook",
        "cpython.run_command", "cpython.run_file", "cpython.run_module", "builtins.input",
    }
)  # fmt: skip
"""Events of Python's audit hooks (PEP 578) that running something raises."""
FORBIDDEN_KINDS = (
    "socket.", "ctypes.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "sqlite3.",
    "mmap.", "syslog.", "winreg.",
)  # fmt: skip
WRITING = frozenset(
    {
        "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
        "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr", "os.putenv",
        "os.unsetenv", "os.chdir", "shutil.rmtree", "shutil.move", "shutil.copyfile",
        "shutil.unpack_archive", "tempfile.mkstemp", "tempfile.mkdtemp",
    }
)  # fmt: skip
"""Events that change files or the process; allowed below a folder if there is one for it."""
_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Canary:
    """The state of the one audit hook, which Python lets nobody take away again."""

    def __init__(self) -> None:
        self.thread = 0
        self.writable: Path | None = None
        self.seen: list[str] = []
        self.installed = False

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.thread != threading.get_ident() or not self._sings(event, args):
            return
        # What looks at paths raises events itself.
        self.seen.append(f"{event} {ascii(args)[:120]}")
        raise ExecutedError(self.seen[-1])

    def _sings(self, event: str, args: tuple[Any, ...]) -> bool:
        if event == "open":
            return _writes(args) and not self._allowed(args[0])
        if event in WRITING:
            return not self._allowed(args[0] if args else None)
        if event == "compile":
            return not _only_parses()
        if event.startswith("ctypes.") and _asks_the_system():
            return False
        if event == "import":
            return not str(args[0]).startswith("encodings.")
        return event in FORBIDDEN or event.startswith(FORBIDDEN_KINDS)

    def _allowed(self, place: Any) -> bool:
        if self.writable is None or not isinstance(place, str | bytes | Path):
            return False
        return Path(os.fsdecode(place)).resolve().is_relative_to(self.writable)


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wax+")
    return isinstance(flags, int) and bool(flags & _FLAGS)


def _only_parses() -> bool:
    """Tell `ast.parse`, by which numpy reads the header of an array, from compiling to run."""
    # Above: this function, `_sings`, `hook`.
    return sys._getframe(3).f_code is ast.parse.__code__  # noqa: SLF001


def _asks_the_system() -> bool:
    """Tell `cloudmask.process`, which asks the C library about memory; data never come there."""
    frame = sys._getframe(3)  # noqa: SLF001
    while frame.f_back and frame.f_code.co_filename != process.__file__:
        frame = frame.f_back
    return frame.f_code.co_filename == process.__file__


_canary = _Canary()


@contextmanager
def guarded(writable: Path | None = None) -> Iterator[None]:
    """Let no data be executed and nothing be written.

    Args:
        writable: A folder that may be written in, if there is one.

    Raises:
        ExecutedError: It was tried, even if somebody caught what then was raised.
    """
    if not _canary.installed:
        _load_encodings()
        sys.addaudithook(_canary.hook)
        _canary.installed = True
    _canary.seen, _canary.writable = [], writable and writable.resolve()
    _canary.thread = threading.get_ident()
    try:
        yield
    finally:
        _canary.thread = 0
        # Also in place of what the reader made of it.
        if _canary.seen:
            raise ExecutedError(_canary.seen[0])


def _load_encodings() -> None:
    """Import Python's text encodings, which XML names and Python then imports by name."""
    import encodings
    import importlib
    import pkgutil

    for each in pkgutil.iter_modules(encodings.__path__):
        if each.name not in {"mbcs", "oem"}:  # Windows has these
            importlib.import_module(f"encodings.{each.name}")
