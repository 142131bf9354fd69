"""A process that does our work and is done harm meanwhile; started by the tests of this folder.

It loads everything once and then forks: one child for each order that comes as a line of JSON on
its standard input, so that a hundred deaths cost little. The answer is a line, too: how it ended.

A step is a change of the folder that Python is about to make: it opens a file for writing, makes,
renames or removes one. Harm is done just before one of them, so that the same step is the same
moment in every run. What C libraries write is hit by a limit on the size of files instead.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGES = {
    "open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link",
}  # fmt: skip
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
PRIVATE = 0x40000 | 0x4000
"""MS_PRIVATE and MS_REC: what is mounted here is nobody else's."""
READ_ONLY = 1 | 32
"""MS_RDONLY and MS_REMOUNT."""
PATIENCE = 100
"""Seconds until what hangs is ended by SIGALRM."""
KEPT = "kept"
"""What stays of a small disk: its files, beside the folder that it was mounted on."""


# -- what is done ------------------------------------------------------------------------------


def cloudmask(*words: str) -> None:
    """Run the command."""
    sys.argv = ["cloudmask", *words]
    COMMAND[0]()


COMMAND: list[Any] = []
"""The command's own app, in whose place all work is put: see `_ended`."""


def fetch(url: str, folder: str, *sizes: str) -> None:
    """Fetch a file that is published at an address, of a size if one is known."""
    from cloudmask.local.console import stoppable
    from cloudmask_export.families import family
    from cloudmask_export.fetch import fetch as get

    real = family("clouds2mask-20m")
    size = int(sizes[0]) if sizes else None
    member = replace(real.members[0], file="net.pkl", urls=(url,), size=size)
    with stoppable():
        get(replace(real, members=(member,)), Path(folder), say=print)


def crowd(count: str, *words: str) -> None:
    """Let so many processes fetch the same at the same moment."""
    children = []
    for _ in range(int(count)):
        child = os.fork()
        if not child:
            os._exit(_ended(partial(fetch, *words)))
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(statuses):
        raise SystemExit(f"they ended with {statuses}")


def export(folder: str, kind: str, *force: str) -> None:
    """Write what an export writes, filled with a word, as an export writes it."""
    from cloudmask.local.console import stoppable
    from cloudmask_export.make import SUFFIXES
    from cloudmask_export.write import refuse_existing, together

    paths = [Path(folder, f"net{suffix}") for suffix in SUFFIXES]
    with stoppable():
        refuse_existing(paths, force=bool(force))
        with together(paths) as places:
            for place in places:
                place.write_text(f"{kind} {place.suffix}\n" * 2000)


def bundle(output: str) -> None:
    """Make an archive as `cloudmask bundle` does, of other content."""
    from cloudmask.local.console import stoppable
    from cloudmask_openeo.bundle.contents import Contents, Order
    from cloudmask_openeo.bundle.make import make

    files = {f"file{n}": Random(n).randbytes(9000) for n in range(5)}  # noqa: S311
    make.__globals__["collect"] = lambda _order: Contents(files, (), ())
    with stoppable():
        make(Order(output=Path(output), check=False))


WORK: dict[str, Callable[..., None]] = {
    "cloudmask": cloudmask, "fetch": fetch, "crowd": crowd, "export": export,
    "bundle": bundle,
}  # fmt: skip


# -- what is done to it ------------------------------------------------------------------------


class Steps:
    """Counts changes of a folder; harm is done before one of them."""

    def __init__(self, folder: Path, number: int, harm: Callable[[], None]) -> None:
        self._folder, self._number, self._harm = str(folder), number, harm
        self._lock, self.count = threading.Lock(), 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See `sys.addaudithook`."""
        if event not in CHANGES or not self._ours(arguments[0]):
            return
        if event == "open" and not (arguments[2] or 0) & CHANGING:
            return
        with self._lock:
            self.count += 1
            now = self.count == self._number
        if now:
            self._harm()

    def _ours(self, path: object) -> bool:
        if not isinstance(path, (str, os.PathLike)):
            return False
        return os.path.abspath(path).startswith(self._folder)  # noqa: PTH100  # no Path in a hook


def send(name: str) -> Callable[[], None]:
    """Send this process a signal, and wait for it to be looked at."""

    def harm() -> None:
        os.kill(os.getpid(), signal.Signals[name])
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.2)  # signals are the main thread's

    return harm


def cut(path: str) -> Callable[[], None]:
    """Cut a file to a third."""
    return lambda: os.truncate(path, Path(path).stat().st_size // 3)


def put(words: str) -> Callable[[], None]:
    """Put one file in the place of another: "NEW OLD"."""
    new, old = words.split()

    def harm() -> None:
        copy = Path(old).with_name(".put")
        shutil.copyfile(new, copy)
        copy.replace(old)

    return harm


def remove(path: str) -> Callable[[], None]:
    """Remove a file."""
    return Path(path).unlink


def nothing() -> None:
    """Do no harm."""


HARM: dict[str, Callable[[str], Callable[[], None]]] = {
    "send": send, "cut": cut, "put": put, "remove": remove,
}  # fmt: skip


def limit(size: int, *, deadly: bool) -> None:
    """Let no file grow beyond a size: to try is an error, or ends the process at once."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if deadly else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def backwards() -> None:
    """Let the clock run backwards, from long ago."""
    now = [1e9]

    def tick() -> float:
        now[0] -= 1000
        return now[0]

    time.time = tick


def disk(folder: Path, size: int, *, read_only: bool) -> None:
    """Put a small disk, with all that is in it, in the place of a folder; go on in a child.

    This process waits for that child, keeps the disk's files beside the folder (`KEPT`), which
    are gone with the last process otherwise, and ends as the child did.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    kept = folder.with_name(KEPT)
    shutil.copytree(folder, kept)
    _own_mounts(libc)
    options = f"size={size}".encode()
    _checked(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options))
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    if read_only:
        _checked(libc.mount(None, os.fsencode(folder), None, READ_ONLY, None))
    os.chdir(folder)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        shutil.rmtree(kept)
        shutil.copytree(folder, kept)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _own_mounts(libc: ctypes.CDLL) -> None:
    user, group = os.getuid(), os.getgid()
    new = NEW_MOUNTS if user == 0 else NEW_MOUNTS | NEW_USER
    _checked(libc.unshare(new))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _checked(libc.mount(None, b"/", None, PRIVATE, None))


def _checked(status: int) -> None:
    if status:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


# -- orders ------------------------------------------------------------------------------------


def suffer(order: Mapping[str, Any]) -> None:
    """Do what is ordered, in a child that ends here."""
    folder = Path(order["folder"])
    os.chdir(folder)
    _pipes(order["said"])
    for name, value in order.get("environment", {}).items():
        os.environ[name] = value
    if order.get("backwards"):
        backwards()
    if "disk" in order:
        disk(folder, order["disk"], read_only=order.get("read_only", False))
    if "limit" in order:
        limit(order["limit"], deadly=order.get("deadly", False))
    kind, words = order.get("harm", ("", ""))
    steps = Steps(folder, order.get("step", 0), HARM[kind](words) if kind else nothing)
    sys.addaudithook(steps)
    signal.alarm(PATIENCE)
    status = _ended(partial(WORK[order["work"]], *order["words"]))
    Path(order["said"], "steps").write_text(str(steps.count))
    os._exit(status)


def _ended(work: Callable[[], None]) -> int:
    """Work, and end as Python does, but for what C libraries do then: they were not forked."""
    from cloudmask.local import cli

    COMMAND.append(cli.app)
    vars(cli)["app"] = work  # so that what goes wrong is said as the command says it
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:  # noqa: BLE001  # whatever it is, Python would print it
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # joins what is still at work
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _pipes(said: str) -> None:
    """Let what is said go to files."""
    Path(said, "steps").write_text("0")
    for number, name in enumerate(("out", "err"), start=1):
        opened = os.open(Path(said, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number, inheritable=False)
        os.close(opened)


LOADED = (
    "dask.array", "matplotlib.pyplot", "netCDF4", "odc.geo.xr", "onnxruntime", "zarr",
    "cloudmask.local.cluster", "cloudmask.local.cubes", "cloudmask.local.masking",
    "cloudmask.local.picture", "cloudmask.local.report.page", "cloudmask_export.fetch",
    "cloudmask_export.make", "cloudmask_openeo.bundle",
)  # fmt: skip


def loaded() -> None:
    """Import what all kinds of work need, before the first child is made."""
    import xarray as xr

    for name in LOADED:
        import_module(name)
    assert xr.backends.list_engines(), "xarray looks for them when it is first asked"


def serve() -> None:
    """Answer orders until there are no more."""
    loaded()
    answers = os.fdopen(os.dup(1), "w")
    orders = os.fdopen(os.dup(0), "r")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    while line := orders.readline():
        child = os.fork()
        if not child:
            suffer(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    serve()
