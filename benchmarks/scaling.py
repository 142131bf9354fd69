"""Does the cost grow as the scene does, and no faster? And the memory?

GeoTIFFs of several sizes through the command's own road, each in a fresh process: a small real
network up to some size, and a network of one convolution, all else being our own work, up to a
larger one (with `--full`, a whole granule). Straight lines are laid through the seconds by least
squares: the small scenes' are medians of three runs, the larger are masked once.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.alone import alone
from benchmarks.measure import PAUSE, Child, run_python
from benchmarks.streaming import write_granule, write_network
from cloudmask import find_model
from cloudmask.windows import plan_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudmask.windows import Stitch

REAL, BARE = "ukis-4b-l1c", "one convolution"
EDGES: Mapping[str, tuple[int, ...]] = {
    REAL: (256, 512, 1024, 1536),
    BARE: (256, 1024, 2048, 4096),
}
FULL = {
    "edges": {REAL: (256, 512, 1024, 2048), BARE: (256, 1024, 2048, 4096, 7168, 10980)},
}
LARGE = 512
"""Pixels; scenes above are masked once, the others as often as asked for."""
STITCH: Stitch = "blend"

_COMMAND = """
import json, pathlib, sys, time
from cloudmask import Options
from cloudmask.local.run import FileJob, mask_file
source, output, model, out = sys.argv[1:]
options = Options(stitch="blend")
options.ensemble([model])  # opening is no matter of the scene's size
job = FileJob(scene=pathlib.Path(source), output=pathlib.Path(output), models=(model,),
              options=options, resolution="native", quiet=True)
start = time.perf_counter()
mask_file(job)
pathlib.Path(out).write_text(json.dumps(time.perf_counter() - start))
"""


@dataclass(frozen=True, slots=True)
class Point:
    """Scenes of one size."""

    edge: int
    tiles: int
    seconds: list[float]
    peak_mib: list[float]

    def as_json(self) -> dict[str, Any]:
        """Describe, seconds by their median."""
        return {
            "edge": self.edge,
            "tiles": self.tiles,
            "runs": len(self.seconds),
            "seconds": round(statistics.median(self.seconds), 3),
            "peak_mib": round(max(self.peak_mib)),
        }


def run(edges: Mapping[str, tuple[int, ...]] = EDGES, times: int = 3) -> dict[str, Any]:
    """Mask scenes of all sizes by turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {REAL: REAL, BARE: str(write_network(folder))}
        points = {
            (network, edge): Point(edge, _tiles(models[network], edge), [], [])
            for network, some in edges.items()
            for edge in some
        }
        for number in range(times):
            for (network, edge), point in points.items():
                if number == 0 or edge <= LARGE:
                    _measure(folder, models[network], point)
    return {
        network: _line([points[network, edge] for edge in edges[network]]) for network in edges
    }


def _measure(folder: Path, model: str, point: Point) -> None:
    bands = find_model(model).spec.bands
    scene, out = folder / f"{len(bands)}-{point.edge}.tif", folder / "seconds.json"
    if not scene.exists():
        write_granule(scene, point.edge, bands)
    time.sleep(PAUSE)
    child: Child = run_python(_COMMAND, scene, folder / "mask.tif", model, out)
    point.seconds.append(json.loads(out.read_text("utf-8")))
    point.peak_mib.append(child.peak_mib)


def _tiles(model: str, edge: int) -> int:
    """Count the tiles that are computed, were there no pixel without data."""
    return len(plan_axis(edge, find_model(model).spec.tiling(), STITCH).placements) ** 2


def _line(points: Sequence[Point]) -> dict[str, Any]:
    seconds = np.array([statistics.median(each.seconds) for each in points])
    return {
        "points": [each.as_json() for each in points],
        "by_tiles": fit(np.array([each.tiles for each in points], float), seconds),
        "by_megapixels": fit(np.array([each.edge**2 / 1e6 for each in points]), seconds),
        "peak_mib_of_largest_to_second": round(
            max(points[-1].peak_mib) / max(points[-2].peak_mib), 3
        ),
    }


def fit(sizes: NDArray[np.float64], seconds: NDArray[np.float64]) -> dict[str, float]:
    """Lay a straight line by least squares.

    Returns:
        Seconds a unit of size; the intercept in seconds and in per cent of the largest; R^2; and
        the exponent e of seconds ~ size^e between the largest and the one before.
    """
    slope, intercept = np.polyfit(sizes, seconds, 1)
    left = seconds - (slope * sizes + intercept)
    spread = float(((seconds - seconds.mean()) ** 2).sum())
    grown = np.log(seconds[-1] / seconds[-2]) / np.log(sizes[-1] / sizes[-2])
    return {
        "slope": round(float(slope), 5),
        "intercept": round(float(intercept), 4),
        "intercept_percent_of_largest": round(100 * float(intercept / seconds[-1]), 2),
        "r2": round(1 - float((left**2).sum()) / spread, 5) if spread else 1.0,
        "exponent": round(float(grown), 3),
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL)
