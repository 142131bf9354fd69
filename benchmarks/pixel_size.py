"""Which pixel size suits the ukis networks? (docs/decisions/0005-pixel-size.md).

Seven pairs of real imagery; the reference is derived from the cloud-free partner, not human.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio

from benchmarks.shift import SCENE
from cloudmask import Options
from cloudmask.local.run import FileJob, mask_file
from cloudmask.local.scores import summary

PAIRS = SCENE.parents[1] / "pairs"


def pooled(model: str, resolution: str | float) -> tuple[float, float, float]:
    """Mask all pairs; F1 of cloud and of shadow, and the share of pixels that are right."""
    found, known = [], []
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.tif"
        for source in sorted(PAIRS.glob("*_cloudy.tif")):
            options = Options(stitch="blend")
            mask_file(
                FileJob(
                    scene=source, output=mask, models=(model,), options=options,
                    resolution=resolution, quiet=True,
                )
            )  # fmt: skip
            with rasterio.open(mask) as dataset:
                found.append(dataset.read(1).ravel())
            reference = source.with_name(source.name.replace("_cloudy", "_ref"))
            with rasterio.open(reference) as dataset:
                known.append(np.array([0, 1, 3, *[255] * 253], np.uint8)[dataset.read(1)].ravel())
    classes, truth = np.concatenate(found), np.concatenate(known)
    scores = summary(classes, truth)
    right = (classes == truth)[truth != 255].mean()
    return scores["cloud"].f1, scores["shadow"].f1, float(right)


def main() -> None:
    """Print the table."""
    for model in ("ukis-4b-l1c", "ukis-6b-l1c"):
        for metres in (10.0, 20.0, 30.0):
            cloud, shadow, right = pooled(model, metres)
            print(f"{model} at {metres:.0f} m: {cloud:.3f} {shadow:.3f} {right:.3f}")


if __name__ == "__main__":
    main()
