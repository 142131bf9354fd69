"""The two filters that the graphs of our client need and titiler-openeo lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from openeo.rest import OpenEoApiError
from rasterio.warp import transform_bounds

if TYPE_CHECKING:
    import xarray as xr

    Titiler = Any

LEFT, TOP = 600_000, 5_200_000


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box in metres from the scene's upper left corner."""
    edges = {"west": LEFT + west, "south": TOP - south, "east": LEFT + east, "north": TOP - north}
    return {**edges, "crs": 32632}


def test_bands_come_in_the_order_in_which_they_are_named(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    got = titiler.download(loaded.filter_bands(["B08", "B03"])).values
    want = (numbers.sel(bands=["B08", "B03"]).values * 1e-4).astype(np.float32)
    np.testing.assert_array_equal(got, want)


def test_a_band_that_is_not_there_is_named(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers))
    filtered = loaded.process("filter_bands", data=loaded, bands=["B08", "B11"])
    with pytest.raises(OpenEoApiError, match="no band B11; there are B02_b1, B03_b1"):
        titiler.download(filtered)


@pytest.mark.parametrize(
    ("extent", "rows", "columns"),
    [
        (box(100, 900, 700, 300), slice(30, 90), slice(10, 70)),
        # A pixel belongs to the box if its centre does, the edge included.
        (box(104.9, 900, 700, 305), slice(30, 90), slice(10, 70)),
        (box(105.1, 900, 700, 305.1), slice(31, 90), slice(11, 70)),
        (box(-500, 9_000, 9_000, -500), slice(None), slice(None)),
    ],
)
def test_pixels_are_kept_whose_centre_lies_in_the_box(
    titiler: Titiler,
    numbers: xr.DataArray,
    extent: dict[str, Any],
    rows: slice,
    columns: slice,
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    got = titiler.download(loaded.filter_bbox(**extent))
    inside = numbers.values[:, rows, columns]
    np.testing.assert_array_equal(got.values, (inside * 1e-4).astype(np.float32))
    corner = (LEFT + 10 * (columns.start or 0), TOP - 10 * (rows.start or 0))
    assert (got.transform.c, got.transform.f) == corner
    assert (got.transform.a, got.transform.e) == (10, -10)


def test_a_box_may_be_in_degrees(titiler: Titiler, numbers: xr.DataArray) -> None:
    degrees = transform_bounds(
        "EPSG:32632", "EPSG:4326", LEFT + 400, TOP - 900, LEFT + 1000, TOP - 300
    )
    west, south, east, north = transform_bounds("EPSG:4326", "EPSG:32632", *degrees)
    x, y = LEFT + 5 + 10 * np.arange(210), TOP - 5 - 10 * np.arange(150)
    rows, columns = (y >= south) & (y <= north), (x >= west) & (x <= east)
    loaded = titiler.load(titiler.put(numbers))
    edges = dict(zip(("west", "south", "east", "north"), degrees, strict=True))
    got = titiler.download(loaded.filter_bbox(**edges)).values
    inside = numbers.values[:, rows][:, :, columns]
    np.testing.assert_array_equal(got, (inside * 1e-4).astype(np.float32))


def test_a_box_beside_the_cube_is_refused(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers))
    with pytest.raises(OpenEoApiError, match="no pixel has its centre in"):
        titiler.download(loaded.filter_bbox(**box(5_000, 9_000, 6_000, 8_000)))
