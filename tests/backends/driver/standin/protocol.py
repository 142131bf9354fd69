"""What the server and its UDF workers tell each other, and how job options set a worker up."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

# Nothing heavy is imported here: a worker reads its settings before it may use memory.

HIDEABLE = ("cloudmask", "onnxruntime", "ukis_csmask")
"""Packages of this environment that no real back-end has installed."""
UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What makes two workers interchangeable."""

    memory: int | None = None
    """Bytes of address space (RLIMIT_AS); None is no limit."""
    threads: int = 1
    """OMP_NUM_THREADS."""
    archives: tuple[str, ...] = ()
    """ "ADDRESS#FOLDER": unpacked once into the worker's own folder."""
    hidden: tuple[str, ...] = ()
    """Installed packages that the worker does not see."""
    dependencies_zip: str | None = None
    """Unpacked anew for every call of the UDF, and deleted after it (ZIP mode)."""


@dataclass(frozen=True, slots=True)
class UdfCall:
    """Run a UDF on one chunk."""

    run: str
    """The same for all chunks of one process: they share one context object."""
    code: str
    context: dict[str, Any]
    cells: NDArray[np.float32]
    """(t, bands, y, x) for all dates, (bands, y, x) for a single one."""
    coords: dict[str, Any]
    attrs: dict[str, Any]
    dependencies_zip: str | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions of `cells`."""
        return ("t", "bands", "y", "x")[-self.cells.ndim :]


@dataclass(frozen=True, slots=True)
class MetadataCall:
    """Ask `apply_metadata` of a UDF for the metadata of its result."""

    code: str
    context: dict[str, Any]
    metadata: Any


@dataclass(frozen=True, slots=True)
class Tiles:
    """What a UDF made of a chunk."""

    cells: NDArray[np.float32]
    """(t, bands, y, x) or (bands, y, x)."""
    dates: Any = None
    """datetime64, one for each t; None for a single date."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says to a call."""

    value: Any = None
    error: str | None = None
    """One line; None if all went well."""
    traceback: str | None = None
    logs: tuple[dict[str, Any], ...] = field(default=())
    """Entries of `openeo.udf.inspect`: level, message, data, code."""
    lost: bool = False
    """Whether the worker ended instead of answering."""
    context_changed: bool = False
    """Whether the UDF has changed the context that the next chunk will get."""


def send(stream: IO[bytes], message: object) -> None:
    """Write a message."""
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a message.

    Raises:
        EOFError: the other side is gone.
    """
    return pickle.load(stream)  # noqa: S301 - our own process


def worker_settings(options: Mapping[str, Any], *, batch: bool) -> WorkerSettings:
    """Read job options as the real back-end does, and the two that only this one has (x-...).

    Archives reach batch jobs only. The memory is shared among the cores of an executor, though
    each has a worker of its own.

    Raises:
        ValueError: python-memory is no amount of memory.
    """
    hidden = options.get("x-hide-packages") or ()
    memory = _bytes(options.get("python-memory"))
    return WorkerSettings(
        memory=memory // int(options.get("executor-cores", 1)) if memory else None,
        threads=int(options.get("task-cpus", 1)),
        archives=tuple(options.get("udf-dependency-archives") or ()) if batch else (),
        hidden=HIDEABLE if hidden is True else tuple(hidden),
        dependencies_zip=options.get("x-udf-dependencies-zip"),
    )


def _bytes(amount: str | int | None) -> int | None:
    if amount in {None, "", "disable"}:
        return None
    match = re.fullmatch(r"(\d+)\s*([bkmgt]?)b?", str(amount).strip().lower())
    if match is None:
        raise ValueError(f"python-memory {amount!r} is not an amount of memory such as '3g'")
    return int(match[1]) * UNITS[match[2]]
