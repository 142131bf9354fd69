"""Where do CloudS2Mask's 8-bit numbers decide a class? `python -m benchmarks.truncation`.

Its package infers and joins a simulated scene of 872 x 872 pixels in tiles of 500 with 128 of
overlap, with a network of random values; beside it the same tiles are joined with the same ramps
in float64, and the scene is masked by us. Needs the environment that `make test-torch` makes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.measure import save
from cloudmask import Options, mask_clouds
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_export.make import Order, make

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAB = Path(__file__).parents[1] / "tests" / "export" / "torch" / "lab"
TILE, OVERLAP = 500, 128
EDGE = TILE + (TILE - OVERLAP)
STARTS = (0, TILE - OVERLAP)


def run(folder: Path) -> dict[str, Any]:
    """Compare the three masks by place in the scene."""
    _lab("author.py", "dynunet-regnety_006-13", "--seed", "1", "--out", folder)
    scene = simulate(SceneSettings(shape=(EDGE, EDGE), seed=3, no_data_edge=False))
    numbers, tiles = scene.reflectance_dn, [(y, x) for y in STARTS for x in STARTS]
    given, out = folder / "scene.npz", folder / "out.npz"
    np.savez(given, numbers=numbers, tiles=tiles, tile=TILE, overlap=OVERLAP)
    _lab("peer_clouds2mask.py", given, "--weights", folder / "weights.pkl", "--out", out)
    network = make(folder / "weights.pkl", Order(folder=folder, family="clouds2mask-10m")).path
    cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": list(scene.bands)})
    ours = mask_clouds(cube, network, preset="dn", options=Options(stitch="blend"))
    with np.load(out) as peer:
        exact, theirs = peer["exact"].argmax(axis=0), peer["classes"]
    return _table(ours.sel(bands="class").values, theirs, exact)


def _lab(script: str, *arguments: str | Path) -> None:
    python = Path(sys.prefix) / "torch" / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is not there: make test-torch")
    subprocess.run([python, LAB / script, *arguments], check=True)


def _table(ours: NDArray[Any], theirs: NDArray[Any], exact: NDArray[Any]) -> dict[str, Any]:
    """Give per cent of pixels that differ from the float64 sums, by place."""
    found = {}
    for name, place in _places().items():
        found[name] = {
            "pixels": int(place.sum()),
            "CloudS2Mask": _percent(theirs[place] != exact[place]),
            "CloudS2Mask calls clear": _percent((theirs != exact)[place] & (theirs[place] == 0)),
            "ours": _percent(ours[place] != exact[place]),
        }
    return found


def _percent(differs: NDArray[np.bool_]) -> float:
    return round(100 * float(differs.mean()), 4)


def _places() -> dict[str, NDArray[np.bool_]]:
    """Divide the scene: its corners and edges, the overlap of tiles, the rest."""
    along = np.arange(EDGE)
    border = (along < OVERLAP) | (along >= EDGE - OVERLAP)
    shared = (along >= TILE - OVERLAP) & (along < TILE)
    corner = border[:, None] & border
    edge = (border[:, None] | border) & ~corner
    overlap = (shared[:, None] | shared) & ~corner & ~edge
    return {
        "whole scene": np.ones((EDGE, EDGE), bool),
        "within an overlap of a corner": corner,
        "within an overlap of an edge": edge,
        "overlap of tiles inside": overlap,
        "middle of tiles": ~corner & ~edge & ~overlap,
        "last 16 x 16 pixels of the corners": _tips(),
    }


def _tips(size: int = 16) -> NDArray[np.bool_]:
    along = np.arange(EDGE)
    tip = (along < size) | (along >= EDGE - size)
    return tip[:, None] & tip


def main() -> None:
    """Measure, print, keep."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    for place, each in found.items():
        print(f"{place}: {each}")
    save("truncation", found)


if __name__ == "__main__":
    main()
