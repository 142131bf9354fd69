from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from driver_client import EPSG, extent, finish, neighborhood, read
from openeo.rest import OpenEoApiError
from pyproj import Transformer

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from driver_client import Driver, Site
    from openeo.rest.datacube import DataCube

ADD = """
import xarray as xr
def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
    return cube + context["amount"]
"""


def test_load_collection_honours_extents_and_bands(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    rows, columns = slice(3, 9), slice(5, 20)
    cube = driver.load(
        pixels,
        spatial_extent=extent(rows, columns),
        temporal_extent=["2024-06-02", "2024-06-05"],
        bands=["B04", "B02"],
    )
    expected = pixels.isel(t=[1], y=rows, x=columns).sel(bands=["B04", "B02"])
    result = driver.sync(cube, tmp_path)
    np.testing.assert_array_equal(result.values, expected.values)
    assert list(result["bands"].values) == ["B04", "B02"]


def test_extent_in_degrees_holds_all_pixels_that_it_touches(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    metres = extent(slice(8, 12), slice(10, 14))
    change = Transformer.from_crs(EPSG, 4326, always_xy=True)
    sides = ("west", "south", "east", "north")
    degrees = change.transform_bounds(*(metres[side] for side in sides))
    cube = driver.load(pixels, spatial_extent=dict(zip(sides, degrees, strict=True)))
    result = driver.sync(cube, tmp_path)
    around = pixels.isel(y=slice(7, 13), x=slice(9, 15)).values
    inside = pixels.isel(y=slice(8, 12), x=slice(10, 14)).values
    assert np.isin(inside, result.values).all()
    assert np.isin(result.values, around).all()


def test_extent_beside_the_collection_is_refused(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    with pytest.raises(OpenEoApiError, match="holds no pixel"):
        driver.sync(driver.load(pixels, spatial_extent=extent(slice(50, 60), slice(5))), tmp_path)


def test_filters_keep_what_they_name(driver: Driver, pixels: xr.DataArray, tmp_path: Path) -> None:
    cube = driver.load(pixels).filter_bands(["B03"]).filter_temporal("2024-06-01", "2024-06-02")
    result = driver.sync(cube.filter_bbox(**extent(slice(2, 6), slice(4, 9))), tmp_path)
    np.testing.assert_array_equal(result.values, pixels.values[:1, 1:2, 2:6, 4:9])


def test_filter_bbox_after_a_neighbourhood_crops_its_result(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    whole = extent(slice(20), slice(28))
    cube = driver.load(pixels, spatial_extent=whole)
    out = neighborhood(cube, ADD, 8, 2, context={"amount": 5})
    result = driver.sync(out.filter_bbox(**extent(slice(2, 6), slice(4, 9))), tmp_path)
    np.testing.assert_array_equal(result.values, pixels.values[:, :, 2:6, 4:9] + 5.0)


@pytest.mark.parametrize(("given", "chunks"), [(False, 1), (True, 12)])
def test_filter_bbox_after_a_neighbourhood_loads_the_box_alone_unless_an_extent_was_given(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, *, given: bool, chunks: int
) -> None:
    # Borders of no data then come close: who loads a larger area has to say so at the load.
    whole = {"spatial_extent": extent(slice(20), slice(28))} if given else {}
    code = "from openeo.udf import inspect\n" + ADD.replace(
        "    return", "    inspect(1)\n    return"
    )
    out = neighborhood(driver.load(pixels, **whole), code, 8, 2, context={"amount": 0})
    told = driver.inspected(out.filter_bbox(**extent(slice(2, 6), slice(4, 9))), tmp_path)
    assert len(told) == chunks


def test_collection_without_no_data_keeps_its_zeros(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    name = driver.add_collection(pixels * 0, nodata=None)
    result = driver.sync(driver.connect().load_collection(name), tmp_path)
    assert (result.values == 0).all()


def test_array_element_leaves_a_cube_without_bands(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    cube = driver.load(pixels).reduce_dimension("bands", lambda data: data.array_element(index=1))
    result = driver.sync(cube, tmp_path)
    np.testing.assert_array_equal(result.sel(bands="var").values, pixels.values[:, 1])


def masking(driver: Driver, pixels: xr.DataArray, mask: xr.DataArray) -> DataCube:
    connection = driver.connect()
    data = connection.load_collection(driver.add_collection(pixels))
    return data.mask(connection.load_collection(driver.add_collection(mask, nodata=9)))


def test_no_data_of_a_mask_masks(driver: Driver, pixels: xr.DataArray, tmp_path: Path) -> None:
    mask = pixels.isel(bands=[0]) * 0
    mask[:, :, 1, 1], mask[:, :, 2, 2] = 9, 1
    result = driver.sync(masking(driver, pixels, mask), tmp_path)
    assert np.argwhere(np.isnan(result.values[0, 2])).tolist() == [[1, 1], [2, 2]]
    kept = ~np.isnan(result.values)
    np.testing.assert_array_equal(result.values[kept], pixels.values[kept])


def test_band_of_a_mask_masks_its_own_band_if_there_are_as_many(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    mask = pixels * 0
    mask[:, 1] = 1
    result = driver.sync(masking(driver, pixels, mask), tmp_path)
    assert np.isnan(result.values).all(axis=(0, 2, 3)).tolist() == [False, True, False]


def test_first_band_of_a_mask_masks_all_if_the_numbers_differ(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    mask = pixels.isel(bands=[0, 1]) * 0
    mask[:, 0] = 1
    result = driver.sync(masking(driver, pixels, mask), tmp_path)
    assert np.isnan(result.values).all()


def test_mask_may_have_neither_bands_nor_dates(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    connection = driver.connect()
    data = connection.load_collection(driver.add_collection(pixels))
    mask = data.reduce_dimension("bands", "first").reduce_dimension("t", "first")
    high = mask.apply(lambda x: x > 100)
    result = driver.sync(data.mask(high, replacement=7), tmp_path)
    expected = np.where(pixels.values[0, 0] > 100, 7, pixels.values)
    np.testing.assert_array_equal(result.values, expected)


def test_resample_spatial_takes_the_pixel_at_the_new_centre(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    result = driver.sync(driver.load(pixels).resample_spatial(resolution=20), tmp_path)
    np.testing.assert_array_equal(result.values, pixels.values[:, :, 1::2, 1::2])
    assert np.diff(result["x"].values[:2]) == 20


def test_resample_spatial_averages_valid_pixels(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    holed = pixels.copy()
    holed[:, :, 0, 0] = 0
    cube = driver.load(holed).resample_spatial(resolution=20, method="average")
    result = driver.sync(cube, tmp_path)
    valid = pixels.where(holed > 0)
    expected = valid.coarsen(y=2, x=2).mean()
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-6)


def test_resample_cube_spatial_brings_20_m_back_to_10_m(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    cube = driver.load(pixels)
    back = cube.resample_spatial(resolution=20).resample_cube_spatial(cube)
    result = driver.sync(back, tmp_path)
    expected = pixels.values[:, :, 1::2, 1::2].repeat(2, -1).repeat(2, -2)
    np.testing.assert_array_equal(result.values, expected)


def test_rename_labels_renames_bands(driver: Driver, pixels: xr.DataArray, tmp_path: Path) -> None:
    cube = driver.load(pixels).rename_labels("bands", target=["a", "b", "c"])
    assert list(driver.sync(cube, tmp_path)["bands"].values) == ["a", "b", "c"]


def test_batch_job_writes_a_geotiff_for_each_date(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    job = driver.load(pixels).create_job(out_format="GTiff")
    finish(job)
    files = job.get_results().download_files(tmp_path, include_stac_metadata=False)
    names = sorted(path.name for path in files)
    assert names == ["openEO_2024-06-01Z.tif", "openEO_2024-06-04Z.tif"]
    with rasterio.open(tmp_path / names[1]) as file:
        np.testing.assert_array_equal(file.read(), pixels.values[1])
        assert (file.crs.to_epsg(), file.descriptions) == (EPSG, ("B02", "B03", "B04"))


def test_synchronous_geotiff_holds_a_single_date(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    with pytest.raises(OpenEoApiError, match="a GeoTIFF holds a single date"):
        driver.load(pixels).download(tmp_path / "out.tif", format="GTiff")


def process(driver: Driver, pixels: xr.DataArray, context: Any) -> dict[str, Any]:
    """Define a process with a parameter `amount`, 3 if it is not given."""
    connection = driver.connect()
    cube = connection.load_collection(driver.add_collection(pixels))
    graph = neighborhood(cube, ADD, 16, context=context).flat_graph()
    return {
        "id": "add_amount",
        "parameters": [
            {
                "name": "amount",
                "description": "To add.",
                "schema": {"type": "number"},
                "optional": True,
                "default": 3,
            }
        ],
        "process_graph": graph,
    }


@pytest.mark.parametrize(("arguments", "added"), [({}, 3), ({"amount": 8}, 8)])
def test_parameter_of_a_stored_process_reaches_the_context(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, arguments: dict[str, Any], added: int
) -> None:
    made = process(driver, pixels, {"amount": {"from_parameter": "amount"}})
    connection = driver.connect()
    connection.save_user_defined_process(
        "add_amount", made["process_graph"], parameters=made["parameters"]
    )
    cube = connection.datacube_from_process("add_amount", **arguments)
    np.testing.assert_array_equal(driver.sync(cube, tmp_path).values, pixels.values + added)


@pytest.mark.parametrize("batch", [False, True])
def test_process_may_be_published_at_an_address(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, site: Site, *, batch: bool
) -> None:
    url = site.publish(process(driver, pixels, {"amount": {"from_parameter": "amount"}}))
    cube = driver.connect().datacube_from_process("add_amount", namespace=url, amount=4)
    result = (driver.batch if batch else driver.sync)(cube, tmp_path)
    np.testing.assert_array_equal(result.values, pixels.values + 4)


def test_options_of_a_published_process_set_its_workers_up(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, site: Site
) -> None:
    published = process(driver, pixels, {"amount": 1}) | {
        "default_job_options": {"python-memory": "nonsense"}
    }
    cube = driver.connect().datacube_from_process("add_amount", namespace=site.publish(published))
    assert "'nonsense' is not an amount of memory" in driver.failure(cube, tmp_path)


def test_job_can_be_run_twice(driver: Driver, pixels: xr.DataArray, tmp_path: Path) -> None:
    cube = neighborhood(driver.load(pixels), ADD, 16, context={"amount": 1})
    jobs = [driver.run(cube, tmp_path / str(i)) for i in range(2)]
    assert [job.status() for job in jobs] == ["finished"] * 2
    first, second = (read(tmp_path / str(i) / "openEO.nc") for i in range(2))
    np.testing.assert_array_equal(first.values, second.values)
