from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import openeo
import pytest
from driver_client import NORTH, STEP, WEST, extent, neighborhood
from openeo.rest import OpenEoApiError

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from driver_client import Driver


def udf(body: str, extra: str = "") -> str:
    """Write a UDF around some lines; `cube`, `context`, `np`, `xr` and `inspect` are there."""
    head = "import numpy as np\nimport xarray as xr\nfrom openeo.udf import inspect\n"
    start = "def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:\n"
    return head + extra + start + textwrap.indent(textwrap.dedent(body), "    ")


SAME = udf("return cube")
TELL = "inspect(data={}, message='chunk')\nreturn cube"


def as_float(pixels: xr.DataArray) -> np.ndarray[Any, np.dtype[np.float32]]:
    return pixels.values.astype(np.float32)


def test_chunk_is_size_plus_overlap_on_both_sides(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("[cube.dims, cube.shape]"))
    told = driver.inspected(neighborhood(driver.load(pixels), code, (8, 12), (2, 3)), tmp_path)
    assert told == [[["t", "bands", "y", "x"], [2, 3, 8 + 4, 12 + 6]]] * 9


@pytest.mark.parametrize("t", [None, "P1D"])
def test_udf_that_returns_its_chunk_returns_the_cube(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, t: str | None
) -> None:
    result = driver.sync(neighborhood(driver.load(pixels), SAME, 8, 3, t=t), tmp_path)
    np.testing.assert_array_equal(result.values, as_float(pixels))
    np.testing.assert_array_equal(result["t"].values, pixels["t"].values)
    assert list(result["bands"].values) == ["B02", "B03", "B04"]


def test_borders_are_nan_even_where_the_collection_has_pixels(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    inner = extent(slice(4, 12), slice(8, 16))
    code = udf(TELL.format("np.isnan(cube.values[0, 0]).tolist()"))
    cube = driver.load(pixels, spatial_extent=inner)
    (empty,) = driver.inspected(neighborhood(cube, code, 8, 2), tmp_path)
    expected = np.pad(np.zeros((8, 8), bool), 2, constant_values=True)
    np.testing.assert_array_equal(empty, expected)


def test_last_chunk_is_padded_with_nan_to_full_size(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("int(np.isnan(cube.values[0, 0]).sum())"))
    told = driver.inspected(neighborhood(driver.load(pixels), code, 16), tmp_path)
    assert told == [0, 16 * 4, 12 * 16, 16 * 16 - 4 * 12]


def test_overlap_is_ignored_when_one_axis_has_none(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("cube.shape"))
    told = driver.inspected(neighborhood(driver.load(pixels), code, 32, (8, 0)), tmp_path)
    assert told == [[2, 3, 32, 32]]


def test_overlap_larger_than_size_is_refused(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    with pytest.raises(OpenEoApiError, match=r"overlap \(9, 9\) px is larger than the size"):
        driver.sync(neighborhood(driver.load(pixels), SAME, 8, 9), tmp_path)


def test_callback_other_than_a_single_udf_is_refused(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    cube = driver.load(pixels).apply_neighborhood(
        lambda data: data.max(),
        size=[{"dimension": d, "value": 8, "unit": "px"} for d in "xy"],
        overlap=[],
    )
    with pytest.raises(OpenEoApiError, match="only a callback of a single run_udf"):
        driver.sync(cube, tmp_path)


def test_single_date_comes_without_t_but_with_its_date_as_attribute(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("[cube.dims, str(cube.attrs['t'])]"))
    told = driver.inspected(neighborhood(driver.load(pixels), code, 32, t="P1D"), tmp_path)
    assert told == [
        [["bands", "y", "x"], "2024-06-01 10:20:31"],
        [["bands", "y", "x"], "2024-06-04 10:20:29"],
    ]


def test_cube_without_t_comes_as_a_single_date(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("[cube.dims, sorted(cube.attrs)]"))
    flat = pixels.isel(t=0, drop=True)
    told = driver.inspected(neighborhood(driver.load(flat), code, 32), tmp_path)
    assert told == [[["bands", "y", "x"], []]]


def test_coordinates_are_float32_pixel_centres_with_y_falling(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf(TELL.format("[str(cube.x.dtype), str(cube.y.dtype), cube.x.values.tolist(), "
                           "cube.y.values.tolist()]"))  # fmt: skip
    told = driver.inspected(neighborhood(driver.load(pixels), code, 32, 2), tmp_path)
    index = np.arange(-2, 34) + 0.5
    x, y = (WEST + STEP * index).astype("f4"), (NORTH - STEP * index).astype("f4")
    assert told == [["float32", "float32", x.tolist(), y.tolist()]]


def test_no_data_of_the_collection_is_nan_in_a_float32_chunk(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    holed = pixels.copy()
    holed[:, :, 5, 6] = 0
    code = udf(TELL.format("[str(cube.dtype), type(cube.data).__name__, "
                           "np.argwhere(np.isnan(cube.values[0, 0])).tolist()]"))  # fmt: skip
    told = driver.inspected(neighborhood(driver.load(holed), code, (20, 28)), tmp_path)
    assert told == [["float32", "ndarray", [[5, 6]]]]


def test_result_of_all_dates_is_transposed_by_name(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf("return cube.transpose('x', 'bands', 't', 'y')")
    result = driver.sync(neighborhood(driver.load(pixels), code, 8, 2), tmp_path)
    np.testing.assert_array_equal(result.values, as_float(pixels))


def test_result_of_a_single_date_is_taken_as_it_lies(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf("return cube.transpose('bands', 'x', 'y')")
    square = pixels.isel(x=slice(16), y=slice(16))
    result = driver.sync(neighborhood(driver.load(square), code, 16, t="P1D"), tmp_path)
    np.testing.assert_array_equal(result.values, as_float(square).swapaxes(-1, -2))


def test_result_of_all_dates_needs_bands(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf("return cube.isel(bands=0, drop=True)")
    message = driver.failure(neighborhood(driver.load(pixels), code, 32), tmp_path)
    assert "bands" in message


@pytest.mark.parametrize("t", [None, "P1D"])
def test_result_becomes_float32(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, t: str | None
) -> None:
    code = udf("return cube.astype('float64') / 3")
    result = driver.sync(neighborhood(driver.load(pixels), code, 32, t=t), tmp_path)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result.values, (pixels.values / 3).astype(np.float32))


def test_result_without_t_is_dated_2020_when_all_dates_were_given(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf("return cube.max('t')")
    result = driver.sync(neighborhood(driver.load(pixels), code, 32), tmp_path)
    assert list(result["t"].values) == [np.datetime64("2020-01-01")]


def test_result_of_another_size_is_an_error(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = udf("return cube.isel(x=slice(1, None))")
    message = driver.failure(neighborhood(driver.load(pixels), code, 32), tmp_path)
    assert "of a chunk of (32, 32)" in message


@pytest.mark.parametrize("process", ["apply", "apply_dimension", "reduce_dimension"])
def test_other_processes_give_tiles_of_256_pixels_without_overlap(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, process: str
) -> None:
    cube = driver.load(pixels.isel(x=np.arange(300) % 28))
    callback = openeo.UDF(udf(TELL.format("cube.shape")), runtime="Python")
    result = {
        "apply": lambda: cube.apply(callback),
        "apply_dimension": lambda: cube.apply_dimension(process=callback, dimension="bands"),
        "reduce_dimension": lambda: cube.reduce_dimension("bands", callback),
    }[process]()
    assert driver.inspected(result, tmp_path) == [[3, 256, 256]] * 4
