from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.write import refuse_existing, together

NAMES = ("net.onnx", "net.npy", "net.json")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def write(folder: Path, words: str) -> None:
    with together([folder / name for name in NAMES]) as places:
        for place in places:
            place.write_text(words)


def test_all_files_appear_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "new")
    assert contents(tmp_path / "a" / "b") == dict.fromkeys(NAMES, "new")


def test_nothing_appears_before_all_are_written(tmp_path: Path) -> None:
    with together([tmp_path / name for name in NAMES]) as places:
        for place in places:
            place.write_text("new")
            assert not any((tmp_path / name).exists() for name in NAMES)


def test_files_are_written_on_the_disk_where_they_will_be(tmp_path: Path) -> None:
    with together([tmp_path / name for name in NAMES]) as places:
        assert {place.parent.parent for place in places} == {tmp_path}
        assert all(place.parent.name.startswith(".") for place in places)
        for place in places:
            place.write_text("new")


def test_the_last_file_is_renamed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed, original = [], Path.rename

    def noted(self: Path, target: Path) -> Path:
        renamed.append(target.name)
        return original(self, target)

    monkeypatch.setattr(Path, "rename", noted)
    write(tmp_path, "new")
    assert renamed == list(NAMES)


def test_existing_files_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, "old")
    write(tmp_path, "new")
    assert contents(tmp_path) == dict.fromkeys(NAMES, "new")


def test_files_are_readable_by_whom_other_files_are(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write(tmp_path, "new")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_what_fails_while_it_is_written_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def broken() -> None:
        with together([tmp_path / name for name in NAMES]) as places:
            places[0].write_text("half")
            raise error("stopped")

    with pytest.raises(error, match="stopped"):
        broken()
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("old", [(), NAMES[:1], NAMES[1:], NAMES])
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("after", ["before it", "after it"])
def test_what_fails_between_two_renames_puts_all_old_files_back(
    tmp_path: Path, old: tuple[str, ...], number: int, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in old:
        (tmp_path / name).write_text("old")
    count, original = iter(range(100)), Path.rename

    def stopped(self: Path, target: Path) -> Path:
        last = next(count) == number
        if last and after == "before it":
            raise KeyboardInterrupt("now")
        moved = original(self, target)
        if last:
            raise KeyboardInterrupt("now")
        return moved

    monkeypatch.setattr(Path, "rename", stopped)
    if number >= len(old) + len(NAMES):
        write(tmp_path, "new")
        assert contents(tmp_path) == dict.fromkeys(NAMES, "new")
        return
    with pytest.raises(KeyboardInterrupt, match="now"):
        write(tmp_path, "new")
    assert contents(tmp_path) == dict.fromkeys(old, "old")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_in_the_way_leaves_all_as_it_was(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    others = [each for each in NAMES if each != name]
    for each in others:
        (tmp_path / each).write_text("old")
    with pytest.raises(OSError, match=name):
        write(tmp_path, "new")
    (tmp_path / name).rmdir()
    assert contents(tmp_path) == dict.fromkeys(others, "old")


def test_a_file_that_was_not_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "old")

    def forgetful() -> None:
        with together([tmp_path / name for name in NAMES]) as places:
            places[0].write_text("new")

    with pytest.raises(FileNotFoundError, match=r"net\.npy"):
        forgetful()
    assert contents(tmp_path) == dict.fromkeys(NAMES, "old")


def test_files_that_are_not_there_are_not_in_the_way(tmp_path: Path) -> None:
    refuse_existing([tmp_path / name for name in NAMES], force=False)


def test_force_lets_files_be_in_the_way(tmp_path: Path) -> None:
    write(tmp_path, "old")
    refuse_existing([tmp_path / name for name in NAMES], force=True)


@pytest.mark.parametrize(("there", "words"), [(1, r"net\.onnx: exists"), (3, r"onnx and 2 more:")])
def test_files_in_the_way_are_counted(tmp_path: Path, there: int, words: str) -> None:
    for name in NAMES[:there]:
        (tmp_path / name).write_text("old")
    with pytest.raises(ExportError, match=words):
        refuse_existing([tmp_path / name for name in NAMES], force=False)


# -- killed ---------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
from cloudmask_export.write import refuse_existing, together

folder, number = Path(sys.argv[1]), int(sys.argv[2])
paths = [folder / name for name in sys.argv[3:]]
count = 0


def dies(event, arguments):
    global count
    if event in {"os.rename", "os.remove", "os.rmdir"}:
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(dies)
refuse_existing(paths, force=True)
with together(paths) as places:
    for place in places:
        place.write_text("new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("deaths", [(5, 1), (5, 2, 2), (6, 4), (8, 3), (9,)])
def test_whoever_dies_while_he_puts_back_what_a_dead_one_left_loses_nothing_either(
    tmp_path: Path, deaths: tuple[int, ...]
) -> None:
    write(tmp_path, "old")
    for number in deaths:
        words = [sys.executable, "-c", DYING, str(tmp_path), str(number), *NAMES]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    refuse_existing([tmp_path / name for name in NAMES], force=True)
    now = contents(tmp_path)
    assert now in (dict.fromkeys(NAMES, "old"), dict.fromkeys(NAMES, "new"))
