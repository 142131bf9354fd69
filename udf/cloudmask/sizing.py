"""Chunks of a lazy cube, cut smaller where the memory of those who compute them asks for it.

The answer does not depend on the chunks, so that this is no one's decision but the memory's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudmask.claims import active_client
from cloudmask.memory import Run, mib
from cloudmask.process import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudmask.delivery import Worker
    from cloudmask.job import Extent
    from cloudmask.memory import Work
    from cloudmask.options import Options
    from cloudmask.spec import ModelSpec

TARGET = 0.6
"""Share of a worker's memory that tasks may take: beyond it dask moves chunks to disk
(distributed.worker.memory.target)."""

PAUSE = 0.8
"""Share beyond which a worker takes no more tasks (distributed.worker.memory.pause)."""

SMALLEST = 256
"""Pixels of a chunk's edge; smaller ones save little, and read more and more of the halo."""

HARDLY = 1.1
"""Times the least memory: to save less is not worth smaller chunks."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the tasks of one process share."""

    memory: int
    """Bytes."""
    tasks: int
    """At once."""

    def wanted(self, run: Run, batch: int, *, arena: bool) -> int:
        """Bytes that so many tasks take; networks are open once for all of them."""
        needs = run.needs(batch, arena=arena)
        tasks = self.tasks * (needs.call + needs.tiles + needs.rows)
        return needs.process + needs.networks + max(needs.opening, tasks)


def sized(options: Options, specs: Sequence[ModelSpec], size: Extent) -> Options:
    """Choose chunks of a lazy cube, no larger than asked for, and the allocator's arena.

    Args:
        options: With `memory` for each task by itself, or with none: then the workers' limit
            counts, if there is a cluster.
        specs: The networks.
        size: The cube.

    Warns:
        UserWarning: The workers have too little memory for chunks of any size.
    """
    room = _room(options) if size.lazy else None
    if room is None:
        return options
    wanted: dict[Options, int] = {}
    for smaller in _smaller(options):
        run = _run(smaller, specs, size.work(smaller, specs[0]))
        arena = smaller.runtime.arena_allowed
        wanted[smaller] = room.wanted(run, options.batch or 1, arena=arena)
        if wanted[smaller] <= room.memory:
            return smaller
    if options.memory is not None:
        return options  # which is refused by those who open the networks, with what would help
    # No chunk fits; then none smaller than helps.
    least = HARDLY * min(wanted.values())
    chosen = next(each for each, memory in wanted.items() if memory <= least)
    doubt(chosen, specs, size.work(chosen, specs[0]))
    return chosen


def doubt(options: Options, specs: Sequence[ModelSpec], work: Work) -> None:
    """Look whether the workers of the active cluster have the memory for tasks of this size.

    Nothing is refused: the estimate is a cautious one.

    Warns:
        UserWarning: They have not.
    """
    worker = None if options.memory is not None else _smallest()
    if worker is None:
        return
    run, arena = _run(options, specs, work), options.runtime.arena_allowed
    wanted = _shared(worker).wanted(run, options.batch or 1, arena=arena)
    if wanted > PAUSE * worker.memory:
        warnings.warn(
            f"workers with {mib(worker.memory)} of memory for {worker.threads} tasks at once are "
            f"small for this: about {mib(int(wanted / TARGET))} are needed; start them with fewer "
            "threads or more memory (docs/clusters.md)",
            stacklevel=4,
        )


def _room(options: Options) -> Room | None:
    """Say what tasks may take, if anyone does."""
    if options.memory is not None:
        return Room(options.memory, 1)
    worker = _smallest()
    return None if worker is None else _shared(worker)


def _shared(worker: Worker) -> Room:
    return Room(int(TARGET * worker.memory), worker.threads)


def _smallest() -> Worker | None:
    """Look at the workers of the active cluster, if there is one."""
    client = active_client()
    if client is None:
        return None
    from cloudmask.delivery import smallest

    return smallest(client)


def _smaller(options: Options) -> Iterator[Options]:
    """List the same with ever less need of memory: without an arena, then with smaller chunks."""
    yield options
    if options.runtime.arena is None and options.runtime.arena_allowed:
        options = replace(options, runtime=replace(options.runtime, arena=False))
        yield options
    while options.chunk // 2 >= SMALLEST:
        options = replace(options, chunk=options.chunk // 2)
        yield options


def _run(options: Options, specs: Sequence[ModelSpec], work: Work) -> Run:
    # Another process computes on a cluster; what this one holds is no matter.
    process = BASE if options.memory is None else None
    return Run(tuple(specs), work, options.runtime, process)
