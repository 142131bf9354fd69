"""PixBox-S2-CMIX (Paperin et al. 2021, doi:10.5281/zenodo.5036991): points in 29 products.

`pixbox_sentinel2_cmix_20180425.csv` has a row for each of 17 351 points: PRODUCT_ID, PIXEL_X and
PIXEL_Y (column and row of the 10 m grid, from 0 at the upper left), LATITUDE and LONGITUDE of the
pixel's centre, CLOUD_CHARACTERISTICS_ID, SHADOW_ID and more. The products lie beside it, .SAFE
folders or zips of them; their own metadata say what their numbers mean (all of baselines 02.04
to 02.06, without offset). Which product a PRODUCT_ID is stands in `pixbox_products.csv`, from the
definitions that come with the points. One of the 29 is not in the published archive: without it,
its points are left out, with a warning.

Points near each other share an image: the product is cut into cells of 256 x 256 pixels, and each
cell with points is a sample with 128 pixels of context on each side.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.errors import RasterioIOError
from rasterio.warp import transform
from rasterio.windows import Window

from cloudmask.errors import CloudmaskError
from cloudmask.local.readers.rasters import cause, choose, gdal
from cloudmask.local.readers.safe import SafeScene
from cloudmask.local.readers.stack import stacked
from cloudmask_export.evaluation.datasets.layout import (
    MSI,
    Layout,
    checked,
    found,
    image_of,
    tile_of,
)
from cloudmask_export.evaluation.datasets.points import Point, product_names, read_points
from cloudmask_export.evaluation.labels import PIXBOX
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cloudmask.bands import Preset
    from cloudmask_export.evaluation.samples import Image

CELL = 256
CONTEXT = 128
UNPUBLISHED = 872013732
"""PRODUCT_ID of the product that the archive lacks."""

FAR = 20.0
"""Metres between a pixel's centre and the place that the table says, at most."""

TABLES = ("pixbox_sentinel2_cmix*.csv", "*/pixbox_sentinel2_cmix*.csv")
DEPTHS = ("", "*/", "*/*/")


class LeftOutWarning(UserWarning):
    """Points cannot be used, for a reason that is not the caller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixBoxCell:
    """A part of a product, with its points; see `Sample`."""

    name: str
    path: Path
    """The product."""
    table: Path
    corner: tuple[int, int]
    """Row and column of the product that the image begins at."""
    points: tuple[Point, ...]

    @property
    def group(self) -> str:
        """The product's tile: some are there on two dates."""
        return tile_of(self.path.name) or self.path.name

    def shape(self) -> tuple[int, int]:
        """Rows and columns, as many as the product has for it; opens the product's metadata."""
        with _product(self.path) as (dataset, _, _):
            return self._window(dataset)

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: The product cannot be read, or the points are not where the table
                says.
        """
        with _product(self.path) as (dataset, indexes, preset):
            self._check(dataset)
            height, width = self._window(dataset)
            row, column = self.corner
            numbers = dataset.read(list(indexes), window=Window(column, row, width, height))
        return image_of(numbers, preset, path=self.path, pixel_size=10.0)

    def truth(self) -> Truth:
        """Give the labels of the points; see `Sample`."""
        codes = np.array([point.code for point in self.points], np.uint8)
        return Truth(
            checked(codes, PIXBOX, self.table),
            np.array([point.row - self.corner[0] for point in self.points], np.intp),
            np.array([point.column - self.corner[1] for point in self.points], np.intp),
        )

    def _window(self, dataset: Any) -> tuple[int, int]:
        """Give height and width: up to the edge of the product."""
        size = CELL + 2 * CONTEXT
        row, column = self.corner
        return min(size, dataset.height - row), min(size, dataset.width - column)

    def _check(self, dataset: Any) -> None:
        """Refuse points that are not in the product, or elsewhere than the table says.

        PIXEL_X and PIXEL_Y would be silently wrong on a grid of another pixel size.
        """
        for point in self.points:
            if point.row >= dataset.height or point.column >= dataset.width:
                raise EvaluationError(
                    f"{self.table}: PIXEL_X {point.column}, PIXEL_Y {point.row} is outside of "
                    f"{self.path}, which has {dataset.width} x {dataset.height} pixels of 10 m"
                )
            far = _distance(point, dataset)
            if far > FAR:
                raise EvaluationError(
                    f"{self.table}: PIXEL_X {point.column}, PIXEL_Y {point.row} lies {far:.0f} m "
                    f"from its LATITUDE and LONGITUDE in {self.path}; it is another product, or "
                    "not the 10 m grid"
                )


def _distance(point: Point, dataset: Any) -> float:
    """Give the metres between a point's pixel and its place; 0 where that cannot be told."""
    if point.place is None or dataset.crs is None:
        return 0.0
    latitude, longitude = point.place
    (east,), (north,) = transform("EPSG:4326", dataset.crs, [longitude], [latitude])
    place = dataset.transform
    x, y = place.c + place.a * (point.column + 0.5), place.f + place.e * (point.row + 0.5)
    return float(np.hypot(x - east, y - north))


@contextmanager
def _product(path: Path) -> Iterator[tuple[Any, tuple[int, ...], Preset]]:
    """Open a product on its 10 m grid: dataset, places of all bands, and what numbers mean.

    Raises:
        EvaluationError: It cannot be read.
    """
    scene = SafeScene(path)
    try:
        with gdal():
            plan = scene.planned(MSI)
            assert plan.preset, "a product says what its numbers mean"
            with stacked(scene.place, plan.text) as dataset:
                raster, preset = choose(dataset, MSI, plan.preset)
                yield dataset, raster.indexes, preset
    except EvaluationError:
        raise
    except CloudmaskError as error:
        raise EvaluationError(str(error)) from error
    except RasterioIOError as error:
        raise EvaluationError(
            f"{path}: cannot be read ({cause(error)}); fetch the product again"
        ) from error


def _samples(path: Path) -> list[PixBoxCell]:
    """Gather the points in cells.

    Raises:
        EvaluationError: A product is unknown or missing.
    """
    tables = found(path, TABLES)
    if len(tables) != 1:
        raise EvaluationError(
            f"{path}: has {len(tables)} tables of points ({', '.join(map(str, tables))}); keep one"
        )
    cells: dict[tuple[int, int, int], list[Point]] = defaultdict(list)
    for point in read_points(tables[0]):
        cells[point.product, point.row // CELL, point.column // CELL].append(point)
    products = _products(path, tables[0], {product for product, _, _ in cells})
    left_out = sum(len(each) for (product, _, _), each in cells.items() if product not in products)
    if left_out:
        warnings.warn(
            f"{tables[0]}: {left_out} points are left out, as the published archive lacks their "
            f"product {product_names()[UNPUBLISHED]}",
            LeftOutWarning,
            stacklevel=4,
        )
    return [
        _cell(products[product], tables[0], (row, column), points)
        for (product, row, column), points in sorted(cells.items())
        if product in products
    ]


def _cell(
    product: Path, table: Path, place: tuple[int, int], points: Iterable[Point]
) -> PixBoxCell:
    name = product.name.removesuffix(".zip").removesuffix(".SAFE")
    return PixBoxCell(
        name=f"{name}/{place[0]}_{place[1]}",
        path=product,
        table=table,
        corner=(max(0, place[0] * CELL - CONTEXT), max(0, place[1] * CELL - CONTEXT)),
        points=tuple(points),
    )


def _products(path: Path, table: Path, wanted: Iterable[int]) -> dict[int, Path]:
    """Find the products."""
    names, places = product_names(), {}
    for product in sorted(wanted):
        if product not in names:
            raise EvaluationError(
                f"{table}: PRODUCT_ID {product} is none of the {len(names)} of PixBox-S2-CMIX"
            )
        name = names[product]
        here = found(
            path,
            (f"{depth}{name}{end}" for depth in DEPTHS for end in (".SAFE", ".zip", ".SAFE.zip")),
        )
        if here:
            places[product] = here[0]
        elif product != UNPUBLISHED:
            raise EvaluationError(
                f"{path / name}.SAFE: is not there, but {table.name} has points in it; unpack "
                "Sentinel-2_L1C.zip beside the table (one product in it is a .rar)"
            )
    return places


LAYOUT = Layout(
    name="pixbox",
    title="PixBox-S2-CMIX",
    licence="not verified; see its record",
    source=PIXBOX.source,
    folder="a folder with pixbox_sentinel2_cmix_20180425.csv and the .SAFE products (or zips of "
    "them) below it",
    unverified="What CLOUD_CHARACTERISTICS_ID 0 to 12 mean, and which product a PRODUCT_ID is, "
    "comes from others who read the definitions file.",
    scheme=PIXBOX,
    kind="points",
    human=True,
    fits=lambda path: path.is_dir() and bool(found(path, TABLES)),
    samples=_samples,
)
