"""How much overlap do tiles need? Agreement with tiles that overlap by half, against the cost.

No part of `make bench`, as neither time nor the machine matters: `benchmarks.run --only overlap`
or `--full` runs it. Networks with trained weights on real imagery: those of ukis-csmask, and any
others that are named:

    python -m benchmarks.overlap clouds2mask-20m-v3.44 --image scene.tif
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import xarray as xr

from benchmarks.documents import fill_in
from benchmarks.shift import CHIP, SCENE, away_from_no_data
from cloudmask import Options, find_model, mask_clouds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cloudmask.model import Model
    from cloudmask.windows import Stitch

PAGE = Path(__file__).parents[1] / "docs" / "tiling.md"
NETWORKS = ("ukis-4b-l1c", "ukis-6b-l1c")
SHARES = (0, 0.0625, 0.125, 0.1875, 0.25, 0.375)
"""Overlaps to try, as shares of the tile."""
CHIP_BANDS = ["B02", "B03", "B04", "B08", "B11", "B12"]


@dataclass(frozen=True, slots=True)
class Image:
    """What is masked."""

    cube: xr.DataArray
    """(band, y, x)."""
    preset: str

    @property
    def interior(self) -> NDArray[np.bool_]:
        """Pixels (y, x) far from borders and no data, where every overlap has the same scene."""
        numbers = self.cube.to_numpy()
        return away_from_no_data((np.isfinite(numbers) & (numbers != 0)).all(axis=0))


def images() -> list[Image]:
    """Read the real imagery at hand."""
    return [
        image
        for path, read in ((SCENE, raster), (CHIP, _chip))
        for image in ([read(path)] if path.exists() else [])
    ]


def raster(path: Path) -> Image:
    """Read a file of product numbers whose bands have names."""
    with rasterio.open(path) as file:
        return Image(_cube(file.read(), file.descriptions), "dn")


def _chip(path: Path) -> Image:
    with np.load(path) as file:
        return Image(_cube(np.moveaxis(file["img"], -1, 0), CHIP_BANDS), "reflectance")


def _cube(numbers: NDArray[Any], bands: Iterable[str]) -> xr.DataArray:
    return xr.DataArray(numbers, dims=("band", "y", "x"), coords={"band": list(bands)})


def run(
    networks: Sequence[str] = NETWORKS, some: Sequence[Image] | None = None
) -> dict[str, dict[str, Any]]:
    """Measure each network with both stitchers; deterministic, so once is enough."""
    chosen = images() if some is None else some
    return {name: _network(find_model(name).load(), chosen) for name in networks}


def _network(model: Model, some: Sequence[Image]) -> dict[str, Any]:
    tile = model.spec.tile
    reference = [_classes(model, image, "blend", tile // 2) for image in some]
    judged = list(zip(some, reference, strict=True))
    step = 2 * model.spec.multiple
    overlaps = sorted({round(share * tile / step) * step for share in SHARES})
    return {
        "tile": tile,
        "default": model.spec.overlap,
        "overlaps": {
            str(overlap): {
                "cost": round((tile / (tile - overlap)) ** 2, 2),
                **{each: _agreement(model, judged, each, overlap) for each in _STITCHES},
            }
            for overlap in overlaps
        },
    }


_STITCHES: tuple[Stitch, ...] = ("crop", "blend")


def _agreement(
    model: Model,
    judged: Sequence[tuple[Image, NDArray[np.uint8]]],
    stitch: Stitch,
    overlap: int,
) -> float:
    """Per cent of interior pixels with the class that an overlap of half the tile gives."""
    equal = [
        (_classes(model, image, stitch, overlap) == reference)[image.interior]
        for image, reference in judged
    ]
    return round(float(100 * np.concatenate(equal).mean()), 2)


def _classes(model: Model, image: Image, stitch: Stitch, overlap: int) -> NDArray[np.uint8]:
    options = Options(stitch=stitch, overlap=overlap)
    answer = mask_clouds(image.cube, model, preset=image.preset, options=options)
    return answer.sel(band="class").to_numpy()


def markdown(result: dict[str, dict[str, Any]]) -> str:
    """Write the study as a table for each network."""
    return "\n\n".join(_table(name, found) for name, found in result.items())


def _table(name: str, found: dict[str, Any]) -> str:
    head = f"| `{name}`, tile {found['tile']} px: overlap | cost | `crop` | `blend` |"
    lines = [
        f"| {overlap}{' (default)' if int(overlap) == found['default'] else ''} "
        f"| {each['cost']:.2f} | {each['crop']:.2f} % | {each['blend']:.2f} % |"
        for overlap, each in found["overlaps"].items()
    ]
    return "\n".join([head, "| --- | --- | --- | --- |", *lines])


def update_page(result: dict[str, dict[str, Any]]) -> None:
    """Put the tables into docs/tiling.md."""
    fill_in(PAGE, "overlap", markdown(result))


def main() -> None:
    """Print the tables for networks and images of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--image", type=Path, action="append", help="GeoTIFF, bands named")
    chosen = parser.parse_args()
    some = [raster(path) for path in chosen.image] if chosen.image else None
    print(markdown(run(chosen.networks, some)))


if __name__ == "__main__":
    main()
