"""What does a back-end's worker need? The UDF's text, in a process with little address space.

Two networks (an ensemble), chunks of several sizes, 3 GiB of address space as `python-memory`
of a Spark executor sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

LIMIT_GIB = 3
SIZES = (512, 768, 1024)

_WORKER = """
import json, pathlib, resource, sys, time
size, limit = int(sys.argv[1]), int(sys.argv[2]) * 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import numpy as np
import xarray as xr
from cloudmask_openeo import udf_code
scope = {"__name__": "builtins"}
exec(udf_code(), scope)
chunk = size + 2 * 32
numbers = np.random.default_rng(0).integers(300, 6000, (4, chunk, chunk)).astype(np.float32)
bands = ["B02", "B03", "B04", "B08"]
cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": bands})
context = {"model": ["ukis-4b-l1c", "ukis-4b-l2a"], "chunk_overlap": 32, "layout": "probabilities"}
for _ in range(2):
    found = scope["apply_datacube"](cube, context)
assert found.shape == (6, chunk, chunk)
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
of = {line.split(":")[0]: line.split() for line in lines if line}
print(json.dumps({
    "address_space_mib": int(of["VmPeak"][1]) // 1024,
    "resident_mib": int(of["VmHWM"][1]) // 1024,
    "threads": int(of["Threads"][1]),
}))
"""


def worker(size: int, *, limit_gib: int = LIMIT_GIB, threads: int = 2) -> dict[str, int]:
    """Run two chunks in a fresh process, and tell its greatest memory; on Linux only.

    Args:
        size: Edge of a chunk's own pixels.
        limit_gib: Address space that the process may have.
        threads: OMP_NUM_THREADS, as Spark sets it to the cores of a task.

    Raises:
        RuntimeError: It failed.
    """
    words = [sys.executable, "-W", "ignore", "-c", _WORKER, str(size), str(limit_gib)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, int] = json.loads(done.stdout)
    return found


def run(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, int]]:
    """Measure every size of chunks."""
    return {str(size): worker(size) for size in sizes}


def main() -> None:
    """Print the figures, a line of JSON for each size on the command line."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    for size, found in run(sizes).items():
        print(json.dumps({"size": int(size), **found}), flush=True)


if __name__ == "__main__":
    main()
