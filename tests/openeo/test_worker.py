"""Guarantee 6, where it matters: a worker with little memory on a node with many cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")

if TYPE_CHECKING:
    from cloudmask.registry import Entry

ROOT = Path(__file__).parents[2]

_THREADS = """
import os, pathlib
if not hasattr(os, "sched_getaffinity"):
    raise SystemExit("-1")
os.sched_getaffinity = lambda pid: set(range(32))  # a node that lends all its cores
os.cpu_count = lambda: 32

def threads():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Threads")).split()[1])

import numpy as np
import onnxruntime
import scipy.ndimage
import xarray as xr
from cloudmask_openeo import udf_code
scope = {"__name__": "builtins"}
exec(udf_code(), scope)
numbers = np.full((4, 64, 64), 900, np.float32)
cube = xr.DataArray(
    numbers, dims=("bands", "y", "x"), coords={"bands": ["B02", "B03", "B04", "B08"]}
)
before = threads()
scope["apply_datacube"](cube, {})
print(threads() - before)
"""


def extra_threads(**environment: str) -> int:
    """Count the threads that a worker's first chunk starts."""
    clean = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _THREADS],
        env={**clean, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="threads are counted on Linux")
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_a_worker_uses_as_many_threads_as_its_task_has_cores(ukis_4b: Entry, cores: int) -> None:
    # Spark sets OMP_NUM_THREADS to the cores of a task; ONNX Runtime alone takes the node's.
    # The calling thread is one of them.
    assert extra_threads(OMP_NUM_THREADS=str(cores)) == cores - 1


@pytest.mark.nightly
def test_two_networks_on_chunks_of_512_and_1024_px_fit_into_3_gib(ukis_4b: Entry) -> None:
    pytest.importorskip("resource", reason="this system has no limits on address space")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", "512", "1024"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert list(found) == ["512", "1024"]
    assert all(each["address_space_mib"] < 3 * 1024 for each in found.values())


_LARGE = """
import pathlib, sys
from benchmarks.worker import large, worker
for case in large(pathlib.Path(sys.argv[1])).values():
    worker(256, case)
"""


@pytest.mark.nightly
def test_one_network_of_clouds2mask_fits_into_2_gib_and_two_into_3(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this system has no limits on address space")
    pytest.importorskip("onnx", reason="the network is made here")
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
