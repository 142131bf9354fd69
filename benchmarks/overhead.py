"""What masking costs besides the network: reading, cutting, stitching, writing."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import PAUSE
from cloudmask import Options, find_model
from cloudmask.local.demo import write_scene
from cloudmask.local.run import FileJob, mask_file
from cloudmask.local.simulator import SceneSettings, simulate

if TYPE_CHECKING:
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
        source=source, output=output, models=(timed,), quiet=True, options=Options(stitch=stitch)
    )
    start = time.perf_counter()
    mask_file(job)
    return 100 * (1 - timed.seconds / (time.perf_counter() - start))


def run(edge: int = 1536, times: int = 5) -> dict[str, dict[str, float]]:
    """Mask a simulated file with a real network, several times with each stitcher."""
    found: dict[str, list[float]] = {"blend": [], "crop": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "scene.tif", simulate(SceneSettings(shape=(edge, edge))))
        model = find_model("ukis-4b-l1c").load()
        share_besides(model, folder / "scene.tif", folder / "mask.tif", "crop")  # warm
        for _ in range(times):
            for stitch in ("blend", "crop"):
                time.sleep(PAUSE)
                found[stitch].append(
                    share_besides(model, folder / "scene.tif", folder / "mask.tif", stitch)
                )
    return {
        stitch: {
            "median": round(statistics.median(shares), 1),
            "least": round(min(shares), 1),
            "greatest": round(max(shares), 1),
        }
        for stitch, shares in found.items()
    }


if __name__ == "__main__":
    print(run())
