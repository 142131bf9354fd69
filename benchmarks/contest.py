"""Sides of a comparison in processes of their own, by turns in one run.

Each side loads once and then waits, asleep, until it is told to work; so what stands in one's
memory or spins in its threads does not disturb the others (`benchmarks.sides.serving`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import instructions, interleaved, ratio
from cloudmask import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
LAB = ROOT / "tests" / "export" / "torch" / "lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One side that is to be started."""

    name: str
    """In results and tables."""
    module: str
    """Of `benchmarks.sides`."""
    order: Mapping[str, Any]
    """What it is told, as JSON."""
    environment: str = ""
    """Folder of its environment within ours; "" for our own."""
    threads: int | None = None
    """Threads it may use; default those that we would."""
    measures: bool = False
    """Whether it measures something while it loads, and so wants to be alone."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        own = Path(sys.executable)
        return Path(sys.prefix, self.environment, "bin/python") if self.environment else own

    @property
    def obstacle(self) -> str:
        """Say why it cannot be measured here; "" if it can."""
        provider = self.order.get("provider", "")
        if not self.python.exists():
            return f"the environment {self.environment} is not made"
        if provider.startswith("openvino") and find_spec("openvino") is None:
            return "openvino is not installed"
        if provider.endswith("bf16") and not {"avx512_bf16", "amx_bf16"} & instructions():
            return "no bf16 in this processor"
        return ""


class Running:
    """A side at work."""

    def __init__(self, entrant: Entrant, process: subprocess.Popen[str], log: Path) -> None:
        self._entrant, self._process, self._log = entrant, process, log
        self.facts = self._answer()

    def run(self) -> float:
        """Work once; how long it took, in seconds, as told by the side itself."""
        return float(self._told("run")["seconds"])

    def peaks(self) -> dict[str, float]:
        """Give the greatest memory up to now: `peak_mib` resident, `address_space_mib`."""
        return {name: round(each) for name, each in self._told("peak").items()}

    def answer(self) -> NDArray[np.generic]:
        """Give the last answer."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "answer.npy")
            self._told(f"keep {path}")
            found: NDArray[np.generic] = np.load(path)
            return found

    def _told(self, words: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            said = self._log.read_text("utf-8")[-4000:]
            raise RuntimeError(f"{self._entrant.name}: ended ({status}):\n{said}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def started(entrant: Entrant) -> Iterator[Running]:
    """Start a side; it ends with the context.

    Raises:
        RuntimeError: It ended by itself; what it said is in the message.
    """
    words = [str(entrant.python), "-W", "ignore", "-m", f"benchmarks.sides.{entrant.module}"]
    threads = str(entrant.threads or Runtime().intra_op_threads)
    env = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": str(LAB)}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "stderr")
        with (
            log.open("w", encoding="utf-8") as err,
            subprocess.Popen(
                [*words, json.dumps(dict(entrant.order))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                text=True, cwd=ROOT, env=env,
            ) as process,
        ):  # fmt: skip
            try:
                yield Running(entrant, process, log)
            finally:
                assert process.stdin is not None
                process.stdin.close()  # it ends when nothing more can come


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a contest."""

    seconds: dict[str, list[float]]
    peaks: dict[str, dict[str, float]]
    facts: dict[str, dict[str, Any]]
    answers: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)
    """Sides that could not be measured here, and why."""

    @property
    def peak_mib(self) -> dict[str, float]:
        """Greatest resident memory of each side's process."""
        return {name: each["peak_mib"] for name, each in self.peaks.items()}

    @property
    def address_space_mib(self) -> dict[str, float]:
        """Greatest address space of each side's process."""
        return {name: each["address_space_mib"] for name, each in self.peaks.items()}

    def faster(self, than: str) -> dict[str, dict[str, float]]:
        """How many times as fast as another side each one is; nothing if that is absent."""
        slow = self.seconds.get(than)
        return {n: ratio(slow, s) for n, s in self.seconds.items() if n != than} if slow else {}

    def agreement(self, reference: str) -> dict[str, float]:
        """Per cent of pixels that have the class that another side gives."""
        right = self.answers[reference]
        return {
            name: round(100 * float((answer == right).mean()), 3)
            for name, answer in self.answers.items()
            if name != reference and answer.shape == right.shape
        }


def contest(entrants: Sequence[Entrant], times: int, *, answers: bool = True) -> Found:
    """Start all sides, let each work once unmeasured, then measure them by turns.

    Loading, mostly on one core and not measured, goes on in two sides at a time.

    Args:
        entrants: The sides; those with an obstacle are left out.
        times: How often each works.
        answers: Whether the sides give arrays that are to be kept.
    """
    obstacles = {each.name: each.obstacle for each in entrants if each.obstacle}
    able = [each for each in entrants if each.name not in obstacles]
    with ExitStack() as stack:
        sides = _all_started(able, stack)
        for side in sides.values():
            side.run()
        seconds = interleaved({name: side.run for name, side in sides.items()}, times)
        return Found(
            {name: [round(each, 4) for each in all_] for name, all_ in seconds.items()},
            {name: side.peaks() for name, side in sides.items()},
            {name: side.facts for name, side in sides.items()},
            {name: np.squeeze(s.answer()) for name, s in sides.items()} if answers else {},
            obstacles,
        )


def _all_started(entrants: Sequence[Entrant], stack: ExitStack) -> dict[str, Running]:
    """Start sides, two at a time, then those that want to be alone; in the order given."""

    def start(entrant: Entrant) -> Running:
        return stack.enter_context(started(entrant))

    together = [each for each in entrants if not each.measures]
    with ThreadPoolExecutor(2) as pool:
        found = {e.name: side for e, side in zip(together, pool.map(start, together), strict=True)}
    found |= {each.name: start(each) for each in entrants if each.measures}
    return {each.name: found[each.name] for each in entrants}
