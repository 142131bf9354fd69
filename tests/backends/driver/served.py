"""Back-ends as processes on 127.0.0.1 that are started, watched and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from driver_client import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
PATIENCE = 90.0
"""Seconds that a back-end may take to answer its first request."""


@dataclass(frozen=True)
class Server:
    """A running process that answers on 127.0.0.1."""

    url: str
    """Without a slash at the end."""
    log: Path
    """What it writes to stdout and stderr."""
    process: subprocess.Popen[bytes]


@contextmanager
def running(
    python: Path, script: Path, env: Mapping[str, str], health: str, log: Path
) -> Iterator[Server]:
    """Run `python script PORT` until the block ends.

    Args:
        python: Interpreter of the back-end.
        script: What to run; its last argument is the port.
        env: Variables besides our own.
        health: Path that answers when it is ready.
        log: Where its output goes.

    Raises:
        RuntimeError: It does not answer in time.
    """
    port = _free_port()
    with log.open("ab") as out:
        process = subprocess.Popen(
            [python, script, str(port)], stdout=out, stderr=out, env={**os.environ, **env}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url + health, log)
            yield Server(url, log, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(
        f"{url} does not answer (exit code {process.poll()}):\n{log.read_text()[-4000:]}"
    )


@dataclass(frozen=True)
class Place:
    """Folders of the stand-in, which outlive its process, and how it is run."""

    folder: Path
    python: Path
    """Of the environment of openeo_driver."""
    workers: int = 1
    """UDF workers of each kind."""
    tries: int = 1
    """How often a chunk is tried whose worker ends; Spark tries 4 times."""

    def collections(self) -> list[str]:
        """Name the collections."""
        return sorted(each.stem for each in (self.folder / "collections").glob("*.nc"))

    @contextmanager
    def open(self) -> Iterator[tuple[Driver, subprocess.Popen[bytes]]]:
        """Start the back-end on these folders; ended with the block, jobs and all."""
        folders = {name: self.folder / name for name in ("collections", "results", "tmp")}
        for each in folders.values():
            each.mkdir(exist_ok=True)
        env = {
            "STANDIN_COLLECTIONS": str(folders["collections"]),
            "STANDIN_RESULTS": str(folders["results"]),
            "STANDIN_WORKERS": str(self.workers),
            "STANDIN_TRIES": str(self.tries),
            "TMPDIR": str(folders["tmp"]),
        }
        script, log = HERE / "driver_server.py", self.folder / "server.log"
        with running(self.python, script, env, "/openeo/1.2/health", log) as server:
            yield (
                Driver(f"{server.url}/openeo/1.2", folders["collections"], log),
                server.process,
            )
