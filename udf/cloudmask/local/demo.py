"""The demo: a simulated scene, a real network, a picture with scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rasterio
from rasterio.transform import Affine

from cloudmask.bands import PRESETS, SENTINEL2
from cloudmask.default import default_model
from cloudmask.local.beside import beside
from cloudmask.local.picture import coloured, overlaid, panels, stretched
from cloudmask.local.readers import TRUE_COLOUR, gdal
from cloudmask.local.run import FileJob, mask_file
from cloudmask.local.scores import by_class
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cloudmask.local.run import Summary
    from cloudmask.local.simulator import Scene
    from cloudmask.model import Model


def run_demo(folder: Path, model: str | None, seed: int, size: int) -> Iterator[str]:
    """Simulate, mask, score and draw.

    Args:
        folder: Where the results go; made if absent.
        model: Name of the network; None for the package's own.
        seed: Which scene.
        size: Its edge in pixels of 10 m.

    Yields:
        What has been done, a line each.
    """
    network = Options().ensemble(model or default_model(tuple(SENTINEL2))).models
    folder.mkdir(parents=True, exist_ok=True)
    scene = simulate(SceneSettings(shape=(size, size), seed=seed))
    source, mask, picture = (folder / name for name in ("scene.tif", "mask.tif", "demo.png"))
    write_scene(source, scene)
    yield f"{source}: a simulated Sentinel-2 L1C scene, {size} x {size} pixels, 13 bands"
    done = mask_file(FileJob(scene=source, output=mask, models=network))
    yield f"{mask}: {done.sentence()}"
    yield f"{mask.with_suffix('.qml')}: its style, QGIS finds it by itself"
    yield f"{picture}: {draw(picture, scene, mask, network, done)}"


def write_scene(path: Path, scene: Scene) -> None:
    """Write a simulated scene as a GeoTIFF with band descriptions."""
    numbers = scene.reflectance_dn
    count, height, width = numbers.shape
    with (
        gdal(),
        beside(path) as partial,
        rasterio.open(
            partial,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype="uint16",
            crs=scene.crs,
            transform=Affine(*scene.transform),
            nodata=0,
            compress="deflate",
            predictor=2,
            tiled=True,
            interleave="band",
        ) as dataset,
    ):
        dataset.write(numbers)
        dataset.descriptions = scene.bands
        dataset.update_tags(SOURCE=f"simulated by openeo-cloudmask, seed {scene.settings.seed}")


def draw(path: Path, scene: Scene, mask: Path, networks: Sequence[Model], done: Summary) -> str:
    """Draw scene, truth and mask side by side; return the scores as a sentence."""
    with rasterio.open(mask) as dataset:
        classes = dataset.read(1)
    spec = networks[0].spec
    scores = [
        f"{title} F1 {each.f1:.2f} (precision {each.precision:.2f}, recall {each.recall:.2f})"
        for title, each in by_class(classes, scene.truth, spec.classes).items()
    ]
    numbers = scene.reflectance_dn[[scene.bands.index(band) for band in TRUE_COLOUR]]
    preset = PRESETS["dn"]
    view = stretched(preset.reflectance(numbers), preset.valid(numbers))
    panels(
        path,
        {
            "simulated scene": view,
            "truth": coloured(scene.truth),
            f"mask by {spec.name} (shares below)": overlaid(view, classes),
        },
        f"mask against truth: {', '.join(scores[:2])},\n{', '.join(scores[2:])}",
        done.shares,
    )
    return ", ".join(scores)
