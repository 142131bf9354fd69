"""Pools of UDF workers on the server's side."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standin.protocol import Answer, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from standin.protocol import MetadataCall, UdfCall, WorkerSettings

MOST_POOLS = 3
"""Pools that keep idle processes; older ones start anew when they are needed again."""


class WorkerLostError(RuntimeError):
    """A worker ended in the middle of a call."""


class Worker:
    """One process."""

    def __init__(self, settings: WorkerSettings) -> None:
        places = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "standin.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, places)),
                "UDF_WORKER": "1",
                "OMP_NUM_THREADS": str(settings.threads),
            },
        )
        self.ready: Answer = self.ask(settings)

    def ask(self, request: UdfCall | MetadataCall | WorkerSettings) -> Answer:
        """Send a request and wait for the answer.

        Raises:
            WorkerLostError: the process ended instead.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            send(self.process.stdin, request)
            answer: Answer = receive(self.process.stdout)
        except (EOFError, OSError) as error:
            raise WorkerLostError(
                f"the UDF worker ended (exit code {self.process.wait()}): if it ran out of "
                "memory, increase python-memory"
            ) from error
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


class Pool:
    """Workers of equal settings; each keeps its modules and caches from call to call."""

    def __init__(self, settings: WorkerSettings, size: int, tries: int) -> None:
        self.settings = settings
        self.size = size
        self._tries = tries
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def ask(self, request: UdfCall | MetadataCall) -> Answer:
        """Let the next free worker do it, and another one if that is lost, a few times."""
        for _ in range(self._tries - 1):
            answer = self._ask(request)
            if not answer.lost:
                return answer
        return self._ask(request)

    def _ask(self, request: UdfCall | MetadataCall) -> Answer:
        """Let the next free worker do it; a lost worker is replaced for the next request."""
        worker = self._idle.get()
        try:
            worker = worker or Worker(self.settings)
            if worker.ready.error is None:
                return worker.ask(request)
            worker.close()
            answer, worker = worker.ready, None
        except WorkerLostError as error:
            worker = None
            return Answer(error=str(error), lost=True)
        finally:
            self._idle.put(worker)
        return answer

    def ask_all(self, requests: Iterable[UdfCall]) -> Iterator[Answer]:
        """Yield the answers in order; only as many requests exist as there are workers."""
        with ThreadPoolExecutor(self.size) as threads:
            waiting: list[Any] = []
            for request in requests:
                waiting.append(threads.submit(self.ask, request))
                if len(waiting) == self.size:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()

    def rest(self) -> None:
        """End the processes that have nothing to do."""
        resting: list[Worker | None] = []
        while not self._idle.empty():
            resting.append(self._idle.get())
        for worker in resting:
            if worker is not None:
                worker.close()
            self._idle.put(None)


class Pools:
    """One pool for each kind of settings."""

    def __init__(self, size: int, tries: int) -> None:
        self._size, self._tries = size, tries
        self._pools: dict[WorkerSettings, Pool] = {}
        self._lock = threading.Lock()

    def get(self, settings: WorkerSettings) -> Pool:
        """Find the pool, the one used last stays longest."""
        with self._lock:
            pool = self._pools.pop(settings, None) or Pool(settings, self._size, self._tries)
            self._pools[settings] = pool
            for old in list(self._pools.values())[:-MOST_POOLS]:
                old.rest()
            return pool
