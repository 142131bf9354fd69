"""Real openEO back-ends on 127.0.0.1, each in its own environment (`make test` makes them)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

# The parts of the back-ends' tests are shared by import.
sys.path += [str(Path(__file__).parent / name) for name in ("driver", "titiler")]

from driver_fixtures import driver, pixels, site
from titiler_fixtures import numbers, public_titiler, start_titiler, titiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "driver",
    "numbers",
    "pixels",
    "public_titiler",
    "serve",
    "site",
    "start_titiler",
    "titiler",
]

BACKENDS = Path(sys.prefix) / "backends"
PATIENCE = 90.0
"""Seconds that a back-end may take to answer its first request."""


@dataclass(frozen=True)
class Server:
    """A running process that answers on 127.0.0.1."""

    url: str
    """Without a slash at the end."""
    log: Path
    """What it writes to stdout and stderr."""


class Serve(Protocol):
    """Start a server; it ends with the test session."""

    def __call__(
        self, backend: str, script: Path, env: Mapping[str, str], health: str = "/"
    ) -> Server:
        """Run `script PORT` with the interpreter of `backend`, wait until `health` answers."""


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers that live as long as the test session."""
    with ExitStack() as stack:

        def start(backend: str, script: Path, env: Mapping[str, str], health: str = "/") -> Server:
            log = tmp_path_factory.mktemp(script.stem) / "server.log"
            return stack.enter_context(_running(_interpreter(backend), script, env, health, log))

        yield start


def _interpreter(backend: str) -> Path:
    """Find the environment of a back-end; on CI its absence is a failure, elsewhere a skip."""
    python = BACKENDS / backend / "bin" / "python"
    if not (BACKENDS / backend / ".made").exists():
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"the back-end {backend} is not installed in {BACKENDS}; `make test` does it")
    return python


@contextmanager
def _running(
    python: Path, script: Path, env: Mapping[str, str], health: str, log: Path
) -> Iterator[Server]:
    port = _free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, script, str(port)], stdout=out, stderr=out, env={**os.environ, **env}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url + health, log)
            yield Server(url, log)
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
    pytest.fail(f"{url} does not answer (exit code {process.poll()}):\n{log.read_text()[-4000:]}")
