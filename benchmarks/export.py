"""What does an export cost, and what does it gain?

A CloudS2Mask pickle of random values, 125 MB, in the layout that its authors publish: the time and
memory of `cloudmask export`, start of Python included; and the network as shipped against the
same network operation by operation as its authors wrote it, in ONNX Runtime both.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.export.random_weights import random_weights
from tests.export.weight_files import write_pkl

from benchmarks.alone import alone
from benchmarks.measure import interleaved, ratio, run_python
from cloudmask.engines.ort import inference_session as open_session
from cloudmask.runtime import Runtime
from cloudmask_export.build import Builder
from cloudmask_export.choose import choose
from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARCHITECTURE = "dynunet-regnety_006-13"
NAME = "v3.44_regnety_006_4C_Dice_1_20m.pkl"
EDGE = 320
"""Pixels of a tile."""
FULL = {"edge": 500, "exports": 3}
"""CloudS2Mask's own tile, and what the time of an export is the median of."""

_EXPORT = """
import sys
from cloudmask.local.cli import main
sys.argv = ["cloudmask", "export", sys.argv[1], "-o", sys.argv[2], "--check", "--quiet"]
main()
"""


def run(folder: Path, times: int = 5, edge: int = EDGE, exports: int = 1) -> dict[str, Any]:
    """Measure both.

    Args:
        folder: For the files.
        times: How often each network runs.
        edge: Of its tile.
        exports: How often the command runs.
    """
    weights = write_pkl(folder / NAME, random_weights(ARCHITECTURE), layout="old")
    made = [run_python(_EXPORT, weights, folder / f"{n}") for n in range(exports)]
    seconds = interleaved(_networks(weights, edge), times)
    return {
        "weights_mb": round(weights.stat().st_size / 1e6, 1),
        "export_seconds": round(statistics.median(each.seconds for each in made), 1),
        "export_peak_mib": round(max(each.peak_mib for each in made)),
        "exports": exports,
        "edge": edge,
        "times_as_fast_as_written": ratio(seconds["as written"], seconds["shipped"]),
    }


def _networks(path: Path, edge: int) -> dict[str, Callable[[], float]]:
    weights = read_weights(path)
    builder = Builder(weights, choose(path, weights))
    tile = np.random.default_rng(0).random((1, 13, edge, edge)).astype(np.float32)
    shipped = builder.exact().SerializeToString()
    networks = {"as written": builder.as_written(), "shipped": shipped}
    return {name: _timer(content, tile) for name, content in networks.items()}


def _timer(network: bytes, tile: Any) -> Callable[[], float]:
    session = open_session(network, "network", Runtime())
    session.run(None, {"reflectance": tile})

    def timed() -> float:
        start = time.perf_counter()
        session.run(None, {"reflectance": tile})
        return time.perf_counter() - start

    return timed


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="folder")
