"""The local connection's own `resample_spatial`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.errors import CubeError, OptionError

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


def test_finer_pixels_begin_and_end_where_the_cube_does(cube: xr.DataArray) -> None:
    fine = resampled(cube, resolution=5)
    assert fine.shape[2:] == (80, 100)
    np.testing.assert_allclose(fine["x"], 6e5 + 2.5 + 5.0 * np.arange(100))
    np.testing.assert_allclose(fine["y"], 5e6 - 2.5 - 5.0 * np.arange(80))
    np.testing.assert_array_equal(fine.values[..., ::2, ::2], cube.values)


def test_finer_pixels_of_a_lazy_cube_are_lazy_and_the_same(cube: xr.DataArray) -> None:
    lazy = resampled(cube.chunk(t=1, y=16, x=20), resolution=5)
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, resampled(cube, resolution=5))


def test_metres_are_refused_for_a_cube_in_degrees(cube: xr.DataArray) -> None:
    degrees = cube.assign_coords(x=5 + 1e-4 * np.arange(50), y=50 - 1e-4 * np.arange(40))
    degrees = degrees.rio.write_crs(4326)
    with pytest.raises(CubeError, match=r"resolution=10: the cube's pixels are in degrees"):
        resampled(degrees, resolution=10)


def test_an_unknown_method_is_refused(cube: xr.DataArray) -> None:
    with pytest.raises(OptionError, match="method='best': choose one of near, bilinear"):
        resampled(cube, resolution=20, method="best")


def test_resampling_warns_of_nothing_whatever_other_threads_do_to_warnings() -> None:
    code = """
import warnings
import cloudmask_openeo.local.resampling
from rasterio.errors import NotGeoreferencedWarning
for module in ("rasterio.warp", "mine"):
    warnings.warn_explicit("of " + module, NotGeoreferencedWarning, "file.py", 1, module)
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "of rasterio.warp" not in done.stderr
    assert "of mine" in done.stderr
