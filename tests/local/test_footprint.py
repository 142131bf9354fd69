from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

import rasterio
from rasterio.transform import xy
from rasterio.warp import transform

from cloudmask.local.footprint import bounds, footprint
from cloudmask.local.product import Grid

UTM33 = rasterio.CRS.from_epsg(32633)
TILE = Grid(10980, 10980, UTM33, rasterio.Affine(10, 0, 6e5, 0, -10, 5.1e6))
# West of the antimeridian in zone 60, whose eastern half lies beyond it.
ACROSS = Grid(1000, 20000, rasterio.CRS.from_epsg(32660), rasterio.Affine(10, 0, 7e5, 0, -10, 1e6))


def drawn(grid: Grid) -> dict[str, Any]:
    geometry = footprint(grid)
    assert geometry is not None
    return geometry


def rings(geometry: dict[str, Any]) -> list[list[list[float]]]:
    one = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if one else geometry["coordinates"]
    return [ring for polygon in polygons for ring in polygon]


def turning(ring: list[list[float]]) -> float:
    """Sum the angles between following edges: a full turn, positive counter-clockwise."""
    points = np.array(ring[:-1])
    edges = np.roll(points, -1, axis=0) - points
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    steps = np.roll(angles, -1) - angles
    return float(((steps + math.pi) % (2 * math.pi) - math.pi).sum())


def outline(grid: Grid, points: int) -> np.ndarray[Any, Any]:
    """Walk around the grid, as (longitude, latitude)."""
    way = np.linspace(0, 1, points)
    x = np.concatenate([way, way * 0 + 1, way[::-1], way * 0]) * grid.width
    y = np.concatenate([way * 0, way, way * 0 + 1, way[::-1]]) * grid.height
    place = xy(grid.transform, y, x, offset="ul")
    return np.array(transform(grid.crs, "EPSG:4326", *place)).T


@pytest.mark.parametrize(
    "grid",
    [
        TILE,
        # South up.
        Grid(10980, 10980, UTM33, rasterio.Affine(10, 0, 6e5, 0, 10, 5.0e6)),
        # Turned by 30 degrees.
        Grid(300, 200, UTM33, rasterio.Affine(6e0, 3, 6e5, 3, -6, 5.1e6)),
        Grid(100, 200, rasterio.CRS.from_epsg(4326), rasterio.Affine(0.01, 0, 5, 0, -0.01, 50)),
        ACROSS,
    ],
    ids=["tile", "south-up", "turned", "degrees", "antimeridian"],
)
def test_rings_are_closed_and_run_counter_clockwise(grid: Grid) -> None:
    for ring in rings(drawn(grid)):
        assert ring[0] == ring[-1]
        assert turning(ring) == pytest.approx(2 * math.pi)


def test_the_outline_of_a_tile_is_true_to_ten_metres() -> None:
    """Shapely measures how far points on the true outline lie from the drawn one."""
    shapely = pytest.importorskip("shapely")
    ring = shapely.LinearRing(rings(drawn(TILE))[0])
    away = shapely.distance(ring, shapely.points(outline(TILE, 500)))
    assert away.max() * 111_320 < 10


def test_the_box_holds_the_outline_and_touches_it() -> None:
    geometry = drawn(TILE)
    around = outline(TILE, 500)
    west, south, east, north = bounds(geometry)
    expected = [*around.min(axis=0), *around.max(axis=0)]
    assert [west, south, east, north] == pytest.approx(expected, abs=1e-4)


def test_what_crosses_the_antimeridian_is_cut_there() -> None:
    geometry = drawn(ACROSS)
    assert geometry["type"] == "MultiPolygon"
    longitudes = sorted((min(x), max(x)) for x in ([p[0] for p in r] for r in rings(geometry)))
    (eastern, western) = longitudes
    assert eastern[0] == -180
    assert western[1] == 180
    assert eastern[1] < -170
    assert western[0] > 170


def test_the_box_of_what_crosses_the_antimeridian_has_west_greater_than_east() -> None:
    west, south, east, north = bounds(drawn(ACROSS))
    around = outline(ACROSS, 500)
    assert west == pytest.approx(around[around[:, 0] > 0, 0].min(), abs=1e-4)
    assert east == pytest.approx(around[around[:, 0] < 0, 0].max(), abs=1e-4)
    assert (south, north) == pytest.approx((around[:, 1].min(), around[:, 1].max()), abs=1e-4)


@pytest.mark.parametrize("grid", [Grid(5, 5), Grid(5, 5, UTM33), Grid(5, 5, None, TILE.transform)])
def test_a_grid_that_does_not_say_where_it_lies_has_no_footprint(grid: Grid) -> None:
    assert footprint(grid) is None
