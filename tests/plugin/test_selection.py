"""What `load_collection` chooses of a file, on cubes of a few pixels."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from cloudmask_openeo.local.selection import between, within

X = 6e5 + 5 + 10.0 * np.arange(6)
Y = 5e6 - 5 - 10.0 * np.arange(4)


def made(y: Any = Y, x: Any = X, crs: int = 32633) -> xr.DataArray:
    return xr.DataArray(
        np.arange(len(y) * len(x)).reshape(len(y), len(x)), {"y": y, "x": x}, ("y", "x")
    ).rio.write_crs(crs)


def box(west: float, south: float, east: float, north: float, crs: Any = 32633) -> dict[str, Any]:
    return {"west": west, "south": south, "east": east, "north": north, "crs": crs}


@pytest.mark.parametrize("turned", [False, True], ids=["from the north", "from the south"])
def test_a_centre_on_the_edge_of_a_box_lies_in_it(*, turned: bool) -> None:
    cube = made().isel(y=slice(None, None, -1)) if turned else made()
    chosen = within(cube, box(X[1], Y[2], X[4], Y[1]))
    np.testing.assert_array_equal(np.sort(chosen["y"]), [Y[2], Y[1]])
    np.testing.assert_array_equal(chosen["x"], X[1:5])
    xr.testing.assert_identical(chosen, cube.sel(y=chosen["y"], x=chosen["x"]))


@pytest.mark.parametrize("side", ["west", "south", "east", "north"])
def test_a_centre_beyond_an_edge_lies_outside(side: str) -> None:
    inwards = {"west": 0.01, "south": 0.01, "east": -0.01, "north": -0.01}[side]
    edges = box(X[1], Y[2], X[4], Y[1])
    chosen = within(made(), edges | {side: edges[side] + inwards})
    assert chosen.shape == ((2, 3) if side in {"west", "east"} else (1, 4))


def test_an_edge_of_a_box_in_degrees_is_a_curve_in_metres() -> None:
    """Along a parallel 4 degrees wide the middle lies 2 km south of the corners."""
    to_metres = Transformer.from_crs(4326, 32633, always_xy=True)
    _, low = to_metres.transform(15, 45.001)
    _, corner = to_metres.transform(13, 45)
    assert low < corner - 1000
    cube = made(y=np.array([low + 10, low]), x=np.array([5e5, 5e5 + 10]))
    assert within(cube, box(13, 45, 17, 46, None)).shape == (2, 2)


def test_the_crs_of_a_box_may_be_that_of_another_zone() -> None:
    other = Transformer.from_crs(32633, 32632, always_xy=True)
    east, north = other.transform(X[2], Y[1])
    chosen = within(made(), box(east - 3, north - 3, east + 3, north + 3, "EPSG:32632"))
    assert (chosen["x"].item(), chosen["y"].item()) == (X[2], Y[1])


DATES = np.array(["2020-06-01T22:00", "2020-06-02T23:30", "2020-06-03T12:00"], "datetime64[ns]")
DATED = xr.DataArray(range(3), {"t": DATES}, ("t",))


def test_a_moment_of_another_time_zone_is_turned_into_utc() -> None:
    summer = timezone(timedelta(hours=2))
    start = datetime(2020, 6, 3, 1, tzinfo=summer)
    end = datetime(2020, 6, 3, 14, tzinfo=summer)
    assert list(between(DATED, [start, end]).values) == [1]


def test_a_moment_without_a_time_zone_is_utc() -> None:
    assert list(between(DATED, ["2020-06-02T23:30:00", "2020-06-03"]).values) == [1]


def test_steps_without_dates_are_of_any_date() -> None:
    bare = DATED.drop_vars("t")
    xr.testing.assert_identical(between(bare, ["2021-01-01", None]), bare)
