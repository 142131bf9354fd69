"""What masking costs besides the network: reading, cutting, stitching, writing.

Files are whole multiples of what a tile adds to a scene, so that both stitchers compute about as
many tiles for a pixel as in a large one.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import rasterio

from benchmarks.alone import alone
from benchmarks.measure import interleaved
from benchmarks.networks import CLOUDS2MASK, OMNICLOUDMASK, Workshop
from cloudmask import Options, find_model
from cloudmask.local.demo import write_scene
from cloudmask.local.run import FileJob, mask_file
from cloudmask.local.simulator import SceneSettings, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.model import Model
    from cloudmask.spec import ModelSpec
    from cloudmask.windows import Stitch


@dataclass
class Timed:
    """A network with a stop watch."""

    model: Model
    seconds: float = 0.0

    @property
    def spec(self) -> ModelSpec:
        """The network's."""
        return self.model.spec

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network."""
        start = time.perf_counter()
        answer = self.model(tiles)
        self.seconds += time.perf_counter() - start
        return answer


def share_besides(model: Model, source: Path, output: Path, stitch: Stitch) -> float:
    """Mask a file; return the share of the time not spent in the network, in percent."""
    timed = Timed(model)
    job = FileJob(
        scene=source, output=output, models=(timed,), quiet=True, options=Options(stitch=stitch)
    )
    start = time.perf_counter()
    mask_file(job)
    return 100 * (1 - timed.seconds / (time.perf_counter() - start))


@dataclass(frozen=True, slots=True)
class Case:
    """A network and a file for it."""

    title: str
    architecture: str
    """Of a network with random values, or the name of a trained one."""
    shape: tuple[int, int]
    """Rows and columns of the file."""
    metres: float
    """A pixel of the file."""


CASES = (
    Case("ukis-4b-l1c", "", (1024, 1024), 10),
    Case("OmniCloudMask V4, the smaller network alone", OMNICLOUDMASK[0], (1000, 1700), 10),
    Case("CloudS2Mask, a file of 20 m", CLOUDS2MASK[0], (500, 872), 20),
)
_LARGE = (
    Case("ukis-4b-l1c", "", (1536, 1536), 10),
    Case("OmniCloudMask V4, the smaller network alone", OMNICLOUDMASK[0], (1700, 1700), 10),
    Case("CloudS2Mask, a file of 20 m", CLOUDS2MASK[0], (872, 872), 20),
    Case("CloudS2Mask at 20 m, a file of 10 m", CLOUDS2MASK[0], (1744, 1744), 10),
)
FULL = {"cases": _LARGE}


def run(workshop: Workshop, times: int = 5, cases: Sequence[Case] = CASES) -> dict[str, Any]:
    """Mask simulated files, several times with each stitcher."""
    return {case.title: _shares(case, workshop, times) for case in cases}


def _shares(case: Case, workshop: Workshop, times: int) -> dict[str, Any]:
    rows, columns = case.shape
    source = workshop.folder / f"overhead-{rows}-{columns}-{case.metres}.tif"
    if not source.exists():
        write_scene(source, simulate(SceneSettings(shape=case.shape)))
        with rasterio.open(source, "r+") as file:
            file.transform = rasterio.Affine(case.metres, 0, 6e5, 0, -case.metres, 5e6)
    name = workshop.network(case.architecture) if case.architecture else case.title
    model, output = find_model(name).load(), workshop.folder / "overhead-mask.tif"
    share_besides(model, source, output, "crop")  # warm
    runs = {
        stitch: partial(share_besides, model, source, output, stitch)
        for stitch in ("blend", "crop")
    }
    return {stitch: _spread(found) for stitch, found in interleaved(runs, times).items()}


def _spread(shares: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(shares), 1),
        "least": round(min(shares), 1),
        "greatest": round(max(shares), 1),
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="workshop")
