"""A granule on a dask cluster of this machine: the peak of each worker, and whether masks agree.

    python -m benchmarks.cluster           2745 x 2745 pixels, a sixteenth of a granule
    python -m benchmarks.cluster --full    10980 x 10980 pixels

A lazy cube of random numbers, made where they are needed, is masked by a network of one
convolution, first with threads of this process, then by two worker processes of one thread and
1.5 GB each, of which dask would end one that took more.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.alone import alone
from benchmarks.streaming import BANDS, write_network
from cloudmask import mask_clouds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LIMIT = 1_500_000_000
"""Bytes a worker."""
WORKERS = 2
FULL = {"edge": 10980}


def run(folder: Path, edge: int = 2745) -> dict[str, Any]:
    """Measure."""
    from distributed import Client, LocalCluster

    network = write_network(folder)
    lazy = _cube(edge)
    here = _masked(mask_clouds(lazy, network), partial(_compute, scheduler="threads"))
    how = {"n_workers": WORKERS, "threads_per_worker": 1, "memory_limit": LIMIT}
    with LocalCluster(**how, dashboard_address=":0") as cluster, Client(cluster) as client:
        before = client.run(_peak_mib)
        there = _masked(mask_clouds(lazy, network), _compute)
        peaks = client.run(_peak_mib)
        opened = client.run(_opened)
    return {
        "edge": edge,
        "workers": WORKERS,
        "seconds_threads": here["seconds"],
        "seconds_cluster": there["seconds"],
        "equal": here["sha256"] == there["sha256"],
        "idle_mib": max(before.values()),
        "peak_mib": sorted(peaks.values()),
        "sessions": sorted(opened.values()),
    }


def _cube(edge: int) -> xr.DataArray:
    import dask.array as da

    sizes = (len(BANDS),), *da.core.normalize_chunks((1024, 1024), (edge, edge))
    data = da.map_blocks(_numbers, chunks=sizes, dtype=np.uint16)
    return xr.DataArray(data, {"bands": list(BANDS)}, ("bands", "y", "x"))


def _numbers(block_info: Any = None) -> NDArray[np.uint16]:
    mine = block_info[None]
    random = np.random.default_rng(mine["chunk-location"])
    return random.integers(1, 12000, mine["chunk-shape"], np.uint16)


def _masked(mask: xr.DataArray, compute: Callable[[Any], Any]) -> dict[str, Any]:
    """Take the classes row by row of chunks, as one who writes them to a file does."""
    start, sha256 = time.perf_counter(), hashlib.sha256()
    rows = np.cumsum((0, *mask.chunksizes["y"]))
    for first, stop in pairwise(rows):
        sha256.update(compute(mask.data[1, first:stop]).tobytes())
    return {"seconds": round(time.perf_counter() - start, 1), "sha256": sha256.hexdigest()}


def _compute(array: Any, **how: Any) -> Any:
    return array.compute(**how)


def _peak_mib() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 2**10


def _opened() -> int:
    from cloudmask import claims

    return claims._open.cache_info().misses  # noqa: SLF001 - nobody else needs to know


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="folder")
