"""What does a back-end's worker need? The UDF's text, in a process with little address space.

Chunks of several sizes, as `python-memory` of a Spark executor limits a worker: two small networks
(an ensemble) in 3 GiB; CloudS2Mask's architecture in 2 GiB, and two of it in 3 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.networks import CLOUDS2MASK, Workshop

SIZES = (1024,)
"""Of chunks for two small networks."""
LARGE_SIZES = (372,)
"""Of those for CloudS2Mask, which takes a hundred times as long: with what they carry of their
neighbours, one tile."""
FULL = {"sizes": (512, 768, 1024), "large_sizes": (512,)}
BANDS = ("B02", "B03", "B04", "B08")
ALL_BANDS = (
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """Networks in a worker."""

    model: tuple[str, ...]
    limit_gib: int
    bands: tuple[str, ...] = BANDS
    overlap: int = 32
    """Pixels of its neighbours that a chunk carries at each side."""


SMALL = Case(("ukis-4b-l1c", "ukis-4b-l2a"), 3)

_WORKER = """
import json, pathlib, resource, sys
case, size = json.loads(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (case["limit_gib"] * 2**30,) * 2)
import numpy as np
import xarray as xr
from cloudmask_openeo import udf_code
scope = {"__name__": "builtins"}
exec(udf_code(), scope)
chunk, bands = size + 2 * case["overlap"], case["bands"]
numbers = np.random.default_rng(0).integers(300, 6000, (len(bands), chunk, chunk), np.uint16)
cube = xr.DataArray(numbers.astype(np.float32), dims=("bands", "y", "x"), coords={"bands": bands})
context = {"model": case["model"], "chunk_overlap": case["overlap"], "layout": "probabilities"}
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


def worker(size: int, case: Case = SMALL, *, threads: int = 2) -> dict[str, int]:
    """Run two chunks in a fresh process, and tell its greatest memory; on Linux only.

    Args:
        size: Edge of a chunk's own pixels.
        case: Which networks, and the address space that the process may have.
        threads: OMP_NUM_THREADS, as Spark sets it to the cores of a task.

    Raises:
        RuntimeError: It failed.
    """
    words = [sys.executable, "-W", "ignore", "-c", _WORKER, json.dumps(asdict(case)), str(size)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, int] = json.loads(done.stdout)
    return found


def large(folder: Path) -> dict[str, Case]:
    """Make networks of CloudS2Mask's architecture: one alone, and two of them."""
    one = str(Workshop(folder).network(CLOUDS2MASK[0]))
    # Another path is another network to us, though the weights are the same.
    two = Path(one).with_name("two.onnx")
    if not two.exists():
        two.hardlink_to(one)
    make = partial(Case, bands=ALL_BANDS, overlap=64)
    return {
        "clouds2mask-20m": make((one,), 2),
        "clouds2mask-20m, two": make((one, str(two)), 3),
    }


def run(
    folder: Path, sizes: tuple[int, ...] = SIZES, large_sizes: tuple[int, ...] = LARGE_SIZES
) -> dict[str, Any]:
    """Measure every size of chunks; networks are made in the folder, if they are not there."""
    found: dict[str, Any] = dict(small(sizes))
    for name, case in large(folder).items() if large_sizes else ():
        of_sizes = {str(size): worker(size, case) for size in large_sizes}
        found[name] = {"limit_gib": case.limit_gib, **of_sizes}
    return found


def small(sizes: tuple[int, ...]) -> dict[str, dict[str, int]]:
    """Measure two small networks in 3 GiB."""
    return {str(size): worker(size) for size in sizes}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", help="of chunks; the small networks only")
    parser.add_argument("--full", action="store_true", help="chunks of all sizes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        full = FULL if asked.full else {}
        found = small(tuple(asked.sizes)) if asked.sizes else run(Path(name), **full)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
