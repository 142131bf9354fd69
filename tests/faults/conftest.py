"""Faults done to a process at work, and what is promised about the files that it leaves."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

pytest.importorskip("rasterio")
pytest.importorskip("typer")

import rasterio
from rasterio.transform import from_origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VICTIM = Path(__file__).with_name("victim.py")
KEPT = "kept"
"""See `victim.disk`."""
BANDS = ("B02", "B03", "B04", "B08")

Files = dict[str, bytes]
"""What lies in a folder: path from there -> content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to a process; nothing by default."""

    harm: tuple[str, str] = ("", "")
    """Kind and words of what happens at one step: ("send", "SIGKILL"), ("cut", a file), ..."""
    step: int = 0
    """Before which change of the folder; they count from 1."""
    limit: int = 2**40
    """Bytes beyond which no file may grow."""
    deadly: bool = False
    """Whether to try that ends the process at once, in the middle of a write."""
    disk: int = 0
    """Bytes of the disk that the folder is on; 0 for the one that it is on."""
    read_only: bool = False
    """Whether that disk may only be read."""
    backwards: bool = False
    """Whether the clock runs backwards."""
    environment: Mapping[str, str] = field(default_factory=dict)


NOTHING = Fault()


@dataclass(frozen=True, slots=True)
class End:
    """How it ended."""

    status: int
    """Exit status; a signal's number, negative, if that ended it."""
    out: str
    err: str
    steps: int
    """Changes of the folder; 0 if it did not live to tell."""


class Run(Protocol):
    """Do a kind of work in a folder while a fault is done to it."""

    def __call__(self, folder: Path, *words: object, fault: Fault = NOTHING) -> End:
        """Give how it ended; the words are the kind of work and what it takes."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds of a folder whatever was done to who wrote there."""

    before: Mapping[str, bytes]
    """Its files before."""
    after: Mapping[str, bytes]
    """Its files after the same work undisturbed."""

    def broken(self, now: Mapping[str, bytes]) -> set[str]:
        """List files under final names that are neither the old nor the new one, whole."""
        there = {name for name in now if not hidden(name)}
        return {
            name for name in there
            if now[name] not in (self.before.get(name), self.after.get(name))
        }  # fmt: skip

    def lost(self, now: Mapping[str, bytes]) -> set[str]:
        """List files that were there and are gone, though the work leaves one of the name."""
        return (self.before.keys() & self.after.keys()) - now.keys()


def hidden(name: str) -> bool:
    """Tell whether a path lies in a hidden place, where things are in the making."""
    return any(part.startswith(".") for part in Path(name).parts)


def read(folder: Path) -> Files:
    """Read all files of a folder, hidden ones too, less the seconds that some tell."""
    return {
        path.relative_to(folder).as_posix(): _timeless(path)
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def _timeless(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        if path.suffix == ".json" and not path.name.startswith("."):
            item = json.loads(content)
            # The one tells how long it took, the other which file was read: not the same one.
            item["properties"] |= {"cloudmask:seconds": None, "cloudmask:fingerprint": None}
            return json.dumps(item).encode()
        if path.suffix == ".csv":
            rows = list(csv.DictReader(content.decode().splitlines()))
            return json.dumps([{**row, "seconds": None} for row in rows]).encode()
    except (ValueError, KeyError, TypeError):
        pass
    return content


@dataclass
class Victims:
    """Makes processes that are done harm, one at a time."""

    process: subprocess.Popen[str]
    said: Path

    def __call__(self, folder: Path, *words: object, fault: Fault = NOTHING) -> End:
        """See `Run`."""
        work, *rest = map(str, words)
        order = {"folder": str(folder), "said": str(self.said), "work": work, "words": rest}
        told = {name: value for name, value in asdict(fault).items() if value}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order | told) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        out, err, steps = ((self.said / name).read_text() for name in ("out", "err", "steps"))
        return End(status, out, err, int(steps))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Do our work in processes of their own, with one thread."""
    if sys.platform != "linux":
        pytest.skip("faults are done with what Linux has for it")
    with subprocess.Popen(
        [sys.executable, VICTIM], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Victims(process, tmp_path_factory.mktemp("said"))
        assert process.stdin
        process.stdin.close()


@pytest.fixture(scope="session")
def small_disks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where this user may not mount a disk, not even a private one."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import victim; "
        "victim.disk(Path(sys.argv[2]), 2**20, read_only=False)"
    )
    folder = tmp_path_factory.mktemp("disk") / "disk"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, VICTIM.parent, folder],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.splitlines()[-1]}")


class WriteScene(Protocol):
    """Write a raster of random reflectance, with a strip of no data."""

    def __call__(self, path: Path, seed: int = 0, shape: tuple[int, int] = (40, 50)) -> Path:
        """Give its path."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush rasterio, which multiplies transforms in the old way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


@pytest.fixture(scope="session")
def write_scene() -> WriteScene:
    """Write a scene."""

    def write(path: Path, seed: int = 0, shape: tuple[int, int] = (40, 50)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(seed)
        numbers = random.integers(500, 4000, (4, *shape)).astype(np.uint16)
        numbers[:, :5] = 0
        with _quiet(), rasterio.open(
            path, "w", driver="GTiff", height=shape[0], width=shape[1], count=4, dtype="uint16",
            crs="EPSG:32633", transform=from_origin(6e5, 5e6, 10, 10), nodata=0,
        ) as dataset:  # fmt: skip
            dataset.write(numbers)
            dataset.descriptions = BANDS
            dataset.update_tags(
                ns="IMAGERY", ACQUISITIONDATETIME="2025-06-01T10:56:21Z", SATELLITEID="S2"
            )
        return path

    return write


def _loaded(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def servers() -> Any:
    """Give the module with the bad server of the tests of downloads."""
    pytest.importorskip("pooch")
    return _loaded(VICTIM.parents[1] / "export" / "fetch" / "conftest.py", "bad_servers")


@pytest.fixture
def bad_server(servers: Any) -> Iterator[Any]:
    """A server on loopback, see `tests/export/fetch/conftest.py`."""
    with servers.Server(("127.0.0.1", 0), servers.BaseHTTPRequestHandler) as server:
        site = servers.Site(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = servers._handler(site)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield site
        site.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def values() -> Any:
    """Give this module: `Fault`, `Promise`, `read`, `hidden`."""
    return sys.modules[__name__]
