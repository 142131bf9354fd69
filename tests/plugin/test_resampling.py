"""The local connection's own `resample_spatial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    import xarray as xr


@pytest.fixture
def cube(scene: xr.Dataset) -> xr.DataArray:
    """(t, bands, y, x) on 10 m pixels of UTM 33 north."""
    stacked = scene.to_dataarray("bands").transpose("t", "bands", "y", "x")
    return stacked.rio.write_crs(32633)


def resampled(cube: xr.DataArray, **arguments: Any) -> xr.DataArray:
    from cloudmask_openeo.local.resampling import resample_spatial

    return resample_spatial(cube, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"resolution": 10},
        {"resolution": [10, 10]},
        {"projection": 32633},
        {"projection": 32633, "resolution": 10},
        {"projection": "EPSG:32633", "resolution": 0},
    ],
)
def test_a_cube_that_has_those_pixels_stays_as_it_is(cube: xr.DataArray, arguments: Any) -> None:
    assert resampled(cube, **arguments) is cube


def test_a_resolution_along_both_axes_is_one_for_squares(cube: xr.DataArray) -> None:
    coarse = resampled(cube, resolution=[20, 20], method="average")
    np.testing.assert_allclose(coarse["x"], 6e5 + 10 + 20.0 * np.arange(25))
    np.testing.assert_allclose(coarse["y"], 5e6 - 10 - 20.0 * np.arange(20))


@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
def test_another_crs_gives_other_pixels(cube: xr.DataArray) -> None:
    turned = resampled(cube, projection=32632, resolution=10)
    assert turned.rio.crs.to_epsg() == 32632
    assert turned["x"].min() > 1e6, "metres east of another meridian"
    assert turned.shape[2] > 40, "a turned rectangle has wider bounds"
