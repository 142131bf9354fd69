from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cloudmask_export.fetch import FetchError, fetch
from cloudmask_export.fetch.exclusive import alone
from cloudmask_export.fetch.part import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.export.fetch.conftest import Publish, Site

    from cloudmask_export.fetch import Policy

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from cloudmask_export.families import family
from cloudmask_export.fetch import fetch

url, folder = sys.argv[1:]
real = family("clouds2mask-20m")
member = replace(real.members[0], file="net.pkl", urls=(url,), size=None)
fetch(replace(real, members=(member,)), Path(folder), say=lambda line: print(line, flush=True))
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a process that fetches an address into the test's folder."""
    processes = []

    def begin(url: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, url, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def test_two_processes_fetch_a_file_once(
    site: Site,
    start: Callable[[str], subprocess.Popen[str]],
    tmp_path: Path,
    weights: bytes,
) -> None:
    waiting = threading.Event()
    url = site.serve("/net", site.after(waiting, site.whole()))
    first = start(url)
    wait_until(lambda: len(site.asked) == 1)
    second = start(url)
    assert second.stdout is not None
    assert "another process is fetching net.pkl" in second.stdout.readline()
    waiting.set()
    for process in (first, second):
        process.wait(20)
        assert process.returncode == 0, process.communicate()
    assert len(site.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_many_threads_of_one_process_fetch_a_file_once(
    site: Site, published_at: Publish, tmp_path: Path, weights: bytes
) -> None:
    family = published_at(site.serve("/net", site.whole()))
    threads = [threading.Thread(target=fetch, args=(family, tmp_path)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(site.asked) == 1
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_a_killed_process_fetched_is_gone_on_with(
    site: Site,
    start: Callable[[str], subprocess.Popen[str]],
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    weights: bytes,
) -> None:
    url = site.serve("/net", site.stalling(300_000), site.whole())
    process = start(url)
    part = tmp_path / "net.pkl.part"
    wait_until(lambda: part.exists() and part.stat().st_size > HEADER + 65_000)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(20)
    assert not (tmp_path / "net.pkl").exists()
    held = part.stat().st_size - HEADER
    fetch(published_at(url), tmp_path, policy=hasty)
    assert site.ranges() == [None, f"bytes={held}-"]
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


def test_patience_with_another_holder_ends(tmp_path: Path) -> None:
    told: list[bool] = []
    path = tmp_path / "lock"
    with (
        alone(path, 1, lambda: None),
        pytest.raises(FetchError, match=r"has held .*lock for 0\.3 s"),
        alone(path, 0.3, lambda: told.append(True)),
    ):
        pass
    assert told == [True]
    assert not path.exists()


def test_a_lock_left_by_a_killed_process_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"")
    with alone(path, 0, pytest.fail):
        assert path.exists()
    assert not path.exists()


def test_never_two_hold_a_lock_at_once(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with alone(tmp_path / "lock", 20, lambda: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0005)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
