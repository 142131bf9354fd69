"""How much does no data disturb the pixels beside it? (docs/decisions/0003-fill.md).

A wedge or holes are cut out of an image without gaps; counted are the remaining pixels whose class
changes, for each way to fill what a tile then lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
from scipy import ndimage

from benchmarks.shift import chip, ours, simulated
from cloudmask.fill import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Filler = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]

EDGE = 512


def nearest(tile: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Repeat the nearest valid pixel."""
    y, x = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return tile[:, y, x]


def mean(tile: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Put the mean of the tile's valid pixels."""
    return np.where(valid, tile, tile[:, valid].mean(axis=1)[:, None, None])


def zero(tile: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Put a reflectance of 0."""
    return np.where(valid, tile, np.float32(0))


FILLERS: Mapping[str, Filler] = {"mirror": fill, "nearest": nearest, "mean": mean, "zero": zero}


def gaps() -> dict[str, NDArray[np.bool_]]:
    """Make the gaps, (y, x), True where the image is lost."""
    y, x = np.mgrid[:EDGE, :EDGE]
    rng = np.random.default_rng(0)
    holes = np.zeros((EDGE, EDGE), bool)
    for _ in range(25):
        row, column, radius = *rng.integers(0, EDGE, 2), rng.integers(5, 40)
        holes |= (y - row) ** 2 + (x - column) ** 2 < radius**2
    return {"wedge": x > 380 - 0.25 * y, "holes": holes}


def main() -> None:
    """Print the share of changed pixels, in percent."""
    images = {"chip": chip(), "simulated": simulated(EDGE, edge_of_swath=False)}
    cases = [(stitch, name) for stitch in ("blend", "crop") for name in images]
    whole = {case: ours(stitch=case[0])(images[case[1]]) for case in cases}
    for how, filler in FILLERS.items():
        found = {}
        with patch("cloudmask.scene.fill", filler):
            for stitch, name in cases:
                for shape, gap in gaps().items():
                    cut = np.where(gap, np.uint16(0), images[name])
                    changed = ours(stitch=stitch)(cut) != whole[stitch, name]
                    found[stitch, name, shape] = round(float(100 * changed[~gap].mean()), 2)
        print(f"{how:8} mean {np.mean(list(found.values())):.2f} %", found)


if __name__ == "__main__":
    main()
