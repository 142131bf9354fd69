"""Real openEO back-ends on 127.0.0.1, each in its own environment (`make test` makes them)."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

# The parts of the back-ends' tests are shared by import.
sys.path += [str(Path(__file__).parent / name) for name in ("driver", "titiler")]

from driver_fixtures import driver, pixels, site
from served import Server, running
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
            return stack.enter_context(running(_interpreter(backend), script, env, health, log))

        yield start


@pytest.fixture(scope="session")
def driver_python() -> Path:
    """Interpreter of the environment of openeo_driver."""
    return _interpreter("driver")


def _interpreter(backend: str) -> Path:
    """Find the environment of a back-end; on CI its absence is a failure, elsewhere a skip."""
    python = BACKENDS / backend / "bin" / "python"
    if not (BACKENDS / backend / ".made").exists():
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"the back-end {backend} is not installed in {BACKENDS}; `make test` does it")
    return python
