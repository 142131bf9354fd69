"""Killed at any step, or in the middle of a write: files are whole, the next run completes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.conftest import End, Fault, Files, Promise, Run, WriteScene

KILLED = -9
TOO_LARGE = -25
"""SIGXFSZ: ended by the system in the middle of a write."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work that is killed."""

    name: str
    words: tuple[object, ...]
    every: int = 1
    """At each so many steps."""
    limits: tuple[int, ...] = ()
    """Bytes of a file at which it is ended, too."""
    earlier: tuple[object, ...] = ()
    """What was done in the folder before."""
    apart: bool = False
    """Whether each death has a folder of its own; else they follow each other in one."""


MASK = ("cloudmask", "mask", "scene.tif", "-m", "NETWORK", "--threads", "1", "-q")
MANY = ("cloudmask", "mask", "in/*.tif", "-o", "out/", "-m", "NETWORK", "--threads", "1", "-q")
WORKS = (
    Work("mask", (*MASK, "-o", "a.tif"), 2, (3900,), (*MASK, "-o", "a.tif", "--overlap", "4")),
    Work("netcdf", (*MASK, "-o", "a.nc"), 3, (6000,), (*MASK, "-o", "a.nc", "--overlap", "4")),
    Work("zarr", (*MASK, "-o", "a.zarr"), 29, (300,), (*MASK, "-o", "a.zarr", "--overlap", "4")),
    Work("batch", MANY, 7, (300, 3900)),
    Work("report", ("cloudmask", "report", "out"), 1, (5000,), MANY),
    Work("export", ("export", ".", "new"), 1, (9000,), apart=True),
    Work(
        "export anew", ("export", ".", "new", "force"), 1, (), ("export", ".", "old"), apart=True
    ),
    Work("bundle", ("bundle", "deps.zip"), 1, (300,)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Killed:
    """What was found after each death, and what later runs made of it."""

    work: Work
    promise: Promise
    seen: list[Files]
    """After each death."""
    again: list[End]
    """How runs ended to which nothing happened."""
    at_last: list[Files]
    """After each of those."""


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def killed(
    request: pytest.FixtureRequest, run: Run, write_scene: WriteScene, tiny_network: Path,
    tmp_path_factory: pytest.TempPathFactory, values: Any,
) -> Killed:  # fmt: skip
    """Kill work at its steps, and let it run once more after the last death or after each."""
    work: Work = request.param

    def words(some: tuple[object, ...]) -> list[object]:
        return [tiny_network if each == "NETWORK" else each for each in some]

    folder = tmp_path_factory.mktemp("killed") / "killed"
    write_scene(folder / "scene.tif", 1)
    for number in range(2):
        write_scene(folder / "in" / f"{number}.tif", number)
    if work.earlier:
        assert run(folder, *words(work.earlier)).status == 0
    whole = shutil.copytree(folder, folder.with_name("whole"))
    before = values.read(folder)
    undisturbed = run(whole, *words(work.words))
    assert undisturbed.status == 0, undisturbed.err
    found = Killed(work, values.Promise(before, values.read(whole)), [], [], [])
    ends: list[End] = []
    faults = list(_faults(work, undisturbed.steps, values.Fault))
    for fault in faults:
        place = folder
        if work.apart:
            place = shutil.copytree(folder, folder.with_name(f"after{len(ends)}"))
        ends.append(run(place, *words(work.words), fault=fault))
        found.seen.append(values.read(place))
        done = _final(found.seen[-1], values) == found.promise.after
        # What is done already need not be done again, and an export says so.
        if (work.apart and not done) or fault is faults[-1]:
            found.again.append(run(place, *words(work.words)))
            found.at_last.append(values.read(place))
    # The last steps of work that goes on where it ended, there may not be.
    assert ends[0].status == KILLED
    assert {end.status for end in ends} <= {KILLED, TOO_LARGE, 0}
    return found


def _final(files: Files, values: Any) -> Files:
    return {name: content for name, content in files.items() if not values.hidden(name)}


def _faults(work: Work, steps: int, fault: Callable[..., Fault]) -> Iterator[Fault]:
    for step in range(1, steps + 1, work.every):
        yield fault(harm=("send", "SIGKILL"), step=step)
    for limit in work.limits:
        yield fault(limit=limit, deadly=True)


def test_under_its_final_name_no_file_is_partial_whenever_its_writer_is_killed(
    killed: Killed,
) -> None:
    assert [killed.promise.broken(now) for now in killed.seen] == [set()] * len(killed.seen)


def test_an_old_file_is_there_until_the_new_one_is(killed: Killed) -> None:
    if killed.work.name in {"zarr", "export anew"}:
        pytest.skip("folders, and files that go together, are away between two renames")
    assert [killed.promise.lost(now) for now in killed.seen] == [set()] * len(killed.seen)


def test_the_next_run_completes(killed: Killed) -> None:
    assert [(end.status, end.err) for end in killed.again] == [(0, "")] * len(killed.again)


def test_what_the_next_run_leaves_is_that_of_a_run_that_nothing_happened_to(
    killed: Killed,
) -> None:
    for files in killed.at_last:
        assert files.keys() == killed.promise.after.keys()
        assert files == killed.promise.after


def test_a_scene_that_was_told_is_never_masked_again(
    run: Run, write_scene: WriteScene, tiny_network: Path, tmp_path: Path, values: Any
) -> None:
    """What a batch has said is done, is done: at most the scenes in its line are lost."""
    for number in range(5):
        write_scene(tmp_path / "in" / f"{number}.tif", number)
    words = ("cloudmask", "mask", "in/*.tif", "-o", "out/", "-m", tiny_network)
    died = run(tmp_path, *words, fault=values.Fault(harm=("send", "SIGKILL"), step=90))
    told = {line.partition(":")[0] for line in died.out.splitlines()}
    again = run(tmp_path, *words)
    assert died.status == KILLED
    assert told
    assert told.isdisjoint(line.partition(":")[0] for line in again.out.splitlines())
    *_, last = again.out.splitlines()
    made = int(last.removeprefix("out: ").split()[0])
    assert 5 - len(told) - 3 <= made <= 5 - len(told)
    assert f"{5 - made} complete already" in last


def test_what_a_killed_run_left_is_gone_after_the_next(
    run: Run, write_scene: WriteScene, tiny_network: Path, tmp_path: Path, values: Any
) -> None:
    write_scene(tmp_path / "scene.tif")
    words = (*MASK[:3], "-o", "a.tif", "--quicklook", "b.png", "-q", "-m", tiny_network)
    whole = run(tmp_path, *words)
    (tmp_path / "b.png").unlink()
    # What follows the last rename are two removals.
    fault = values.Fault(harm=("send", "SIGKILL"), step=whole.steps - 2)
    assert run(tmp_path, *words, fault=fault).status == KILLED
    left = [name for name in values.read(tmp_path) if values.hidden(name)]
    run(tmp_path, *words)
    assert [name for name in left if name.startswith(".b.")]
    assert [name for name in values.read(tmp_path) if values.hidden(name)] == []
