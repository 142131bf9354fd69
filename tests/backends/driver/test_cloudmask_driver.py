"""The text of the UDF in a back-end whose chunks are those of VITO and CDSE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from driver_client import extent, messages, neighborhood

import cloudmask
from cloudmask_openeo import Chunks
from cloudmask_openeo import mask_clouds as add_mask
from cloudmask_openeo.text import udf_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from driver_client import Driver
    from openeo.rest.datacube import DataCube

    from cloudmask.registry import Entry

BANDS = ["B02", "B03", "B04", "B08"]
MODEL = "ukis-4b-l1c"
STRIDE, MARGIN = 192, 32
"""Of the networks of ukis-csmask: tiles of 256 pixels, overlap 64."""


@pytest.fixture(scope="module")
def scene(imagery: xr.DataArray, ukis_4b: Entry) -> xr.DataArray:
    """(t, bands, y, x) = (2, 4, 300, 420) uint16: chunks end beyond both borders; 0 = no data."""
    first = imagery.sel(bands=BANDS)[:, :300, :420]
    second = imagery.sel(bands=BANDS)[:, 60:360, 300:720].copy()
    second[:, 40:90, 100:260] = 0
    dates = pd.to_datetime(["2024-06-01", "2024-06-04"])
    return xr.concat([first, second], pd.Index(dates, name="t"))


@pytest.fixture(scope="module")
def expected(scene: xr.DataArray) -> xr.DataArray:
    """(t, bands, y, x): the whole scene masked at once."""
    return cloudmask.mask_clouds(scene, MODEL, preset="dn").transpose("t", "bands", "y", "x")


@pytest.fixture(scope="module")
def cube(driver: Driver, scene: xr.DataArray) -> DataCube:
    return driver.load(scene)


def masked(
    cube: DataCube, size: int | tuple[int, int] = STRIDE, t: str | None = None, **context: Any
) -> DataCube:
    """Run the text of the UDF as a client does."""
    full = {"model": MODEL, "preset": "cdse", "chunk_overlap": MARGIN, **context}
    return neighborhood(cube, udf_code("archive"), size, MARGIN, t=t, context=full)


def ways(driver: Driver) -> dict[str, Callable[..., xr.DataArray]]:
    return {"sync": driver.sync, "batch": driver.batch}


@pytest.mark.parametrize("t", [None, "P1D"], ids=["all dates", "date by date"])
@pytest.mark.parametrize("way", ["sync", "batch"])
def test_mask_of_the_back_end_is_the_mask_of_the_whole_scene(
    driver: Driver, cube: DataCube, expected: xr.DataArray, tmp_path: Path, way: str, t: str | None
) -> None:
    result = ways(driver)[way](masked(cube, t=t), tmp_path)
    assert len(np.unique(expected.sel(bands="class"))) >= 3
    assert list(result["bands"].values) == ["mask", "class"]
    np.testing.assert_array_equal(result.values, expected.values)


@pytest.mark.parametrize("size", [(STRIDE, 2 * STRIDE), (2 * STRIDE, 3 * STRIDE)])
def test_mask_does_not_depend_on_the_size_of_chunks(
    driver: Driver, cube: DataCube, expected: xr.DataArray, tmp_path: Path, size: tuple[int, int]
) -> None:
    result = driver.sync(masked(cube, size), tmp_path)
    np.testing.assert_array_equal(result.values, expected.values)


@pytest.mark.parametrize("t", [None, "P1D"], ids=["all dates", "date by date"])
def test_probabilities_of_the_back_end_are_those_of_the_whole_scene(
    driver: Driver, scene: xr.DataArray, cube: DataCube, tmp_path: Path, t: str | None
) -> None:
    options = cloudmask.Options(output=cloudmask.Output(layout="probabilities"))
    whole = cloudmask.mask_clouds(scene, MODEL, preset="dn", options=options)
    whole = whole.transpose("t", "bands", "y", "x")
    result = driver.sync(masked(cube, t=t, layout="probabilities"), tmp_path)
    assert list(result["bands"].values) == list(whole["bands"].values)
    np.testing.assert_array_equal(result.to_numpy()[:, :2], whole.to_numpy()[:, :2])
    np.testing.assert_allclose(result.to_numpy()[:, 2:], whole.to_numpy()[:, 2:], atol=1e-5)


def test_the_border_of_a_cube_sees_what_the_collection_has_beyond_it(
    driver: Driver, scene: xr.DataArray, tmp_path: Path
) -> None:
    # Back-ends pad with no data there (geopyspark issue 982), so 33 pixels more are loaded.
    field, margin = (slice(60, 200), slice(80, 300)), 33
    cube = driver.load(scene, spatial_extent=extent(*field))
    result = driver.sync(add_mask(cube, MODEL, chunks=Chunks(delivery="archive")), tmp_path)
    rows, columns = (slice(each.start - margin, each.stop + margin) for each in field)
    whole = cloudmask.mask_clouds(scene[..., rows, columns], MODEL, preset="dn")
    expected = whole.transpose("t", "bands", "y", "x")[..., margin:-margin, margin:-margin]
    np.testing.assert_array_equal(result.values, expected.values)
    alone = cloudmask.mask_clouds(scene[..., field[0], field[1]], MODEL, preset="dn")
    assert (alone.transpose("t", "bands", "y", "x").values != expected.values).any()


def test_order_of_bands_does_not_matter(
    driver: Driver, scene: xr.DataArray, expected: xr.DataArray, tmp_path: Path
) -> None:
    result = driver.sync(masked(driver.load(scene.isel(bands=[3, 1, 0, 2]))), tmp_path)
    np.testing.assert_array_equal(result.values, expected.values)


def test_cube_without_time_is_masked_alike(
    driver: Driver, scene: xr.DataArray, expected: xr.DataArray, tmp_path: Path
) -> None:
    result = driver.sync(masked(driver.load(scene.isel(t=1, drop=True))), tmp_path)
    np.testing.assert_array_equal(result.values, expected.to_numpy()[1])


def test_mask_process_hides_what_the_udf_masks(
    driver: Driver, scene: xr.DataArray, cube: DataCube, expected: xr.DataArray, tmp_path: Path
) -> None:
    flat = masked(cube).reduce_dimension("bands", lambda data: data.array_element(index=0))
    result = driver.sync(cube.mask(flat), tmp_path)
    hidden = expected.to_numpy()[:, :1] == 1
    np.testing.assert_array_equal(result.values, np.where(hidden, np.nan, scene.values))


def test_missing_band_is_told_in_one_line(
    driver: Driver, scene: xr.DataArray, tmp_path: Path
) -> None:
    cube = masked(driver.load(scene.sel(bands=["B02", "B03", "B04"])))
    job = driver.run(cube, tmp_path)
    assert job.status() == "error"
    (line,) = messages(job, level="error")
    assert "missing band B08" in line
    assert "\n" not in line


def test_context_is_left_as_it_was(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    job = driver.run(masked(cube, layout="probabilities"), tmp_path)
    assert job.status() == "finished"
    assert messages(job, level="warning") == []


def test_too_little_memory_says_what_to_change(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    line = driver.failure(masked(cube), tmp_path, {"python-memory": "500m"})
    assert "raise the job option python-memory" in line
    assert "\n" not in line


def test_a_network_that_is_not_there_is_told_in_one_line(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    line = driver.failure(masked(cube, model="clouds2mask-20m"), tmp_path)
    assert "unknown model 'clouds2mask-20m'" in line
    assert "\n" not in line


def test_a_wrong_preset_is_told_once_however_many_chunks(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    job = driver.run(masked(cube, preset="reflectance"), tmp_path)
    assert job.status() == "finished"
    (line,) = messages(job, level="warning")
    assert "preset 'reflectance' gives reflectances from" in line
