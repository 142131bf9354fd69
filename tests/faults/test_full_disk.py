"""A disk that fills up, or may only be read: what is said, and that the old files stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import End, Files, Promise, Run, WriteScene

pytestmark = pytest.mark.usefixtures("small_disks")

MASK = ("cloudmask", "mask", "../scene.tif", "-m", "NETWORK", "--threads", "1", "-q")
MANY = ("cloudmask", "mask", "../in/*.tif", "-o", ".", "-m", "NETWORK", "--threads", "1", "-q")


@dataclass(frozen=True, slots=True)
class Work:
    """Work for which there is no room."""

    name: str
    words: tuple[object, ...]
    room: int
    """Bytes beside what is there already."""
    file: str
    """What is made."""
    earlier: tuple[object, ...] = ()
    """What was done in the folder before."""


WORKS = (
    Work("rows", (*MASK, "-o", "a.tif"), 8_192, "a.tif", (*MASK, "-o", "a.tif", "--tile", "64")),
    Work("copy", (*MASK, "-o", "a.tif"), 275_000, "a.tif", (*MASK, "-o", "a.tif", "--tile", "64")),
    Work("netcdf", (*MASK, "-o", "a.nc"), 300_000, "a.nc", (*MASK, "-o", "a.nc", "--tile", "64")),
    Work("zarr", (*MASK, "-o", "a.zarr"), 300_000, "a.zarr"),
    Work("report", ("cloudmask", "report", "."), 12_288, "report.html", MANY),
    Work("export", ("export", ".", "new", "force"), 50_000, "net.onnx", ("export", ".", "old")),
    Work("bundle", ("bundle", "deps.zip"), 4_096, "deps.zip"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """How work ended, and what it left."""

    work: Work
    end: End
    promise: Promise
    now: Files


class Attempt(Protocol):
    """Do work on a disk of its own."""

    def __call__(self, work: Work, *, read_only: bool = False) -> Found:
        """Give how it ended: the disk has no room, or may only be read."""


@pytest.fixture(scope="module")
def attempt(
    run: Run, write_scene: WriteScene, tiny_network: Path,
    tmp_path_factory: pytest.TempPathFactory, values: Any,
) -> Attempt:  # fmt: skip
    """Do work on a disk of its own."""

    def words(some: tuple[object, ...]) -> list[object]:
        return [tiny_network if each == "NETWORK" else each for each in some]

    def done(work: Work, *, read_only: bool = False) -> Found:
        folder = tmp_path_factory.mktemp("place") / "disk"
        folder.mkdir()
        write_scene(folder.with_name("scene.tif"), 1, (400, 400))
        write_scene(folder.with_name("in") / "b.tif", 2)
        if work.earlier:
            assert run(folder, *words(work.earlier)).status == 0
        before = values.read(folder)
        blocks = sum(-(-len(content) // 4096) for content in before.values())
        room = 2**24 if read_only else work.room
        fault = values.Fault(disk=4096 * blocks + room, read_only=read_only)
        end = run(folder, *words(work.words), fault=fault)
        kept = values.read(folder.with_name(values.KEPT))
        return Found(work, end, values.Promise(before, {}), kept)

    return done


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def full(request: pytest.FixtureRequest, attempt: Attempt) -> Found:
    """Do work on a disk that has no room for it."""
    return attempt(request.param)


def test_a_full_disk_is_an_error_of_one_line(full: Found) -> None:
    # GDAL's TIFF library writes a line of its own.
    ours = [line for line in full.end.err.splitlines() if not line.startswith("_tiff")]
    assert full.end.status == 1
    assert len(ours) == 1
    assert ours[0].startswith("cloudmask: ")


def test_a_full_disk_is_told_with_the_file_what_there_is_and_what_to_do(full: Found) -> None:
    assert full.work.file in full.end.err
    # Nobody knows the size of a cube, but of its rows, which may be what there is no room for.
    if full.work.file.endswith(".tif"):
        assert "up to 0.4 MB are needed, " in full.end.err
    assert re.search(r"[\d.]+ MB are free in /.*disk: make room, or choose", full.end.err)


def test_what_was_there_stays_when_the_disk_is_full(full: Found) -> None:
    assert full.now == full.promise.before


READERS = [each for each in WORKS if each.name != "copy"]


@pytest.fixture(scope="module", params=READERS, ids=lambda work: work.name)
def read_only(request: pytest.FixtureRequest, attempt: Attempt) -> Found:
    """Do work on a disk that may only be read."""
    return attempt(request.param, read_only=True)


def test_a_folder_that_may_not_be_written_to_is_named_in_one_line(read_only: Found) -> None:
    assert read_only.end.status == 1
    assert read_only.end.err.count("\n") == 1
    assert re.match(r"cloudmask: .*[Rr]ead-only", read_only.end.err)
