"""What does a back-end add to the work itself?

The back-end of the tests (openeo_driver behind a real REST API on 127.0.0.1, UDFs in processes of
their own, `tests/backends/driver`) runs batch jobs of ours on scenes of two sizes; the same scenes
are masked directly. What is left is the job's own: waiting, reading, UDF processes, writing. A
cluster adds queues and the start of machines, which nothing here can tell.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.alone import alone
from benchmarks.measure import interleaved
from benchmarks.shift import BANDS, simulated
from cloudmask import mask_clouds
from cloudmask_openeo import Chunks
from cloudmask_openeo import mask_clouds as add_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from driver_client import Driver

TESTS = Path(__file__).parents[1] / "tests" / "backends"
PYTHON = Path(sys.prefix) / "backends" / "driver" / "bin" / "python"
EDGES = (384, 768)
FULL = {"edges": (384, 1152), "times": 5}
CHUNK = 384
"""Pixels of a chunk; scenes are whole chunks, so that both sides compute the same tiles."""
MODEL = "ukis-4b-l1c"


@contextmanager
def backend(folder: Path) -> Iterator[Driver]:
    """Start the back-end of the tests; it ends with the context."""
    sys.path += [str(TESTS), str(TESTS / "driver")]
    from driver_client import Driver
    from served import running

    folders = {name: folder / name for name in ("collections", "results", "tmp")}
    for each in folders.values():
        each.mkdir()
    env = {
        "STANDIN_COLLECTIONS": os.fspath(folders["collections"]),
        "STANDIN_RESULTS": os.fspath(folders["results"]),
        "TMPDIR": os.fspath(folders["tmp"]),
    }
    script, health = TESTS / "driver" / "driver_server.py", "/openeo/1.2/health"
    with running(PYTHON, script, env, health, folder / "server.log") as server:
        yield Driver(f"{server.url}/openeo/1.2", folders["collections"], server.log)


def run(edges: tuple[int, ...] = EDGES, times: int = 3) -> dict[str, Any]:
    """Measure jobs and the same work done directly, by turns; of seconds, not a ratio."""
    if not PYTHON.exists():
        return {"not_measured": "the environment backends/driver is not made"}
    with tempfile.TemporaryDirectory() as name, backend(Path(name)) as driver:
        runs: dict[str, Callable[[], float]] = {}
        for edge in edges:
            runs[f"job {edge}"], runs[f"direct {edge}"] = _sides(driver, edge, Path(name))
        for each in runs.values():
            each()  # the first job starts processes that the others find running
        found = interleaved(runs, times)
    return _split(edges, found)


def _sides(driver: Driver, edge: int, folder: Path) -> tuple[Callable[[], float], ...]:
    """Make a job and the same work without a back-end."""
    numbers = simulated(edge, edge_of_swath=False)
    scene = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": list(BANDS)})
    dated = scene.expand_dims(t=np.array(["2024-06-01"], "datetime64[ns]"))
    cube = driver.connect().load_collection(driver.add_collection(dated))
    chunks = Chunks(size=CHUNK, resample=None, border=False, delivery="archive")
    masked = add_mask(cube, MODEL, chunks=chunks)

    def job() -> None:
        driver.batch(masked, folder)

    def direct() -> None:
        mask_clouds(scene, MODEL, preset="dn")

    return _timed(job), _timed(direct)


def _timed(work: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def _split(edges: tuple[int, ...], found: dict[str, list[float]]) -> dict[str, Any]:
    """Part what a job adds into what every job adds and what every chunk does."""
    added = {
        edge: [j - d for j, d in zip(found[f"job {edge}"], found[f"direct {edge}"], strict=True)]
        for edge in edges
    }
    chunks = {edge: (edge // CHUNK) ** 2 for edge in edges}
    small, large = edges[0], edges[-1]
    a, b = (statistics.median(added[edge]) for edge in (small, large))
    a_chunk = (b - a) / (chunks[large] - chunks[small]) if large > small else 0.0
    return {
        "chunk": CHUNK,
        "chunks": {str(edge): chunks[edge] for edge in edges},
        "seconds": {name: [round(each, 3) for each in all_] for name, all_ in found.items()},
        "seconds_a_job": round(a - a_chunk * chunks[small], 2),
        "seconds_a_chunk": round(a_chunk, 3),
        "seconds_a_megapixel": round(1e6 * a_chunk / CHUNK**2, 3),
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL)
