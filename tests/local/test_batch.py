from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("rich")
pytest.importorskip("PIL")

from pathlib import Path  # noqa: E402

from rasterio.transform import from_origin  # noqa: E402

from cloudmask.augment import TTA  # noqa: E402
from cloudmask.bands import PRESETS  # noqa: E402
from cloudmask.classes import Output  # noqa: E402
from cloudmask.errors import CubeError, ModelError  # noqa: E402
from cloudmask.local import run  # noqa: E402
from cloudmask.local.batch import Batch, Outcome, mask_many  # noqa: E402
from cloudmask.local.beside import hidden  # noqa: E402
from cloudmask.local.filejob import FileJob  # noqa: E402
from cloudmask.local.fingerprint import fingerprint  # noqa: E402
from cloudmask.local.inputs import folder_for, named, scenes_of  # noqa: E402
from cloudmask.local.product import Facts, Grid, Product  # noqa: E402
from cloudmask.local.readers import find_scenes  # noqa: E402
from cloudmask.local.run import mask_file  # noqa: E402
from cloudmask.local.writers import writer_for  # noqa: E402
from cloudmask.options import Options  # noqa: E402
from cloudmask.runtime import Runtime  # noqa: E402
from cloudmask.testing import FakeModel, brightest_band, fake_spec  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cloudmask.local.product import Scene, Wanted
    from cloudmask.windows import Span

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B03", "B04", "B08")
SHAPE = (40, 50)
SENSED = "2025-06-01T10:56:21Z"
WAIT = 30
"""Seconds for another thread; a hang fails instead of hanging."""


def write(path: Path, seed: int, shape: tuple[int, int] = SHAPE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    numbers = random.integers(500, 4000, (4, *shape)).astype(np.uint16)
    numbers[:, :5] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=4, dtype="uint16",
        crs="EPSG:32633", transform=from_origin(6e5, 5e6, 10, 10), nodata=0,
    ) as dataset:  # fmt: skip
        dataset.write(numbers)
        dataset.descriptions = BANDS
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=SENSED)
    return path


@pytest.fixture
def rasters(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "in" / f"{name}.tif", seed) for seed, name in enumerate("abc")]


def scenes(paths: list[Path]) -> dict[str, Scene]:
    return named([scene for path in paths for scene in find_scenes(path)])


def batch(folder: Path, model: Any = None, **more: Any) -> Batch:
    settings = {"models": (model or brightest_band(),), **more.pop("settings", {})}
    return Batch(folder=folder, settings=settings, **more)


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files, less the seconds that they tell."""
    return {path.name: without_seconds(path) for path in folder.iterdir()}


def without_seconds(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".json":
        item = json.loads(content)
        del item["properties"]["cloudmask:seconds"]
        return json.dumps(item).encode()
    if path.suffix == ".csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        return json.dumps([{**row, "seconds": None} for row in rows]).encode()
    return content


def states(outcomes: list[Outcome]) -> dict[str, str]:
    """Say of each scene whether it was made, skipped, or failed and why."""
    return {each.name: "made" if each.summary else each.reason or "skipped" for each in outcomes}


# -- what is written ------------------------------------------------------------------------


def test_each_scene_has_its_files_and_the_folder_its_statistics(
    tmp_path: Path, rasters: list[Path]
) -> None:
    out = tmp_path / "new" / "out"
    mask_many(scenes(rasters), batch(out, probabilities=True))
    ends = (
        ".json", "_mask.qml", "_mask.tif", "_mask.tif.aux.xml", "_probabilities.tif",
        "_thumbnail.png",
    )  # fmt: skip
    expected = {f"{name}{end}" for name in "abc" for end in ends}
    assert set(contents(out)) == expected | {"statistics.csv"}


def test_probabilities_are_written_only_if_wanted(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*probabilities*"))


def test_a_mask_of_many_is_the_mask_of_one(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    for path in rasters:
        alone = tmp_path / f"{path.stem}_mask.tif"
        mask_file(FileJob(scene=path, output=alone, models=(brightest_band(),), quiet=True))
        assert (tmp_path / "out" / alone.name).read_bytes() == alone.read_bytes()


def test_the_item_tells_shares_and_how_sure_the_networks_were(
    tmp_path: Path, rasters: list[Path]
) -> None:
    (outcome, *_) = mask_many(scenes(rasters), batch(tmp_path / "out"))
    told = json.loads((tmp_path / "out" / "a.json").read_text("utf-8"))["properties"]
    assert outcome.summary
    assert told["cloudmask:shares"] == outcome.summary.shares
    valid = (SHAPE[0] - 5) * SHAPE[1]
    assert told["cloudmask:confidence"] == [0] * 19 + [valid]
    assert told["cloudmask:options"]["stitch"] == "crop"
    assert told["cloudmask:model"] == ["fake"]


def test_the_statistics_have_a_row_a_scene(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    with (tmp_path / "out" / "statistics.csv").open(encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a", "b", "c"]


def _full(*_: object) -> None:
    raise OSError("No space left on device")


def test_statistics_that_cannot_be_written_hide_no_failure(
    tmp_path: Path, rasters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rasters[1].write_bytes(b"no raster")
    monkeypatch.setattr("cloudmask.local.batch.write_statistics", _full)
    with pytest.warns(UserWarning, match="has no new statistics .No space left"):
        outcomes = mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert [bool(outcome.reason) for outcome in outcomes] == [False, True, False]


def test_statistics_that_cannot_be_written_are_an_error_where_all_else_went_well(
    tmp_path: Path, rasters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudmask.local.batch.write_statistics", _full)
    with pytest.raises(OSError, match="No space left"):
        mask_many(scenes(rasters), batch(tmp_path / "out"))


def test_a_network_file_is_opened_once(
    tmp_path: Path, rasters: list[Path], tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    ensemble = Options.ensemble

    def counted(self: Options, models: Any) -> Any:
        opened.append(models)
        return ensemble(self, models)

    monkeypatch.setattr(Options, "ensemble", counted)
    mask_many(scenes(rasters), batch(tmp_path / "out", tiny_network))
    assert len(opened) == 1


def test_progress_adds_up_to_the_scenes_whatever_becomes_of_them(
    tmp_path: Path, rasters: list[Path]
) -> None:
    mask_many(scenes(rasters[:1]), batch(tmp_path / "out"))
    rasters[1].write_bytes(b"damaged")
    shares: list[float] = []
    mask_many(scenes(rasters), batch(tmp_path / "out"), done=shares.append)
    assert sum(shares) == pytest.approx(3)


# -- what is complete -----------------------------------------------------------------------


def test_a_rerun_masks_nothing_that_is_complete(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}
    model = brightest_band()
    again = mask_many(scenes(rasters), batch(tmp_path / "out", model))
    assert states(again) == dict.fromkeys("abc", "skipped")
    assert model.calls == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_overwriting_masks_all_again(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    again = mask_many(scenes(rasters), batch(tmp_path / "out", overwrite=True))
    assert states(again) == dict.fromkeys("abc", "made")


@pytest.mark.parametrize("name", ["b.json", "b_mask.tif", "b_thumbnail.png"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_a_scene_without_all_its_files_is_masked_again(
    tmp_path: Path, rasters: list[Path], name: str, damage: Callable[[Path], object]
) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    whole = contents(tmp_path / "out")
    damage(tmp_path / "out" / name)
    again = mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert states(again) == {"a": "skipped", "b": "made", "c": "skipped"}
    assert contents(tmp_path / "out") == whole


def test_a_scene_that_changed_is_masked_again(tmp_path: Path, rasters: list[Path]) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    write(rasters[2], seed=99)
    again = mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert states(again) == {"a": "skipped", "b": "skipped", "c": "made"}


OTHERWISE: dict[str, dict[str, Any]] = {
    "stitch": {"options": Options(stitch="blend")},
    "tta": {"options": Options(tta=TTA(depth=1))},
    "tile": {"options": Options(tile=20)},
    "overlap": {"options": Options(overlap=8)},
    "dilate": {"options": Options(output=Output(dilate=20))},
    "masked": {"options": Options(output=Output(masked=(1,)))},
    "resolution": {"resolution": 20.0},
    "preset": {"preset": "cdse"},
    "bands": {"bands": BANDS},
    "provider": {"options": Options(runtime=Runtime(provider="openvino"))},
    "network": {"models": (FakeModel(lambda tiles: tiles, replace(fake_spec(), name="other")),)},
    "version": {"models": (FakeModel(lambda tiles: tiles, replace(fake_spec(), mean=(0.1,) * 4,
                                                                  std=(1.0,) * 4)),)},
}  # fmt: skip


def mark(scene: Path, **settings: Any) -> str:
    output = scene.with_name("mask.tif")
    return fingerprint(
        FileJob(scene=scene, output=output, **{"models": (brightest_band(),), **settings})
    )


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_changes_a_mask_changes_the_fingerprint(rasters: list[Path], what: str) -> None:
    assert mark(rasters[0]) != mark(rasters[0], **OTHERWISE[what])


def test_probabilities_change_the_fingerprint_as_there_is_a_file_more(rasters: list[Path]) -> None:
    spread = rasters[0].with_name("p.tif")
    assert mark(rasters[0]) != mark(rasters[0], probabilities=spread)


@pytest.mark.parametrize(
    "settings",
    [
        {"options": Options(runtime=Runtime(threads=1))},
        {"options": Options(memory=2**40)},
        {"options": Options(batch=4)},
        {"quiet": True},
    ],
)
def test_how_it_is_computed_changes_no_fingerprint(
    rasters: list[Path], settings: dict[str, Any]
) -> None:
    assert mark(rasters[0]) == mark(rasters[0], **settings)


def test_a_network_without_a_hash_in_its_manifest_counts_by_its_content(
    rasters: list[Path], tiny_network: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "net.onnx"
    manifest = json.loads(tiny_network.with_suffix(".json").read_text("utf-8"))
    manifest["assets"]["model"]["href"] = "net.onnx"
    copy.with_suffix(".json").write_text(json.dumps(manifest), "utf-8")
    copy.write_bytes(tiny_network.read_bytes())
    first = mark(rasters[0], models=(copy,))
    copy.write_bytes(tiny_network.read_bytes() + b"\0")
    assert mark(rasters[0], models=(copy,)) != first


def test_probabilities_of_an_earlier_run_do_not_stay_beside_another_mask(
    tmp_path: Path, rasters: list[Path]
) -> None:
    mask_many(scenes(rasters), batch(tmp_path / "out", probabilities=True))
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*probabilities*"))


def test_no_item_stands_for_files_that_are_being_replaced(
    tmp_path: Path, rasters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two files, the folder would hold those of two runs."""
    out = tmp_path / "out"
    mask_many(scenes(rasters[:1]), batch(out))
    there = []

    class Watched:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __enter__(self) -> Self:
            self.inner.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.inner.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def finish(self, *tags: Any) -> None:
            there.append((out / "a.json").exists())
            self.inner.finish(*tags)

    monkeypatch.setattr(run, "writer_for", lambda *places: Watched(writer_for(*places)))
    mask_many(scenes(rasters[:1]), batch(out, overwrite=True))
    assert there == [False]
    assert (out / "a.json").exists()


# -- what fails -----------------------------------------------------------------------------


def test_a_scene_that_fails_is_told_and_the_rest_is_done(
    tmp_path: Path, rasters: list[Path]
) -> None:
    rasters[1].write_bytes(b"damaged")
    found = states(mask_many(scenes(rasters), batch(tmp_path / "out")))
    assert (found["a"], found["c"]) == ("made", "made")
    assert "b.tif: cannot be read as a raster" in found["b"]
    assert not list((tmp_path / "out").glob("b*"))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModelError("broken"), "broken"),
        (OSError("gone"), "gone"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_whatever_a_scene_fails_of_stops_no_other(
    tmp_path: Path, rasters: list[Path], error: Exception, says: str
) -> None:
    calls = 0

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error
        return tiles.copy()

    found = states(mask_many(scenes(rasters), batch(tmp_path / "out", FakeModel(answer))))
    assert sorted(found.values()) == sorted([says, "made", "made"])


def test_when_all_fail_there_are_no_statistics(tmp_path: Path, rasters: list[Path]) -> None:
    for path in rasters:
        path.write_bytes(b"damaged")
    mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, rasters: list[Path]) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(OSError, match=r"file/out: cannot be written to .* choose another folder"):
        mask_many(scenes(rasters), batch(tmp_path / "file" / "out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the superuser")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path, rasters: list[Path]) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(OSError, match="out: cannot be written to"):
        mask_many(scenes(rasters), batch(out))


def test_a_full_disk_is_named_and_no_further_scene_is_begun(
    tmp_path: Path, rasters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = brightest_band()
    monkeypatch.setattr("cloudmask.local.batch.FULL", 2**80)
    found = states(mask_many(scenes(rasters), batch(tmp_path / "out", model)))
    for reason in found.values():
        assert f"the disk of {tmp_path / 'out'} is full" in reason
    assert model.calls == 0


LIMITED = """
import resource, sys
from cloudmask.local.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
main()
"""


def test_files_that_cannot_be_written_whole_are_not_written(
    tmp_path: Path, tiny_network: Path
) -> None:
    """As on a disk that fills up; what compresses well still fits."""
    large = write(tmp_path / "large.tif", 1, (900, 900))
    small = write(tmp_path / "small.tif", 2)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "mask", large, small, "-o", "out/", "-m", tiny_network],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "1 of 2 scenes failed" in done.stderr
    assert f"cloudmask: {large}: " in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "small.json", "small_mask.qml", "small_mask.tif", "small_mask.tif.aux.xml",
        "small_thumbnail.png", "statistics.csv",
    }  # fmt: skip


# -- stopped and killed ---------------------------------------------------------------------


def test_a_run_that_is_stopped_ends_all_scenes_and_leaves_nothing_half_made(
    tmp_path: Path, rasters: list[Path]
) -> None:
    def stop(_outcome: Outcome) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        mask_many(scenes(rasters), batch(tmp_path / "out"), told=stop)
    assert threading.active_count() == before
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert not [name for name in left if name.startswith(".")]
    made = [name for name in "abc" if f"{name}.json" in left]
    again = mask_many(scenes(rasters), batch(tmp_path / "out"))
    assert [each.name for each in again if not each.summary] == made


def test_a_run_that_is_stopped_does_not_first_finish_what_it_is_at(tmp_path: Path) -> None:
    stopping = threading.Event()
    calls: list[int] = []

    def stop(_outcome: Outcome) -> None:
        stopping.set()
        raise KeyboardInterrupt

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(stopping.wait(WAIT))
        time.sleep(0.05)
        return tiles.copy()

    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(b"damaged")
    some: dict[str, Any] = {"long": FakeScene("long"), **scenes([damaged])}
    with pytest.raises(KeyboardInterrupt):
        mask_many(some, batch(tmp_path / "out", FakeModel(answer)), told=stop)
    tiles = 20  # of 16 pixels that share 4
    assert 0 <= len(calls) < tiles
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_nothing_else(
    tmp_path: Path, rasters: list[Path]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    alive, other = hidden(out / "a_mask.tif"), hidden(out / "a_mask.tif")[:-2] + "#."
    dead = alive.replace(f".{os.getpid()}-", f".{process.pid}-")
    elsewhere = other.replace(f".{os.getpid()}-", f".{process.pid}-").replace("#", "z")
    for name in (f"{dead}abcd1234", f"{alive}abcd1234", ".git"):
        (out / name).mkdir()
        (out / name / "rows.tif").write_text("")
    for name in (f"{dead}abcd1234.tif", f"{dead}abcd1234.tif.ovr.tmp", f"{elsewhere}abcd1234.tif"):
        (out / name).write_text("")
    mask_many(scenes(rasters[:1]), batch(out))
    kept = {path.name for path in out.iterdir() if path.name.startswith(".")}
    assert kept == {f"{alive}abcd1234", ".git", f"{elsewhere}abcd1234.tif"}


@pytest.mark.parametrize("old", [True, False])
def test_what_another_machine_makes_is_removed_if_it_has_long_not_been_touched(
    tmp_path: Path,
    rasters: list[Path],
    old: bool,  # noqa: FBT001
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    name, _, _ = hidden(out / "a_mask.tif").rpartition("-")
    left = out / f"{name}-00000000.abcd1234"
    left.mkdir()
    (left / "rows.tif").write_text("")
    if old:
        for path in (left / "rows.tif", left):
            os.utime(path, (1e9, 1e9))
    mask_many(scenes(rasters[:1]), batch(out))
    assert left.exists() is not old


MANY = 40


def started(folder: Path, network: Path) -> subprocess.Popen[bytes]:
    words = [folder / "in" / "*.tif", "-o", folder / "out", "-m", network, "-q"]
    command = [sys.executable, "-m", "cloudmask", "mask", *map(str, words), "--threads", "1"]
    return subprocess.Popen(command)


def complete(folder: Path) -> int:
    return len(list((folder / "out").glob("*.json"))) if (folder / "out").is_dir() else 0


@pytest.mark.nightly
def test_a_run_killed_at_any_moments_and_begun_anew_ends_as_one_that_was_not(
    tmp_path: Path, tiny_network: Path
) -> None:
    for number in range(MANY):
        write(tmp_path / "in" / f"scene{number:02}.tif", number)
    random = np.random.default_rng(20261123)
    for goal in sorted(random.integers(0, MANY - 2, 5).tolist()):
        with started(tmp_path, tiny_network) as process:
            until = time.monotonic() + 100
            while complete(tmp_path) <= goal and time.monotonic() < until:
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    killed = complete(tmp_path)
    with started(tmp_path, tiny_network) as process:
        pass
    assert process.returncode == 0
    assert 0 < killed < MANY
    found = contents(tmp_path / "out")
    mask_many(scenes(sorted((tmp_path / "in").iterdir())), batch(
        tmp_path / "whole", tiny_network,
        settings={"options": Options(stitch="blend", tta=None)},
    ))  # fmt: skip
    assert found == contents(tmp_path / "whole")


# -- hand in hand ---------------------------------------------------------------------------


@dataclass
class FakeScene:
    """A scene of random numbers that tells when it is opened and looked at."""

    name: str
    opened_now: threading.Event = field(default_factory=threading.Event)
    drawing: Callable[[], object] = lambda: None
    number: int = 1000

    @property
    def place(self) -> str:
        """See `Scene`."""
        return f"nowhere/{self.name}"

    def identity(self) -> str:
        """See `Scene`."""
        return self.name

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return []

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`."""
        self.opened_now.set()
        raster = FakeRaster(self.drawing, self.number)
        yield Product(
            raster=raster, colours=raster, grid=Grid(*SHAPE), preset=PRESETS["dn"], facts=Facts()
        )


@dataclass
class FakeRaster:
    """One number everywhere."""

    drawing: Callable[[], object]
    number: int
    shape = (4, *SHAPE)
    itemsize = 2

    def read(self, rows: Span) -> NDArray[np.uint16]:
        """See `RowRaster`."""
        return np.full((4, rows.size, SHAPE[1]), self.number, np.uint16)

    def sample(self) -> NDArray[np.uint16]:
        """See `RowRaster`."""
        return np.full((4, 10), self.number, np.uint16)

    def thumbnail(self, longest: int) -> NDArray[np.uint16]:
        """See `RowRaster`."""
        self.drawing()
        return np.full((3, 8, 10), self.number, np.uint16)


def test_while_the_networks_work_the_next_scene_is_opened(tmp_path: Path) -> None:
    first, second = FakeScene("first"), FakeScene("second")
    seen: list[bool] = []

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        if not seen:
            seen.append(second.opened_now.wait(WAIT) and first.opened_now.wait(WAIT))
        return tiles.copy()

    mask_many({"first": first, "second": second}, batch(tmp_path / "out", FakeModel(answer)))
    assert seen == [True]


def test_while_the_files_of_a_scene_are_made_the_networks_work_on_the_next(
    tmp_path: Path,
) -> None:
    """Each waits for the other: the files of the first scene, the networks on the second."""
    meeting = threading.Barrier(2, timeout=WAIT)
    drawn: list[int] = []
    begun: list[float] = []

    def draw() -> None:
        drawn.append(1)
        if len(drawn) == 1:
            meeting.wait()

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        scene = float(tiles.max())
        if scene not in begun:
            begun.append(scene)
            if len(begun) == 2:
                meeting.wait()
        return tiles.copy()

    both: dict[str, Any] = {
        name: FakeScene(name, drawing=draw, number=number)
        for name, number in (("one", 1000), ("two", 2000))
    }
    found = mask_many(both, batch(tmp_path / "out", FakeModel(answer)))
    assert states(found) == {"one": "made", "two": "made"}


def test_the_networks_work_on_one_scene_at_a_time(tmp_path: Path) -> None:
    at_work: list[int] = []
    most: list[int] = []

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.001)
        at_work.pop()
        return tiles.copy()

    some: dict[str, Any] = {name: FakeScene(name) for name in "abcdef"}
    mask_many(some, batch(tmp_path / "out", FakeModel(answer)))
    assert set(most) == {1}


def test_with_a_limit_of_memory_scenes_do_not_overlap(tmp_path: Path) -> None:
    second = FakeScene("second")
    seen = []

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(second.opened_now.is_set())
        return tiles.copy()

    some: dict[str, Any] = {"first": FakeScene("first"), "second": second}
    settings = {"options": Options(memory=2**34)}
    mask_many(some, batch(tmp_path / "out", FakeModel(answer), settings=settings))
    assert not any(seen[: len(seen) // 2])


# -- names and places -----------------------------------------------------------------------


def test_scenes_of_one_name_are_called_by_their_folders_too(tmp_path: Path) -> None:
    paths = [write(tmp_path / place / "scene.tif", 1) for place in ("june", "july")]
    assert list(scenes(paths)) == ["june_scene", "july_scene"]


def test_names_that_differ_in_capitals_alone_are_one_name(tmp_path: Path) -> None:
    some: Any = [FakeScene("Scene"), FakeScene("scene"), FakeScene("other")]
    assert list(named([some[0], some[2]])) == ["Scene", "other"]
    with pytest.raises(Exception, match="both would be called nowhere_scene; mask them to two"):
        named(some)


def test_a_scene_given_twice_is_masked_once(rasters: list[Path]) -> None:
    found, _ = scenes_of([str(rasters[0]), str(rasters[0].parent / "*.tif")])
    assert [scene.name for scene in found] == ["a", "b", "c"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\*\.SAFE: no file or folder has such a name"):
        scenes_of([str(tmp_path / "*.SAFE")])


def test_a_name_with_brackets_is_no_pattern_if_it_is_there(tmp_path: Path) -> None:
    (found,), _ = scenes_of([str(write(tmp_path / "scene[1].tif", 1))])
    assert found.name == "scene[1]"


def test_one_of_many_that_is_no_scene_is_told_with_the_others(
    tmp_path: Path, rasters: list[Path]
) -> None:
    found, (failure,) = scenes_of([str(rasters[0]), str(tmp_path / "none.tif")])
    assert [scene.name for scene in found] == ["a"]
    assert failure.place == str(tmp_path / "none.tif")
    assert "no such file" in failure.reason


def test_the_only_one_that_is_no_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"none\.tif: there is no such file"):
        scenes_of([str(tmp_path / "none.tif")])


@pytest.mark.parametrize(
    ("output", "count", "folder"),
    [
        ("mask.tif", 1, None), ("mask.zarr", 1, None), ("stored.zarr", 1, None),
        ("out/", 1, "out"), ("there", 1, "there"), ("out", 2, "out"), ("there", 2, "there"),
        ("mask.tif/", 1, "mask.tif"), ("mask", 1, None),
    ],
)  # fmt: skip
def test_it_is_a_folder_if_it_ends_so_or_is_one_or_several_scenes_are_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    count: int,
    folder: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("there", "stored.zarr"):
        Path(name).mkdir()
    assert folder_for(output, count) == (folder and Path(folder))


def test_several_scenes_into_one_file_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mask\.tif: 2 scenes are given, so a folder is needed"):
        folder_for("mask.tif", 2)
