"""The same weights, run by us and by the package they come from (ukis-csmask).

Accuracy on human labels, time and memory on the same pixels, and what becomes of no data.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.alone import alone
from benchmarks.measure import interleaved, ratio, run_python
from benchmarks.shift import BANDS, CHIP, chip, ours, peer, simulated
from cloudmask import mask_clouds
from cloudmask.local.scores import summary
from cloudmask.local.simulator import SceneSettings, simulate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.shift import Masker


MASKERS: Mapping[str, Masker] = {
    "ukis-csmask": peer,
    "blend": ours(stitch="blend"),
    "crop": ours(stitch="crop"),
    "blend, their overlap": ours(stitch="blend", overlap=52),
}
"""ukis-csmask's tiles of 256 px overlap by a fifth, 51 px; ours by an even number, 64 by default.
"""


EDGE = 1024
"""Pixels along an edge of the scene that is timed."""


def truth() -> NDArray[np.uint8]:
    """Read the labels that people gave the chip, (y, x) class codes."""
    with np.load(CHIP) as file:
        # 0 shadow, 1 water, 2 snow, 3 land, 4 cloud.
        return np.array([3, 0, 0, 0, 1], np.uint8)[file["msk"][..., 0]]


def accuracy() -> dict[str, dict[str, float]]:
    """Score each on the labelled chip."""
    numbers, labels = chip(), truth()
    found = {}
    for name, mask in MASKERS.items():
        scores = summary(mask(numbers), labels)
        found[name] = {f"{each}_f1": round(score.f1, 3) for each, score in scores.items()}
    return found


def speed(edge: int, times: int) -> dict[str, Any]:
    """Mask the same array by turns; ratios above 1 mean that we are faster."""
    numbers = simulated(edge, edge_of_swath=False)

    def seconds(mask: Masker) -> float:
        start = time.perf_counter()
        mask(numbers)
        return time.perf_counter() - start

    seconds(MASKERS["crop"])  # opens our session; the peer opens one at every call
    runs = {name: (lambda mask=mask: seconds(mask)) for name, mask in MASKERS.items()}
    found = interleaved(runs, times)
    return {
        "edge": edge,
        "seconds": {name: [round(each, 2) for each in all_] for name, all_ in found.items()},
        "times_faster_than_peer": {
            name: ratio(found["ukis-csmask"], found[name])
            for name in MASKERS
            if name != "ukis-csmask"
        },
    }


_CHILD = """
import sys
import numpy as np
from benchmarks.compare import MASKERS
numbers = np.load(sys.argv[1])
MASKERS[sys.argv[2]](numbers)
"""


def memory(edge: int, folder: Path) -> dict[str, float]:
    """Mask the same array in a fresh process each; peak resident memory in MiB."""
    path = folder / "numbers.npy"
    np.save(path, simulated(edge, edge_of_swath=False))
    return {name: round(run_python(_CHILD, path, name).peak_mib) for name in MASKERS}


def no_data_strip() -> dict[str, float]:
    """Cut a strip of no data (0.1, as reflectance) out of a clear scene; share called usable."""
    from ukis_csmask.mask import CSmask

    scene = simulate(SceneSettings(thick_cover=0, thin_cover=0, no_data_edge=False))
    picked = [scene.bands.index(band) for band in BANDS]
    image = scene.reflectance_dn[picked].astype(np.float32) * np.float32(1e-4)
    image[:, 100:150] = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = CSmask(
            np.moveaxis(image, 0, -1), ["blue", "green", "red", "nir"], "l1c", nodata_value=0.1
        )
    return {"ukis-csmask": float(made.valid[100:150].mean()), "ours": _our_strip(image)}


def _our_strip(image: NDArray[np.float32]) -> float:
    import xarray as xr

    from cloudmask import Preset

    cube = xr.DataArray(image, dims=("band", "y", "x"), coords={"band": list(BANDS)})
    preset = Preset("strip", 1.0, nodata=(float(np.float32(0.1)),))
    mask = mask_clouds(cube, "ukis-4b-l1c", preset=preset).sel(band="mask")
    return float(1 - mask[100:150].mean())


def run(folder: Path, times: int = 5, edge: int = EDGE) -> dict[str, Any]:
    """Measure all."""
    return {
        "accuracy": accuracy() if CHIP.exists() else {},
        "speed": speed(edge, times),
        "peak_mib": memory(edge, folder),
        "no_data_called_usable": no_data_strip(),
    }


if __name__ == "__main__":
    alone(__doc__, run, {}, wants="folder")
