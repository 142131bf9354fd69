"""Memory, threads and open files of a process and those it started, over time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import psutil
from scipy.stats import theilslopes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

MIB = 2**20
WARM_UP = 0.3
"""Part of the time that does not count: workers are started and meet each kind of job first."""
GROWTH = 0.03
"""Part of the median by which a quantity that is called flat may grow."""
FEW = 3.0
"""Threads or files that may come on top, whatever the median."""
IN_FLIGHT = 24.0
"""MiB by which the server may differ in any case: it holds the cubes of the jobs that run."""
IN_CHUNKS = 48.0
"""MiB by which all workers together may differ in any case: each holds a chunk, or none."""
FEWEST = 10
"""Samples that a verdict needs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process and its children held at a time, together."""

    seconds: float
    server: float
    """MiB of the process itself: proportional set size, shared pages counted by part."""
    workers: float
    """MiB of its children."""
    threads: int
    files: int
    """Open file descriptors."""
    processes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a quantity went."""

    slope: float
    """A minute: the median of the slopes between all pairs of samples (Theil 1950, Sen 1968)."""
    median: float
    growth: float
    """Over the time observed, by that slope."""
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it grew by no more than is allowed."""
        return self.growth <= self.allowed


def trend(seconds: Sequence[float], values: Sequence[float], few: float = 0.0) -> Trend:
    """Fit a line that outliers do not move, and judge it.

    Args:
        seconds: When; the first part of it, `WARM_UP`, is left out.
        values: What was seen.
        few: Growth that is allowed in any case, in the unit of the values.

    Raises:
        ValueError: Too few samples.
    """
    times, seen = np.asarray(seconds, float), np.asarray(values, float)
    late = times >= times.min() + WARM_UP * np.ptp(times) if times.size else []
    times, seen = times[late], seen[late]
    if times.size < FEWEST:
        raise ValueError(f"{times.size} samples after the warm-up, a verdict needs {FEWEST}")
    slope = float(theilslopes(seen, times).slope)
    middle = float(np.median(seen))
    return Trend(60 * slope, middle, slope * float(np.ptp(times)), max(GROWTH * middle, few))


@dataclass(slots=True)
class Watch:
    """Takes samples in a thread, as long as the block lasts."""

    pid: int
    every: float = 2.0
    """Seconds."""
    samples: list[Sample] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def trends(self) -> dict[str, Trend]:
        """Judge memory, threads and files."""
        seconds = [each.seconds for each in self.samples]
        return {
            "server, MiB": trend(seconds, [each.server for each in self.samples], IN_FLIGHT),
            "workers, MiB": trend(seconds, [each.workers for each in self.samples], IN_CHUNKS),
            "threads": trend(seconds, [each.threads for each in self.samples], FEW),
            "open files": trend(seconds, [each.files for each in self.samples], FEW),
        }

    @property
    def processes(self) -> frozenset[int]:
        """All that were seen."""
        return frozenset[int]().union(*(sample.processes for sample in self.samples))

    def _take(self) -> None:
        start = time.monotonic()
        while not self._ended.wait(self.every):
            try:
                self.samples.append(sample(self.pid, time.monotonic() - start))
            except psutil.NoSuchProcess:  # a worker that ended while it was looked at
                continue


def sample(pid: int, seconds: float = 0.0) -> Sample:
    """Look at a process and its children.

    Raises:
        psutil.NoSuchProcess: One of them ended meanwhile.
    """
    server = psutil.Process(pid)
    workers = server.children(recursive=True)
    family = [server, *workers]
    return Sample(
        seconds,
        server.memory_full_info().pss / MIB,
        sum(each.memory_full_info().pss for each in workers) / MIB,
        sum(each.num_threads() for each in family),
        sum(each.num_fds() for each in family),
        frozenset(each.pid for each in family),
    )
