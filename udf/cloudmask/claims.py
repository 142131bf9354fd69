"""Networks as they travel with dask's tasks: named by their hash, opened where the tasks run.

A task is pickled for each chunk, so it must not carry weights, and it cannot carry a session. It
carries a claim, which each process opens once, from whatever it has: a file that was brought to it
(`cloudmask.delivery`), the network of this name that is installed there, or the same path.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from cloudmask.errors import ModelError
from cloudmask.model import OnnxModel, load_onnx, read_pinned
from cloudmask.registry import known
from cloudmask.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.ensemble import Ensemble
    from cloudmask.model import Model
    from cloudmask.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Ticket:
    """All that a process must know to open a network."""

    spec: ModelSpec
    sha256: str
    """Of the ONNX file, or of the pickled object."""
    path: Path | None
    """Where the file was in the process that made the ticket; None for a pickled object."""
    runtime: Runtime


class Claim:
    """A network (see `cloudmask.model.Model`) that is pickled without its weights."""

    def __init__(self, ticket: Ticket, model: Model | None = None) -> None:
        """Stand for a network.

        Args:
            ticket: How others open it.
            model: The network itself, in the process that has it.
        """
        self.ticket, self._model = ticket, model

    def __reduce__(self) -> tuple[type[Claim], tuple[Ticket]]:
        return Claim, (self.ticket,)

    @property
    def spec(self) -> ModelSpec:
        """See `cloudmask.model.Model`."""
        return self.ticket.spec

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `cloudmask.model.Model`."""
        if self._model is None:
            self._model = _opened(self.ticket)
        return self._model(tiles)

    def content(self) -> bytes:
        """Give what other processes need: the ONNX file, or the pickled object.

        Raises:
            ModelError: The file is gone or changed, or the object cannot be pickled.
        """
        if self.ticket.path is None:
            return _pickled(self._model)
        return read_pinned(self.ticket.path, self.ticket.sha256)[0]


arrived: dict[str, Path] = {}
"""Files that were brought to this process, by their sha256."""

_opening = Lock()


def _opened(ticket: Ticket) -> Model:
    with _opening:  # else the threads of a worker would each open one at the start
        return _open(ticket)


@lru_cache(maxsize=8)
def _open(ticket: Ticket) -> Model:
    path = next(places(ticket), None)
    if path is None:
        raise ModelError(
            f"model {ticket.spec.name!r} (sha256 {ticket.sha256[:12]}) is not on this worker: "
            "make the dask Client before you call mask_clouds, which then brings it; or install "
            "it on all workers"
        )
    if ticket.path is None:
        # What the user's own client sent, as all tasks are; never a file of weights.
        model: Model = pickle.loads(read_pinned(path, ticket.sha256)[0])  # noqa: S301
        return model
    return load_onnx(path, replace(ticket.spec, sha256=ticket.sha256), _share(ticket.runtime))


def places(ticket: Ticket) -> Iterator[Path]:
    """List where this process has a network's file."""
    entry = known().get(ticket.spec.name)
    installed = entry.path if entry and entry.spec.sha256 == ticket.sha256 else None
    some = arrived.get(ticket.sha256), installed, ticket.path
    return (path for path in some if path is not None and _is(path, ticket.sha256))


def _is(path: Path, sha256: str) -> bool:
    """Tell whether a file is the one that is meant; others may lie at the same path elsewhere."""
    try:
        return read_pinned(path, sha256)[1] == sha256
    except ModelError:
        return False


def _share(runtime: Runtime) -> Runtime:
    """Give a task of a dask worker one core, unless someone says otherwise: others run beside."""
    said = runtime.threads is not None or os.environ.get("OMP_NUM_THREADS")
    return runtime if said or not _on_worker() else replace(runtime, threads=1)


def _on_worker() -> bool:
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def active_client() -> Any:
    """Give the dask Client that would compute now; None if there is none, or it is asynchronous.

    Looked for only where distributed is imported already: no one can have a client otherwise.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        client = distributed.Client.current()
    except ValueError:
        return None
    return None if client.asynchronous else client


def for_tasks(ensemble: Ensemble) -> Ensemble:
    """Replace networks by claims; what the workers of an active cluster lack is brought there.

    Raises:
        ClusterError: The workers cannot run this package.
        ModelError: A network cannot be sent.
    """
    client = active_client()
    models = [_claim(model, everything=client is not None) for model in ensemble.models]
    if client is not None:
        from cloudmask.delivery import bring

        bring(client, [model for model in models if isinstance(model, Claim)])
    return replace(ensemble, models=tuple(models))


def _claim(model: Model, *, everything: bool) -> Model:
    """Make a claim of an ONNX network, and if that is wanted of any other object, too."""
    if isinstance(model, OnnxModel):
        _, (path, _, runtime) = model.__reduce__()
        return Claim(Ticket(model.spec, model.spec.sha256, path, runtime), model)
    if not everything or isinstance(model, Claim):
        return model
    from hashlib import sha256

    key = sha256(_pickled(model)).hexdigest()
    return Claim(Ticket(model.spec, key, None, Runtime()), model)


def _pickled(model: Model | None) -> bytes:
    import cloudpickle  # dask brings it

    dumps: Callable[[Any], bytes] = cloudpickle.dumps
    try:
        return dumps(model)
    except Exception as error:  # whatever the object's own pickling raises
        raise ModelError(
            f"model {model!r} cannot be sent to dask's workers ({error}); give the path of an "
            ".onnx file, or make it picklable"
        ) from error
