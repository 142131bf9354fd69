from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

import cloudmask.accessor  # noqa: F401 - registers the accessor
from cloudmask import clear_share, cloud_free, composite, mask_clouds, only_clear, valid_share
from cloudmask.testing import brightest_band


@pytest.fixture(scope="module")
def cube() -> xr.DataArray:
    numbers = np.random.default_rng(3).uniform(0.05, 0.6, (2, 4, 20, 20)).astype(np.float32)
    bands = {"bands": ["B02", "B03", "B04", "B08"]}
    return xr.DataArray(numbers, bands, ("t", "bands", "y", "x"))


@pytest.fixture(scope="module")
def mask(cube: xr.DataArray) -> xr.DataArray:
    return mask_clouds(cube, brightest_band(), preset="reflectance")


def test_a_cube_masks_itself(cube: Any, mask: xr.DataArray) -> None:
    made = cube.cloudmask.mask(brightest_band(), preset="reflectance")
    xr.testing.assert_identical(made, mask)


def test_the_methods_do_what_the_functions_do(cube: Any, mask: Any) -> None:
    same = xr.testing.assert_identical
    same(cube.cloudmask.cloud_free(mask, fill=-1), cloud_free(cube, mask, fill=-1))
    same(cube.cloudmask.composite(mask, masked=(1,)), composite(cube, mask, masked=(1,)))
    same(cube.cloudmask.only_clear(mask, 0.1), only_clear(cube, mask, 0.1))
    same(mask.cloudmask.clear_share(masked=(1,)), clear_share(mask, masked=(1,)))
    same(mask.cloudmask.valid_share(dims=["t"]), valid_share(mask, dims=["t"]))


def test_importing_the_package_alone_registers_nothing() -> None:
    code = "import xarray, cloudmask; assert not hasattr(xarray.DataArray, 'cloudmask')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mask_in_a_dataset_is_not_hidden_by_the_accessor(mask: xr.DataArray) -> None:
    xr.testing.assert_identical(mask.to_dataset().cloudmask, mask)
