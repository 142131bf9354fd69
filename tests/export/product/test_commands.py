from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export import commands
from cloudmask_export.commands import Locks, catalogue, export_files
from cloudmask_export.errors import ExportError
from cloudmask_export.families import families, family
from cloudmask_export.families.lock import shipped_lock
from cloudmask_export.fetch import FetchError
from cloudmask_export.make import Made, Order

if TYPE_CHECKING:
    from pathlib import Path

V4 = [each.file for each in family("omnicloudmask-v4").members]
V44, V45 = (each.file for each in family("clouds2mask-20m").members)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, exported: Any) -> list[tuple[Path, Order]]:
    """Note what is to be exported instead of doing it."""
    found: list[tuple[Path, Order]] = []

    def noted(path: Path, order: Order, tell: Any = None) -> Made:
        found.append((path, order))
        tell("reading")
        made: Made = exported.made
        return replace(made, path=order.folder / f"{path.stem}.onnx")

    monkeypatch.setattr(commands, "make", noted)
    return found


def placed(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("weights")
    return [folder / name for name in names]


def run(files: list[Path], order: Order, **options: Any) -> list[str]:
    return list(export_files(files, order, **options))


def test_files_are_exported_in_turn_as_ordered(asked: Any, tmp_path: Path) -> None:
    order = Order(folder=tmp_path, precision="fp16")
    paths = placed(tmp_path, "b.pth", "a.pth")
    run(paths, order)
    assert asked == [(path, order) for path in paths]


def test_each_file_gets_a_line_with_its_place_size_speed_and_agreement(
    asked: Any, exported: Any, tmp_path: Path
) -> None:
    line, *_ = run(placed(tmp_path, "a.pth"), Order(folder=tmp_path))
    result = exported.made.report.result
    assert line.startswith(f"{tmp_path / 'a.onnx'}: {result.bytes / 1e6:.1f} MB, fp32, ")
    assert f"{result.seconds_per_megapixel:.2f} s per megapixel here" in line
    assert line.endswith("of the authors' graph")


def test_a_smaller_precision_says_how_many_pixels_agree(
    exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = replace(exported.made.report.rewrites, equal=0.99178)
    report = replace(exported.made.report, precision=cost)
    monkeypatch.setattr(commands, "make", lambda *_: replace(exported.made, report=report))
    line, *_ = run([tmp_path / "a.pth"], Order(folder=tmp_path))
    assert line.endswith("99.18 % of pixels have the class of fp32")


def test_the_last_words_are_commands_that_a_shell_takes(asked: Any, tmp_path: Path) -> None:
    folder = tmp_path / "my networks"
    *_, words = run(placed(tmp_path, "a.pth", "b.pth"), Order(folder=folder))
    check, use = words.splitlines()
    assert shlex.split(check.partition(": ")[2]) == ["cloudmask", "verify", str(folder)]
    assert "an ensemble" in use
    assert shlex.split(use.partition(": ")[2]) == [
        "cloudmask", "mask", "S2.tif", "-o", "mask.tif",
        "-m", str(folder / "a.onnx"), "-m", str(folder / "b.onnx"),
    ]  # fmt: skip


def test_one_network_is_no_ensemble(asked: Any, tmp_path: Path) -> None:
    *_, words = run(placed(tmp_path, "a.pth"), Order(folder=tmp_path))
    assert "ensemble" not in words


def test_each_step_names_the_file_and_which_of_how_many_it_is(asked: Any, tmp_path: Path) -> None:
    said: list[str] = []
    run(placed(tmp_path, "a.pth", "b.pth"), Order(folder=tmp_path), tell=said.append)
    assert said == ["a.pth (1 of 2): reading", "b.pth (2 of 2): reading", ""]


def test_the_step_of_a_single_file_does_not_count(asked: Any, tmp_path: Path) -> None:
    said: list[str] = []
    run(placed(tmp_path, "a.pth"), Order(folder=tmp_path), tell=said.append)
    assert said == ["a.pth: reading", ""]


# -- all files of a family ------------------------------------------------------------------


def test_all_files_are_taken_in_the_order_of_the_ensemble(asked: Any, tmp_path: Path) -> None:
    placed(tmp_path / "z", V44)
    placed(tmp_path / "a", V45, V4[0], "readme.txt")
    order = Order(folder=tmp_path, family="clouds2mask-20m")
    run([tmp_path / "a", tmp_path / "z"], order, every=True)
    assert [path for path, _ in asked] == [tmp_path / "z" / V44, tmp_path / "a" / V45]


@pytest.mark.parametrize("order", [V4, V4[::-1]])
def test_the_order_of_the_names_does_not_matter(
    asked: Any, tmp_path: Path, order: list[str]
) -> None:
    run(placed(tmp_path, *order), Order(folder=tmp_path, family="omnicloudmask-v4"), every=True)
    assert [path.name for path, _ in asked] == V4


def test_files_of_other_families_are_left_alone(asked: Any, tmp_path: Path) -> None:
    placed(tmp_path, *(each.file for each in family("omnicloudmask-v3").members), *V4)
    run([tmp_path], Order(folder=tmp_path, family="omnicloudmask-v4"), every=True)
    assert [path.name for path, _ in asked] == V4


def test_the_first_of_two_copies_is_taken(asked: Any, tmp_path: Path) -> None:
    placed(tmp_path / "a", *V4)
    placed(tmp_path / "b", *V4)
    order = Order(folder=tmp_path, family="omnicloudmask-v4")
    run([tmp_path / "b", tmp_path / "a"], order, every=True)
    assert {path.parent.name for path, _ in asked} == {"b"}


def test_missing_files_are_named_with_the_command_that_fetches_them(
    asked: Any, tmp_path: Path
) -> None:
    placed(tmp_path, V45)
    words = rf"missing: {V44}; `cloudmask fetch clouds2mask-20m` downloads them"
    with pytest.raises(ExportError, match=words):
        run([tmp_path], Order(folder=tmp_path, family="clouds2mask-20m"), every=True)
    assert asked == []


def test_all_files_may_be_missing(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"{tmp_path}.*missing: {V44}, {V45};"):
        run([tmp_path], Order(folder=tmp_path, family="clouds2mask-20m"), every=True)


def test_a_family_without_published_files_has_no_all(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nothing is published of clouds2mask-20m-3c, so name"):
        run([tmp_path], Order(folder=tmp_path, family="clouds2mask-20m-3c"), every=True)


def test_all_of_no_family_is_refused(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--all: say which family with --family NAME"):
        run([tmp_path], Order(folder=tmp_path), every=True)


def test_all_of_an_unknown_family_is_refused(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="unknown family 'omni'"):
        run([tmp_path], Order(folder=tmp_path, family="omni"), every=True)


def test_what_was_exported_before_a_bad_file_stays(
    exported: Any, tried: None, tmp_path: Path
) -> None:
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    lines = export_files([exported.source, tmp_path / "bad.pth"], Order(folder=tmp_path / "new"))
    assert "omnicloudmask-v4-regnety_004.onnx" in next(lines)
    with pytest.raises(ExportError, match=r"bad\.pth: is no weight file"):
        next(lines)
    assert len(list((tmp_path / "new").iterdir())) == 6


# -- the catalogue and fetching -------------------------------------------------------------


def test_the_catalogue_has_a_line_a_family() -> None:
    lines = dict(line.split(": ", 1) for line in catalogue())
    assert list(lines) == list(families())
    assert lines["clouds2mask-20m"] == (
        "CloudS2Mask, 20 m; 13 bands, 4 classes, 20 m, 2 networks, 251 MB"
    )
    assert lines["omnicloudmask-v4"].endswith("3 bands, 4 classes, 10 m, 2 networks")
    assert lines["clouds2mask-20m-3c"].endswith("3 classes, 20 m, your own weights")


def written_lock(path: Path, **files: str) -> Path:
    pins = {name: {"sha256": digit * 64} for name, digit in files.items()}
    path.write_text(json.dumps({"files": pins}))
    return path


def test_without_a_lock_file_the_shipped_one_counts() -> None:
    assert Locks().read() == shipped_lock()


def test_an_own_lock_file_goes_before_the_shipped_one(tmp_path: Path) -> None:
    found = Locks(written_lock(tmp_path / "lock.json", mine="a")).read()
    pin = found.of("mine")
    assert pin
    assert pin.sha256 == "a" * 64
    assert set(shipped_lock().pins) <= set(found.pins)


def test_a_lock_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"lock\.json: cannot be read"):
        Locks(tmp_path / "lock.json").read()


def test_a_lock_file_that_is_to_be_made_need_not_be_there(tmp_path: Path) -> None:
    assert Locks(tmp_path / "lock.json", pin=True).read() == shipped_lock()


def test_a_lock_file_that_is_added_to_counts(tmp_path: Path) -> None:
    lock = written_lock(tmp_path / "lock.json", mine="a")
    assert Locks(lock, pin=True).read().of("mine")


def fetched(folder: Path, locks: Locks) -> list[Path]:
    return commands.fetched("omnicloudmask-v4", folder, locks, lambda *_: None)


@pytest.fixture
def held(tmp_path: Path) -> Path:
    placed(tmp_path / "weights", *V4)
    return tmp_path / "weights"


def test_files_that_nobody_pinned_are_warned_of_each_once(held: Path) -> None:
    with pytest.warns(UserWarning, match="no lock file knows its hash") as caught:
        assert [path.name for path in fetched(held, Locks())] == V4
    assert [str(each.message).split(":")[0] for each in caught] == V4


def test_pinned_files_are_not_warned_of(held: Path, tmp_path: Path) -> None:
    fetched(held, Locks(tmp_path / "lock.json", pin=True))
    fetched(held, Locks(tmp_path / "lock.json"))
    assert set(json.loads((tmp_path / "lock.json").read_text())["files"]) == set(V4)


def test_without_pin_no_lock_file_is_written(held: Path, tmp_path: Path) -> None:
    lock = written_lock(tmp_path / "lock.json")
    before = lock.read_text()
    with pytest.warns(UserWarning, match="no lock file knows its hash"):
        fetched(held, Locks(lock))
    assert lock.read_text() == before


def test_a_file_of_another_hash_is_not_taken(
    held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = written_lock(tmp_path / "lock.json", **{V4[0]: "a", V4[1]: "b"})
    shutil.copytree(held, tmp_path / "before")
    monkeypatch.setattr(
        "cloudmask_export.fetch.files._from_anywhere", lambda _weights, _task, refused: refused
    )
    with pytest.raises(FetchError, match=r"is there, but its sha256 is \w+ where the lock file"):
        fetched(held, Locks(lock))
    assert sorted(path.name for path in held.iterdir()) == sorted(V4)


def test_what_is_there_already_is_left_out_when_resumed(exported: Any, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    line, *_, use = run([exported.source], Order(folder=folder), resume=True)
    assert line == f"{folder / exported.made.path.name}: is there already, made of these weights"
    assert str(folder / exported.made.path.name) in use
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_nothing_is_left_out_unless_resumed(exported: Any, folder: Path) -> None:
    with pytest.raises(ExportError, match="exists already; say --force"):
        run([exported.source], Order(folder=folder))


@pytest.mark.parametrize("damage", ["network", "report", "manifest"])
def test_what_is_there_but_not_whole_is_not_taken_for_done(
    exported: Any, folder: Path, damage: str
) -> None:
    network = folder / exported.made.path.name
    report = network.with_suffix(".report.json")
    if damage == "network":
        network.write_bytes(network.read_bytes()[:-1])
    elif damage == "report":
        report.write_text(report.read_text("utf-8").replace('"sha256": "', '"sha256": "0', 1))
    else:
        network.with_suffix(".json").unlink()
    with pytest.raises(ExportError, match="exists already; say --force"):
        run([exported.source], Order(folder=folder), resume=True)


def test_weights_that_are_not_the_published_ones_are_told(
    exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = exported.made.report
    strange = replace(report, source=replace(report.source, published=False))
    monkeypatch.setattr(commands, "make", lambda *_: replace(exported.made, report=strange))
    line, *_ = run([tmp_path / "a.pth"], Order(folder=tmp_path))
    assert line.endswith("its weights are NOT the published file of that name")
