"""Bringing networks to the workers of a dask cluster, once each. Needs distributed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from cloudmask.claims import arrived, places
from cloudmask.errors import CloudmaskError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudmask.claims import Claim, Ticket


class ClusterError(CloudmaskError):
    """The cluster is not there, or its workers cannot run this package."""


class Parcel(WorkerPlugin):
    """Puts a network's file into each worker's own folder, also of workers that come later.

    The scheduler keeps it, so that a worker that is killed and started anew has it, too.
    """

    def __init__(self, sha256: str, content: bytes) -> None:
        self.name = f"cloudmask-{sha256}"
        self._sha256, self._content = sha256, content

    def setup(self, worker: Any) -> None:
        """Write the file; called by dask when it reaches a worker."""
        place = Path(worker.local_directory, self.name)
        place.write_bytes(self._content)
        self._content = b""  # the worker keeps the plugin, and memory is for chunks
        arrived[self._sha256] = place


def bring(client: Any, claims: Sequence[Claim]) -> None:
    """Bring to all workers what one of them lacks.

    Args:
        client: A dask Client, not asynchronous.
        claims: Networks.

    Raises:
        ClusterError: A worker has no such package, or another version of it.
        ModelError: A network cannot be sent.
    """
    lacking = lacking_on(client, [claim.ticket for claim in claims])
    for claim in claims:
        sha256 = claim.ticket.sha256
        if sha256 in lacking:
            client.register_plugin(Parcel(sha256, claim.content()))


def lacking_on(client: Any, tickets: Sequence[Ticket]) -> set[str]:
    """List the sha256 of networks that some worker cannot open; all, if no worker is there yet.

    Raises:
        ClusterError: See `bring`.
    """
    replies: Mapping[str, Any] = client.run(_state, list(tickets), on_error="return")
    for address, reply in replies.items():
        _check(address, reply)
    lacks = [reply.lacking for reply in replies.values()]
    return set().union(*lacks) if lacks else {ticket.sha256 for ticket in tickets}


@dataclass(frozen=True, slots=True)
class _State:
    """What a worker answers."""

    version: str
    lacking: frozenset[str]
    """The sha256 of networks that it cannot open."""


def _state(tickets: Sequence[Ticket]) -> _State:
    """Look about, on a worker."""
    from cloudmask import __version__

    lacking = (each.sha256 for each in tickets if next(places(each), None) is None)
    return _State(__version__, frozenset(lacking))


def _check(address: str, reply: Any) -> None:
    from cloudmask import __version__

    remedy = _remedy(__version__)
    # What a worker cannot unpickle comes back as a plain Exception that quotes the cause.
    if isinstance(reply, BaseException) and "No module named" in str(reply):
        raise ClusterError(f"worker {address} cannot run cloudmask ({reply}): {remedy}")
    if isinstance(reply, BaseException):
        raise ClusterError(f"worker {address}: {type(reply).__name__}: {reply}") from reply
    # Two source trees of which nothing is known need not be the same.
    if reply.version != __version__ or __version__.endswith("+unknown"):
        raise ClusterError(
            f"worker {address} has version {reply.version} of cloudmask, here it is "
            f"{__version__}; masks could differ: {remedy}"
        )


def _remedy(version: str) -> str:
    """Say how to bring the same version everywhere; no index has what is between releases."""
    if "+" in version:
        return "pip install one and the same wheel (`make wheel`) here, on scheduler and workers"
    return f"pip install 'openeo-cloudmask[dask]=={version}' on scheduler and workers"


@dataclass(frozen=True, slots=True)
class Worker:
    """What the smallest worker process has."""

    memory: int
    """Bytes."""
    threads: int
    """Tasks at once."""


def smallest(client: Any) -> Worker | None:
    """Find the worker with the least memory for a task; None if none has a limit."""
    infos = client.scheduler_info()["workers"].values()
    workers = [Worker(info["memory_limit"], info["nthreads"]) for info in infos]
    limited = [worker for worker in workers if worker.memory]
    return min(limited, key=lambda worker: worker.memory / worker.threads, default=None)
