"""Timing and memory, measured the same way everywhere."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RESULTS = Path(__file__).parent / "results"
STUDIES = ("engines", "overlap", "cluster")
"""Results that `make bench` does not measure anew: `--only NAME` and `--full` do."""
PAUSE = 0.3
"""Seconds between runs, so that one's threads and buffers do not disturb the next."""


@dataclass(frozen=True, slots=True)
class Child:
    """What a finished process took."""

    seconds: float
    peak_mib: float


_REPORT = """
import atexit, pathlib, sys
def report():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    print(peak.split()[1], file=sys.stderr)
atexit.register(report)
"""
"""Says the greatest resident memory in KiB at the end. What the parent can ask for (ru_maxrss)
would count the parent's own pages at the moment of the fork."""


def run_python(code: str, *arguments: str | Path) -> Child:
    """Run Python code in a fresh process and measure it; on Linux only.

    Raises:
        RuntimeError: It failed.
    """
    words = [sys.executable, "-W", "ignore", "-c", _REPORT + code, *map(str, arguments)]
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr}")
    return Child(seconds, int(done.stderr.split()[-1]) / 1024)


def interleaved(runs: Mapping[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Take turns, so that what disturbs the machine disturbs all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            time.sleep(PAUSE)
            found[name].append(run())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Compare paired runs: median, least and greatest ratio."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "greatest": round(max(ratios), 3),
    }


def save(name: str, result: Mapping[str, Any]) -> None:
    """Write a result with what it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"measured_on": here(), **result}, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, "utf-8")


def kept() -> dict[str, Any]:
    """Read all results that are kept, by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}


def here() -> dict[str, Any]:
    """Say what is measured on: what of a machine and of packages the figures depend on."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "instructions": sorted(VECTORS & instructions()),
        "packages": {package: version(package) for package in PACKAGES if _installed(package)},
    }


PACKAGES = ("numpy", "onnxruntime", "openvino", "rasterio", "xarray", "ukis-csmask")
VECTORS = frozenset(
    ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve")
)
"""Instruction sets that decide how fast numbers are multiplied."""


def instructions() -> frozenset[str]:
    """List the instruction sets of the processor; on Linux only, elsewhere none."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return frozenset(flags.partition(":")[2].split())


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
