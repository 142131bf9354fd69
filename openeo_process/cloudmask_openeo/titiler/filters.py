"""Filters on titiler's cubes, for a titiler that has none."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudmask.errors import BandError, OptionError
from cloudmask_openeo.titiler.stack import checked, each_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rio_tiler.models import ImageData
    from titiler.openeo.processes.implementations.data_model import RasterStack

_NUMBERED = re.compile(r"_b\d+$")

_TOUCHING = 1e-6
"""Pixels by which a centre may lie outside for reasons of rounding."""


def filter_bands(
    data: RasterStack, bands: Sequence[str] = (), wavelengths: Sequence[Any] = ()
) -> RasterStack:
    """Run openEO's `filter_bands`, each date when it is needed.

    Args:
        data: The cube.
        bands: Labels in the wanted order, as the cube has them ("B02_b1") or without the number
            that titiler appends.
        wavelengths: Not possible, titiler's cubes do not know them.

    Raises:
        BandError: A label is missing; with the first date.
        OptionError: No labels, or wavelengths.
    """
    labels = list(getattr(bands, "root", bands))  # the parser takes an empty list for dates
    if not labels or list(getattr(wavelengths, "root", wavelengths)):
        raise OptionError(
            "filter_bands: give labels in bands; wavelengths are not known to this back-end"
        )
    return each_image(checked(data), partial(_with_bands, labels), band_names=labels)


def _with_bands(wanted: Sequence[str], _: datetime, image: ImageData) -> ImageData:
    labels = list(image.band_descriptions)
    short = [_NUMBERED.sub("", label) for label in labels]
    missing = [label for label in wanted if label not in (*labels, *short)]
    if missing:
        raise BandError(
            f"filter_bands: no band {', '.join(map(str, missing))}; there are {', '.join(labels)}"
        )
    chosen = [(labels if label in labels else short).index(label) for label in wanted]
    return type(image)(
        image.array[chosen],
        assets=image.assets,
        crs=image.crs,
        bounds=image.bounds,
        band_descriptions=[labels[number] for number in chosen],
    )


def filter_bbox(data: RasterStack, extent: Any) -> RasterStack:
    """Run openEO's `filter_bbox`: keep pixels whose centre lies in the box.

    Args:
        data: The cube.
        extent: west, south, east, north and crs, as titiler's parser gives them.

    Raises:
        OptionError: No pixel lies there.
    """
    first = checked(data).get_image_refs()[0][1]
    west, south, east, north = _box(extent, first.crs)
    left, bottom, right, top = first.bounds
    across, down = (right - left) / first.width, (top - bottom) / first.height
    columns = _inside((west - left) / across, (east - left) / across, first.width)
    rows = _inside((top - north) / down, (top - south) / down, first.height)
    if not len(columns) or not len(rows):
        raise OptionError(
            f"filter_bbox: no pixel has its centre in {west:g}, {south:g}, {east:g}, {north:g}; "
            f"the cube lies in {left:g}, {bottom:g}, {right:g}, {top:g}"
        )
    bounds = (
        left + columns.start * across,
        top - rows.stop * down,
        left + columns.stop * across,
        top - rows.start * down,
    )
    size = {"width": len(columns), "height": len(rows), "bounds": bounds}
    return each_image(data, partial(_cropped, rows, columns, bounds), **size)


def _box(extent: Any, crs: Any) -> tuple[float, ...]:
    """Give the box in the coordinates of the cube."""
    from rasterio.crs import CRS
    from rasterio.warp import transform_bounds

    box = (extent.west, extent.south, extent.east, extent.north)
    given = CRS.from_user_input(extent.crs or "EPSG:4326")
    return box if given == crs else tuple(transform_bounds(given, crs, *box))


def _inside(start: float, stop: float, length: int) -> range:
    """Number the pixels whose centre lies between two places, given in pixels."""
    first = math.ceil(start - 0.5 - _TOUCHING)
    last = math.floor(stop - 0.5 + _TOUCHING)
    return range(max(0, first), min(length, last + 1))


def _cropped(
    rows: range, columns: range, bounds: tuple[float, ...], _: datetime, image: ImageData
) -> ImageData:
    inside = image.array[:, rows.start : rows.stop, columns.start : columns.stop]
    return type(image)(
        inside,
        assets=image.assets,
        crs=image.crs,
        bounds=bounds,
        band_descriptions=image.band_descriptions,
    )
