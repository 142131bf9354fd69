"""Does the mask depend on where the tile grid starts?

The same scene is masked as it is and with its first rows and columns cut off; away from borders
the answer ought to be the same. Same weights on both sides: the peer is ukis-csmask itself.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import xarray as xr

from cloudmask import TTA, Options, mask_clouds
from cloudmask.local.simulator import SceneSettings, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Masker = Callable[[NDArray[np.uint16]], NDArray[np.uint8]]

SCENE = Path(__file__).parents[2] / "shared/data/scene/s2_l1c_roi136_clouds.tif"
CHIP = SCENE.parents[1] / "labelled/ukis_sentinel2.npz"
SHIFTS = (32, 64, 102)
BORDER = 64
"""Pixels along every border and no data that are left out: there the scene itself differs."""
BANDS = ("B02", "B03", "B04", "B08")


def scene() -> NDArray[np.uint16]:
    """Read the real scene, (4, y, x), 0 = no data."""
    with rasterio.open(SCENE) as dataset:
        return dataset.read([dataset.descriptions.index(band) + 1 for band in BANDS])


def chip() -> NDArray[np.uint16]:
    """Read the labelled chip, (4, y, x)."""
    with np.load(CHIP) as file:
        numbers = np.rint(np.moveaxis(file["img"][..., :4], -1, 0) * 1e4)
    return numbers.clip(1, 65535).astype(np.uint16)


def simulated(edge: int = 768, *, edge_of_swath: bool = True) -> NDArray[np.uint16]:
    """Simulate numbers, (4, y, x)."""
    made = simulate(SceneSettings(shape=(edge, edge), seed=3, no_data_edge=edge_of_swath))
    return made.reflectance_dn[[made.bands.index(band) for band in BANDS]]


def ours(**options: object) -> Masker:
    """Mask by this project."""

    def mask(numbers: NDArray[np.uint16]) -> NDArray[np.uint8]:
        cube = xr.DataArray(numbers, dims=("band", "y", "x"), coords={"band": list(BANDS)})
        chosen = Options(**options)  # type: ignore[arg-type]
        return mask_clouds(cube, "ukis-4b-l1c", options=chosen).sel(band="class").to_numpy()

    return mask


def peer(numbers: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Mask by ukis-csmask."""
    from ukis_csmask.mask import CSmask

    image = np.moveaxis(numbers, 0, -1) * np.float32(1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = CSmask(
            image, ["blue", "green", "red", "nir"], "l1c", providers=["CPUExecutionProvider"]
        )
    return np.array([0, 1, 3], np.uint8)[made.csm[..., 0]]


MASKERS: dict[str, Masker] = {
    "ukis-csmask (20 % overlap)": peer,
    "crop, overlap 64": ours(stitch="crop", overlap=64),
    "blend, overlap 64": ours(stitch="blend", overlap=64),
}
_MORE: Mapping[str, Masker] = MASKERS | {
    "blend, overlap 52": ours(stitch="blend", overlap=52),
    "crop, overlap 128": ours(stitch="crop", overlap=128),
    "blend, overlap 128": ours(stitch="blend", overlap=128),
    "blend, overlap 64, TTA 8": ours(stitch="blend", overlap=64, tta=TTA(depth=7, adaptive=False)),
}
FULL = {"maskers": _MORE}


def changed(mask: Masker, numbers: NDArray[np.uint16]) -> dict[str, float]:
    """Return the share of interior pixels whose class changes, in percent, by shift."""
    whole, found = mask(numbers), {}
    for shift in SHIFTS:
        cut = np.ascontiguousarray(numbers[:, shift:, shift:])
        interior = away_from_no_data((cut != 0).all(axis=0))
        differs = whole[shift:, shift:] != mask(cut)
        found[str(shift)] = round(float(100 * differs[interior].mean()), 2)
    return found


def away_from_no_data(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the pixels (y, x) that are far from borders and no data."""
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1]
    return np.asarray(distance > BORDER)


def run(
    maskers: Mapping[str, Masker] = MASKERS, numbers: NDArray[np.uint16] | None = None
) -> dict[str, dict[str, float]]:
    """Measure all, on the real scene by default; deterministic, so once is enough."""
    image = scene() if numbers is None else numbers
    return {name: changed(mask, image) for name, mask in maskers.items()}


def main() -> None:
    """Print what docs/decisions/0002-two-stitchers.md quotes: three images, three overlaps."""
    maskers: dict[str, Masker] = {"ukis-csmask": peer}
    for stitch in ("crop", "blend"):
        for overlap in (64, 96, 128):
            maskers[f"{stitch} {overlap}"] = ours(stitch=stitch, overlap=overlap)
    found = [run(maskers, image) for image in (scene(), chip(), simulated())]
    for name in maskers:
        each = [list(image[name].values()) for image in found]
        print(f"{name:14} mean {np.mean(each):.2f} %", each)


if __name__ == "__main__":
    main()
