"""Memory: a 10 m granule's full width, of three bands, through a network that costs nothing.

Memory does not grow with the height (tests/test_guarantees.py, `benchmarks.scaling`), so that the
first rows of the granule do; `--full` takes all of them.
What is left is our own: reading, cutting, stitching, writing. OmniCloudMask's pipeline was
measured at 6.85 GB on the same work (docs/comparison.md); here only our side is run.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.alone import alone
from benchmarks.measure import run_python
from cloudmask.spec import ModelSpec
from cloudmask_export.item import item

EDGE = 10980
"""Pixels of a Sentinel-2 granule at 10 m."""
ROWS = 2560
"""Of it: seven rows of tiles."""
FULL = {"rows": EDGE}
BANDS = ("B02", "B03", "B04")


COMMAND = """
import os, sys
from cloudmask.local.cli import app
os.chdir(sys.argv[1])
app(sys.argv[2:], standalone_mode=False)
"""


def write_network(folder: Path, bands: tuple[str, ...] = BANDS) -> Path:
    """Make a network of one 1 x 1 convolution with its manifest beside it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    free: list[str | int | None] = ["n", 3, "y", "x"]
    weights = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "w"], ["output"])],
        "one_convolution",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, free)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "one-convolution.onnx"
    onnx.save(model, path)
    spec = ModelSpec(
        name="one-convolution", bands=bands, classes=(0, 1, 3), tile=512, overlap=128,
        file=path.name, sha256="",
    )  # fmt: skip
    size = path.stat().st_size
    manifest = item(spec, architecture="convolution", source="about:blank", size=size)
    path.with_suffix(".json").write_text(json.dumps(manifest), "utf-8")
    return path


def write_granule(
    path: Path, edge: int, bands: tuple[str, ...] = BANDS, rows: int | None = None
) -> None:
    """Write a uint16 GeoTIFF of random content, a slanted corner of it no data.

    Args:
        path: Where.
        edge: Its width in pixels.
        bands: Their names.
        rows: Its height; default as wide.
    """
    height = rows or edge
    rng = np.random.default_rng(0)
    block = rng.integers(1, 12000, (len(bands), 512, edge), dtype=np.uint16)
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": height, "width": edge, "count": len(bands), "dtype": "uint16",
        "nodata": 0, "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 5e6),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer",
    }  # fmt: skip
    with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(path, "w", **profile) as dataset:
        dataset.descriptions = bands
        for start in range(0, height, 512):
            part = block[:, : min(512, height - start)].copy()
            part[:, :, : max(0, edge // 4 - start)] = 0
            window = rasterio.windows.Window(0, start, edge, part.shape[1])
            dataset.write(part, window=window)


def run(edge: int = EDGE, rows: int = ROWS) -> dict[str, int | float]:
    """Mask the granule once with each stitcher and measure the process."""
    found: dict[str, int | float] = {"edge": edge, "rows": rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = write_network(folder)
        write_granule(folder / "granule.tif", edge, rows=rows)
        megapixels = edge * rows / 1e6
        for stitch in ("blend", "crop"):
            words = f"mask granule.tif -o {stitch}.tif -m {network.name} --stitch {stitch} -q"
            child = run_python(COMMAND, folder, *words.split())
            found[f"{stitch}_peak_mib"] = round(child.peak_mib)
            found[f"{stitch}_seconds_per_megapixel"] = round(child.seconds / megapixels, 3)
    return found


if __name__ == "__main__":
    alone(__doc__, run, FULL)
