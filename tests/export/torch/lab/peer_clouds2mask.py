"""Run CloudS2Mask's own inference and joiner on a scene and tiles that are given.

    python peer_clouds2mask.py SCENE.npz --weights a.pkl [b.pkl ...] --depth 0 --out OUT.npz

SCENE.npz holds `numbers` (13, y, x) uint16, square, `tiles` (n, 2) top and left, `tile` and
`overlap`. OUT.npz gets `classes` (y, x) as the package joins them, with its 8-bit numbers;
`exact` (class, y, x), the sums of its ramps over its tiles' probabilities in float64, if one
network is run without augmentation; and `predictions` (n, class, tile, tile) uint8, its tiles.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import rasterio
import torch
from clouds2mask import inference, pred_joiner, processing_settings, tta_helpers

BANDS = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
]  # fmt: skip


def settings(options: Any, scene: Any, folder: Path) -> Any:
    """Make what the package's functions read of its settings."""
    device = torch.device("cpu")
    mean, std = processing_settings.get_normalization_stats(device, False, "L1C", BANDS)  # noqa: FBT003
    silent = SimpleNamespace(update=lambda *_: None, desc="")
    return SimpleNamespace(
        batch_size=1,
        scene_progress_pbar=silent,
        pytorch_device=device,
        fp16_mode=False,
        mean=mean,
        std=std,
        ordered_augs=tta_helpers.get_tta_options(options.depth),
        models=[torch.load(path, weights_only=False).eval() for path in options.weights],
        patch_size=int(scene["tile"]),
        patch_overlap_px=int(scene["overlap"]),
        vrt_path=_sized(folder / "size.tif", scene["numbers"].shape[1:]),
        cloud_mask_path=folder / "mask.tif",
        output_compression="LZW",
        export_confidence=False,
    )


def _sized(path: Path, shape: tuple[int, int]) -> Path:
    """Write a raster of a scene's size, of which the joiner reads no more than that."""
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": 1}
    with rasterio.open(path, "w", dtype="uint8", **profile):
        return path


def run(scene: Any, how: Any) -> dict[str, Any]:
    """Predict, join, and join once more without rounding."""
    predictions, classes = joined(scene, how)
    found = {
        "classes": classes,
        "predictions": np.stack([each["patch_pred"] for each in predictions]),
    }
    if len(how.models) == 1 and len(how.ordered_augs) == 1:
        found["exact"] = _exact(*_patches(scene, how), how, scene["numbers"].shape[1:])
    return found


def joined(scene: Any, how: Any) -> tuple[list[Any], Any]:
    """Predict and join: the package's predictions, and its classes (y, x) as it writes them."""
    patches, meta = _patches(scene, how)
    predictions = inference.run_inference(patches, meta, how)
    everywhere = np.ones(scene["numbers"].shape[1:], bool)
    mask = pred_joiner.merge_overlapped_preds(predictions, how, everywhere)
    with rasterio.open(mask) as file:
        return predictions, file.read(1)


def _patches(scene: Any, how: Any) -> tuple[list[Any], list[Any]]:
    """Cut the tiles, and say where each lies."""
    size = how.patch_size
    meta = [
        {"top": int(y), "left": int(x), "bottom": int(y) + size, "right": int(x) + size}
        for y, x in scene["tiles"]
    ]
    numbers = scene["numbers"]
    return [numbers[:, m["top"] : m["bottom"], m["left"] : m["right"]] for m in meta], meta


def _exact(patches: list[Any], meta: list[Any], how: Any, shape: tuple[int, int]) -> Any:
    """Join the same probabilities with the same ramps, in float64."""
    ramp, total = pred_joiner.create_gradient_mask(how), None
    for patch, place in zip(patches, meta, strict=True):
        tensor = inference.patch_list_to_tensor([patch], how)
        logits = how.models[0](inference.normalize_batch(tensor, how.mean, how.std))
        part = logits.softmax(1)[0].numpy().astype(np.float64)
        total = np.zeros((len(part), *shape)) if total is None else total
        rows, columns = slice(place["top"], place["bottom"]), slice(place["left"], place["right"])
        total[:, rows, columns] += part * ramp
    return total


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", type=Path)
    parser.add_argument("--weights", type=Path, nargs="+", required=True)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with np.load(options.scene) as file, tempfile.TemporaryDirectory() as folder:
        scene = dict(file)
        np.savez(options.out, **run(scene, settings(options, scene, Path(folder))))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with torch.no_grad():
        main()
