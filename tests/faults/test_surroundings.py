"""Odd surroundings: clocks, languages, homes, closed streams."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Run, WriteScene

WORDS = ("mask", "in/*.tif", "-o", "out/", "--threads", "1", "-m")


def started(folder: Path, *words: object, script: str = '"$@"', **environment: str) -> Any:
    """Run the command anew, by way of a shell."""
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "cloudmask", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=200,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def usual(
    run: Run, write_scene: WriteScene, tiny_network: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with scenes, and what is made of them where nothing is odd."""
    folder = tmp_path_factory.mktemp("usual")
    for number in range(2):
        write_scene(folder / "in" / f"{number}.tif", number)
    assert run(folder, "cloudmask", *WORDS, tiny_network).status == 0
    return folder


@pytest.fixture
def folder(usual: Path, tmp_path: Path) -> Path:
    """The same scenes, and nothing made of them yet."""
    shutil.copytree(usual / "in", tmp_path / "in")
    return tmp_path


def test_a_clock_that_runs_backwards_changes_nothing(
    run: Run, folder: Path, usual: Path, tiny_network: Path, values: Any
) -> None:
    end = run(folder, "cloudmask", *WORDS, tiny_network, fault=values.Fault(backwards=True))
    assert end.status == 0, end.err
    assert values.read(folder / "out") == values.read(usual / "out")


@pytest.mark.parametrize(
    "odd",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TZ": "Pacific/Kiritimati"},
        {"HOME": "/dev/null/none", "XDG_CACHE_HOME": "/dev/null/none"},
    ],
    ids=["no locale", "far east", "no home"],
)
def test_language_zone_and_home_change_no_byte(
    folder: Path, usual: Path, tiny_network: Path, values: Any, odd: dict[str, str]
) -> None:
    done = started(folder, *WORDS, tiny_network, **odd)
    assert done.returncode == 0, done.stderr
    assert values.read(folder / "out") == values.read(usual / "out")


def test_files_are_as_private_as_the_user_wants_all_files_to_be(
    folder: Path, tiny_network: Path
) -> None:
    done = started(folder, *WORDS, tiny_network, script='umask 077; "$@"')
    assert done.returncode == 0, done.stderr
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "out").iterdir()}
    assert modes == {0o600}


def test_with_all_streams_closed_the_files_are_made(
    folder: Path, usual: Path, tiny_network: Path, values: Any
) -> None:
    done = started(folder, *WORDS, tiny_network, script='"$@" <&- >&- 2>&-')
    assert done.returncode == 0
    assert values.read(folder / "out") == values.read(usual / "out")


@pytest.mark.parametrize("word", ["models", "fetch"])
def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path, word: str) -> None:
    # Nobody reads: `true` is gone long before there is anything to be read.
    assert started(tmp_path, word, script='"$@" | true').stderr == ""


def test_a_table_that_cannot_be_written_anywhere_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = started(tmp_path, "models", script='"$@" > /dev/full')
    assert done.returncode == 1
    assert done.stderr.startswith("cloudmask: ")
    assert done.stderr.count("\n") == 1
