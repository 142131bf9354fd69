"""What becomes of a worker that lacks memory, threads, files or cores.

Either its mask is the one that it has with plenty, bit by bit, or there is one line that says what
it needs; and the next, smaller chunk is masked. It never dies, never hangs, never guesses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")
pytest.importorskip("resource", reason="this system has no limits on resources")

if TYPE_CHECKING:
    from collections.abc import Iterator

if not Path("/proc/self/status").exists():
    pytest.skip("limits are set by what Linux tells of a process", allow_module_level=True)

WORKER = Path(__file__).with_name("starved_worker.py")
LARGE, SMALL = 800, 60
"""Pixels of chunks."""
NOBODY = 65534
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search",
)  # fmt: skip
"""Root has no limit of processes; nobody, who may read files, has."""


@dataclass(frozen=True)
class Outcome:
    """What a worker did."""

    answers: list[dict[str, Any]]
    """Of its chunks: mask (a hash), or error and whether it is one of ours."""
    signal: int
    """That ended it; 0 if it ended by itself."""
    said: str
    """On stderr."""

    @property
    def masks(self) -> list[str]:
        """Hashes of all chunks' masks."""
        assert self.signal == 0
        return [answer.get("mask") or answer["error"] for answer in self.answers]


class Workers:
    """Makes workers, each with the limits it is given."""

    def __init__(self, process: subprocess.Popen[str], model: Path) -> None:
        self._process = process
        self.context = {"model": str(model), "layout": "probabilities"}
        self.user = self._told()["user"]

    def run(self, *sizes: int, context: dict[str, Any] | None = None, **order: Any) -> Outcome:
        """Let a worker mask chunks of these sizes."""
        asked = self.context | (context or {})
        order["chunks"] = [[size, asked] for size in sizes]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Outcome(**self._told())

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@pytest.fixture(scope="module")
def workers(tiny_network: Path) -> Iterator[Workers]:
    may = os.getuid() == 0 and shutil.which("setpriv")
    able = may and subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], check=False)
    command = [*(AS_NOBODY if able and able.returncode == 0 else ()), sys.executable, str(WORKER)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield Workers(process, tiny_network)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def plenty(workers: Workers) -> list[str]:
    """Masks of a large and a small chunk where nothing lacks."""
    masks = workers.run(LARGE, SMALL).masks
    assert all(len(mask) == 64 for mask in masks)
    return masks


def check(outcome: Outcome, plenty: list[str], needs: str) -> None:
    """Check what is promised of a large chunk and the small one after it."""
    assert outcome.signal == 0, f"ended by signal {outcome.signal}: {outcome.said[-500:]}"
    large, small = outcome.answers
    if "error" in large:
        assert large["typed"], large["error"]
        assert needs in large["error"]
        assert "\n" not in large["error"]
    else:
        assert large["mask"] == plenty[0]
    assert small.get("mask") == plenty[1], small


# -- memory ---------------------------------------------------------------------------------

ROOMS = (0, 8, 16, 32, 64, 160)
"""MiB of address space beyond what a worker has taken before its first chunk."""


@pytest.mark.parametrize("room", ROOMS)
def test_short_of_address_space_it_masks_as_ever_or_says_which_option_to_raise(
    workers: Workers, plenty: list[str], room: int
) -> None:
    outcome = workers.run(LARGE, SMALL, limits={"AS": room})
    check(outcome, plenty, "raise the job option python-memory")


def test_the_rooms_tried_reach_from_too_little_to_enough(
    workers: Workers, plenty: list[str]
) -> None:
    least, most = (workers.run(LARGE, limits={"AS": room}) for room in (ROOMS[0], ROOMS[-1]))
    assert "out of memory" in least.answers[0]["error"]
    assert most.masks == plenty[:1]


@pytest.mark.parametrize("memory", [64, 4000])
@pytest.mark.parametrize("room", [8, 160])
def test_with_a_cap_and_little_address_space_it_masks_as_ever_or_says_what_it_needs(
    workers: Workers, plenty: list[str], room: int, memory: int
) -> None:
    outcome = workers.run(LARGE, context={"memory_mb": memory}, limits={"AS": room})
    assert outcome.signal == 0
    (answer,) = outcome.answers
    if "error" not in answer:
        assert answer["mask"] == plenty[0]
        return
    assert answer["typed"], answer["error"]
    assert "Possible are" in answer["error"] or "python-memory" in answer["error"]
    assert "\n" not in answer["error"]


@pytest.mark.parametrize("room", [60, 300])
def test_threads_that_find_no_room_are_done_without(
    workers: Workers, plenty: list[str], room: int
) -> None:
    # ONNX Runtime waits for ever if it can start some of its threads but not all.
    outcome = workers.run(SMALL, context={"threads": 64}, limits={"AS": room})
    assert outcome.masks == plenty[1:]


# -- threads, files, cores ------------------------------------------------------------------


def test_a_worker_that_may_start_no_thread_masks_with_its_own(
    workers: Workers, plenty: list[str]
) -> None:
    if workers.user == 0:
        pytest.skip("root has no limit of processes, and setpriv cannot make us someone else")
    outcome = workers.run(SMALL, context={"threads": 4}, limits={"NPROC": 1})
    assert outcome.masks == plenty[1:]


@pytest.mark.parametrize("files", [0, 3])
def test_a_worker_without_a_file_to_open_says_which_limit_to_raise_and_masks_once_it_is(
    workers: Workers, plenty: list[str], files: int
) -> None:
    outcome = workers.run(LARGE, SMALL, limits={"NOFILE": files}, relieved=True)
    assert "error" in outcome.answers[0]
    check(outcome, plenty, "RLIMIT_NOFILE")


def test_a_worker_that_has_masked_needs_no_file_any_more(
    workers: Workers, plenty: list[str]
) -> None:
    outcome = workers.run(SMALL, SMALL, after={"NOFILE": 0})
    assert outcome.masks == 2 * plenty[1:]


@pytest.mark.parametrize("threads", ["", "0", "-1", "many", "1e3", "²", "99999999999", "9" * 5000])
def test_nonsense_in_omp_num_threads_changes_no_mask(
    workers: Workers, plenty: list[str], threads: str
) -> None:
    outcome = workers.run(SMALL, env={"OMP_NUM_THREADS": threads})
    assert outcome.masks == plenty[1:]


def test_a_worker_bound_to_one_core_masks_as_ever_with_its_own_thread(
    workers: Workers, plenty: list[str]
) -> None:
    outcome = workers.run(SMALL, cpus=1, env={"OMP_NUM_THREADS": ""})
    assert (outcome.signal, outcome.said) == (0, "")
    assert outcome.answers == [{"mask": plenty[1]}, {"more threads": 0}]
