"""UDF workers that lack something: started by `starved_worker.py`, told what by JSON on stdin.

All that a worker imports is imported once, then each line forks a worker, sets its limits, and
lets it mask some chunks. Each is answered by a line of JSON on stdout.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401 - as a worker that has masked before
import scipy.ndimage  # noqa: F401
import xarray as xr

import cloudmask.chunk  # noqa: F401
from cloudmask.errors import CloudmaskError
from cloudmask_openeo import udf_code

BANDS = ["B02", "B03", "B04", "B08"]
PATIENCE = 60
"""Seconds until a worker counts as hanging."""
MIB = 2**20
TEXT = udf_code()
"""A back-end has it before it starts a worker."""


def cube(size: int) -> xr.DataArray:
    """Draw a chunk (bands, y, x) of reflectances times 10000, float32 as back-ends give them."""
    numbers = np.random.default_rng(size).uniform(100, 6000, (len(BANDS), size, size))
    return xr.DataArray(
        numbers.round().astype(np.float32), dims=("bands", "y", "x"), coords={"bands": BANDS}
    )


def answer(chunk: xr.DataArray, context: dict[str, Any]) -> dict[str, Any]:
    """Mask a chunk as a back-end does: the hash of the mask, or the error."""
    scope: dict[str, Any] = {"__name__": "builtins"}
    exec(TEXT, scope)  # noqa: S102 - our own
    try:
        found = scope["apply_datacube"](chunk, context)
    except Exception as error:  # noqa: BLE001 - the tests tell which are right
        typed = isinstance(error, CloudmaskError) and type(error) is not CloudmaskError
        return {"typed": typed, "error": f"{type(error).__name__}: {error}"}
    return {"mask": hashlib.sha256(np.ascontiguousarray(found.values).tobytes()).hexdigest()}


def status(field: str) -> int:
    """Read a number of what Linux tells of this process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def limit(name: str, number: int) -> None:
    """Set a soft limit; of address space beyond what is taken, in MiB."""
    which = getattr(resource, f"RLIMIT_{name}")
    if name == "AS":
        number = status("VmSize") * 2**10 + number * MIB
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (number, hard))


def work(order: dict[str, Any], out: int) -> None:
    """Be a worker: set the limits, mask the chunks, write the answers."""
    signal.alarm(PATIENCE)
    os.environ.update(order.get("env", {}))
    if "cpus" in order:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order["cpus"]])
    chunks = [(cube(size), context) for size, context in order["chunks"]]
    files, threads = resource.getrlimit(resource.RLIMIT_NOFILE), status("Threads")
    for name, number in order.get("limits", {}).items():
        limit(name, number)
    for chunk, context in chunks:
        os.write(out, json.dumps(answer(chunk, context)).encode() + b"\n")
        for name, number in order.get("after", {}).items():
            limit(name, number)
        if order.get("relieved"):
            resource.setrlimit(resource.RLIMIT_NOFILE, files)
    if "cpus" in order:
        os.write(out, json.dumps({"more threads": status("Threads") - threads}).encode())


def one(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a worker and wait for its end."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
        worker = os.fork()
        if not worker:
            os.dup2(said.fileno(), 2)
            failed = 1
            try:
                work(order, told.fileno())
                failed = 0
            finally:
                os._exit(failed)
        _, ended = os.waitpid(worker, 0)
        told.seek(0)
        said.seek(0)
        return {
            "answers": [json.loads(line) for line in told],
            "signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0,
            "said": said.read().decode(errors="replace"),
        }


def main() -> None:
    """Answer until stdin ends; first tell who we are."""
    warnings.simplefilter("ignore")
    _tell({"user": os.getuid()})
    for line in sys.stdin:
        _tell(one(json.loads(line)))


def _tell(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
