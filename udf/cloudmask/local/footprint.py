"""Where a grid lies on Earth, as GeoJSON."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask.local.product import Grid

POINTS = 16
"""Points an edge: straight edges of a projection are curves in longitude and latitude. With 16,
the footprint of a Sentinel-2 tile is true to a few metres."""

DIGITS = 7
"""Decimals of a degree; about a centimetre."""

DATE_LINE = 180.0
"""Longitude at which what crosses the antimeridian is cut."""

Position = tuple[float, float]


def footprint(grid: Grid) -> dict[str, Any] | None:
    """Draw a grid's outline in longitude and latitude (EPSG:4326, RFC 7946).

    Rings run counter-clockwise. What crosses the antimeridian is cut there into several polygons.
    A grid around a pole is not drawn right, as no polygon of RFC 7946 could.

    Args:
        grid: Any; turned and flipped ones, too.

    Returns:
        A Polygon or MultiPolygon; None for a grid that does not say where it lies.
    """
    from rasterio.warp import transform_geom

    if grid.crs is None or grid.transform is None:
        return None
    outline = {"type": "Polygon", "coordinates": [_outline(grid)]}
    drawn = transform_geom(grid.crs, "EPSG:4326", outline, precision=DIGITS)
    polygons = [drawn["coordinates"]] if drawn["type"] == "Polygon" else drawn["coordinates"]
    turned = [[_counter_clockwise(ring) for ring in polygon] for polygon in polygons]
    if len(turned) == 1:
        return {"type": "Polygon", "coordinates": turned[0]}
    return {"type": "MultiPolygon", "coordinates": turned}


def bounds(geometry: dict[str, Any]) -> list[float]:
    """Give west, south, east, north of what `footprint` drew.

    West is greater than east for what crosses the antimeridian (RFC 7946, section 5.2).
    """
    one = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if one else geometry["coordinates"]
    west, south, east, north = np.array([_box(polygon[0]) for polygon in polygons]).T
    before, after = east == DATE_LINE, west == -DATE_LINE
    if not one and before.any() and after.any():
        return [west[before].min(), south.min(), east[after].max(), north.max()]
    return [west.min(), south.min(), east.max(), north.max()]


def _outline(grid: Grid) -> list[Position]:
    """Walk around the outer corners of the corner pixels, closed, in the grid's own CRS."""
    from rasterio.transform import xy

    height, width = grid.shape
    corners = [(0, 0), (0, height), (width, height), (width, 0), (0, 0)]
    pixels = chain(*map(_edge, corners[:-1], corners[1:]), corners[:1])
    columns, rows = zip(*pixels, strict=True)
    return list(zip(*xy(grid.transform, rows, columns, offset="ul"), strict=True))


def _edge(start: Position, stop: Position) -> Iterator[Position]:
    """Walk from a corner towards the next, without it."""
    for step in np.arange(POINTS) / POINTS:
        x, y = ((1 - step) * a + step * b for a, b in zip(start, stop, strict=True))
        yield float(x), float(y)


def _counter_clockwise(ring: list[Position]) -> list[list[float]]:
    points = [[float(x), float(y)] for x, y in ring]
    x, y = np.array(points).T
    doubled_area = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])
    return points if doubled_area > 0 else points[::-1]


def _box(ring: list[list[float]]) -> tuple[float, float, float, float]:
    x, y = np.array(ring).T
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
