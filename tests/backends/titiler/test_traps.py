"""Where titiler-openeo differs from other back-ends, a test for each trap."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from openeo.rest import OpenEoApiError
from openeo.rest._datacube import UDF

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from openeo.rest.datacube import DataCube

    Titiler = Any

BANDS = ("B02", "B03", "B04", "B08")
TEXT = resources.files("cloudmask").joinpath("udf.py").read_text()

BARE = """
import xarray as xr


def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
"""

SEEN = (
    BARE
    + """
    raise ValueError(f"{dict(cube.sizes)} {list(cube.bands.values)} {cube.dtype} {context}")
"""
)
"""Tells in its error what it was given."""

FUSSY = (
    BARE
    + """
    if str(cube.attrs["t"])[:10] != "2024-06-11":
        raise ValueError("not asked for")
    return cube
"""
)

MEAN = """
import numpy as np
import xarray as xr
from scipy.ndimage import uniform_filter


def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
    axes = (cube.dims.index("y"), cube.dims.index("x"))
    mean = uniform_filter(cube.fillna(0), context["width"], axes=axes, mode="constant")
    return cube.copy(data=mean).isel(bands=[0, 1]).assign_coords(bands=["mean", "second"])
"""


def neighbourhoods(
    cube: DataCube,
    text: str,
    context: dict[str, Any],
    *,
    each_date: bool = False,
    outer: dict[str, Any] | None = None,
) -> DataCube:
    """Run a UDF on chunks of 64 x 64 pixels and 8 beyond."""
    size = [{"dimension": axis, "value": 64, "unit": "px"} for axis in "xy"]
    size += [{"dimension": "t", "value": "P1D"}] if each_date else []
    overlap = [{"dimension": axis, "value": 8, "unit": "px"} for axis in "xy"]
    udf = UDF(text, runtime="Python", context=context)
    return cube.apply_neighborhood(udf, size=size, overlap=overlap, context=outer)


def store(titiler: Titiler, cube: DataCube, parameter: str) -> Callable[..., DataCube]:
    """Store a graph as a process with one parameter; the client forgets the id titiler wants."""
    connection = titiler.connect()
    told = {"name": parameter, "description": "of a test", "schema": {}}
    process = {"id": "masking", "process_graph": cube.flat_graph(), "parameters": [told]}
    connection.put("/process_graphs/masking", json=process)
    return partial(connection.datacube_from_process, "masking")


def reflectance(numbers: xr.DataArray) -> NDArray[np.float32]:
    """What titiler makes of numbers with scale 0.0001."""
    return (numbers.values * 1e-4).astype(np.float32)


def mean_by_hand(numbers: xr.DataArray, width: int) -> NDArray[np.float32]:
    """The mean of a square of pixels, 0 beyond the edge; by sums of shifted copies."""
    half = width // 2
    layer = np.pad(reflectance(numbers).astype(np.float64), ((0, 0), (half, half), (half, half)))
    height, columns = numbers.sizes["y"], numbers.sizes["x"]
    shifts = [(dy, dx) for dy in range(width) for dx in range(width)]
    total = sum(layer[:, dy : dy + height, dx : dx + columns] for dy, dx in shifts)
    return np.asarray(total / width**2, np.float32)


def test_a_chunk_has_size_and_overlap_titilers_labels_and_reflectance(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    cube = neighbourhoods(titiler.load(titiler.put(numbers)), SEEN, {})
    seen = (
        r"\{'t': 1, 'bands': 4, 'y': 80, 'x': 80\} "
        r"\[.*'B02_b1'.*'B03_b1'.*'B04_b1'.*'B08_b1'.*\] float32"
    )
    with pytest.raises(OpenEoApiError, match=seen):
        titiler.download(cube)


def test_one_date_a_chunk_has_no_time(titiler: Titiler, numbers: xr.DataArray) -> None:
    cube = neighbourhoods(titiler.load(titiler.put(numbers)), SEEN, {}, each_date=True)
    with pytest.raises(OpenEoApiError, match=r"\{'bands': 4, 'y': 80, 'x': 80\}"):
        titiler.download(cube)


@pytest.mark.parametrize("each_date", [True, False])
def test_neighbourhoods_leave_no_seams(
    titiler: Titiler, numbers: xr.DataArray, *, each_date: bool
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    got = titiler.download(neighbourhoods(loaded, MEAN, {"width": 17}, each_date=each_date))
    assert got.values.shape == (2, 150, 210)
    np.testing.assert_allclose(got.values, mean_by_hand(numbers, 17)[:2], atol=1e-6)


def test_the_answer_lies_where_the_scene_lies(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers))
    got = titiler.download(neighbourhoods(loaded, MEAN, {"width": 3}))
    assert got.crs == "EPSG:32632"
    assert tuple(got.transform)[:6] == (10, 0, 600_000, 0, -10, 5_200_000)


def test_every_date_has_its_own_answer(titiler: Titiler, numbers: xr.DataArray) -> None:
    """The engine remembers what a callback answered the first time."""
    dates = ("2024-06-01", "2024-06-11", "2024-06-21")
    stack = xr.concat([numbers, numbers // 2, numbers // 4], "t")
    scene = titiler.put(stack, dates=dates)
    for each_date in (True, False):
        masked = neighbourhoods(titiler.load(scene), MEAN, {"width": 1}, each_date=each_date)
        # titiler writes the first band of each date.
        got = titiler.download(masked).values
        want = np.stack([reflectance(stack.isel(t=step))[0] for step in range(3)])
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_only_the_dates_that_are_needed_are_run(titiler: Titiler, numbers: xr.DataArray) -> None:
    stack = xr.concat([numbers, numbers // 2 + 1, numbers // 4 + 1], "t")
    scene = titiler.put(stack, dates=("2024-06-01", "2024-06-11", "2024-06-21"))
    masked = neighbourhoods(titiler.load(scene), FUSSY, {}, each_date=True)
    got = titiler.download(masked.filter_temporal("2024-06-11", "2024-06-12"))
    np.testing.assert_array_equal(got.values, reflectance(stack.isel(t=1)))
    with pytest.raises(OpenEoApiError, match="not asked for"):
        titiler.download(masked)


def test_parameters_of_a_stored_process_reach_a_udf_as_context(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    """Titiler fills arguments of the stored graph's own nodes, nothing inside callbacks."""
    loaded = titiler.load(titiler.put(numbers))
    context = {"from_parameter": "settings"}
    masked = neighbourhoods(loaded, MEAN, {"from_parameter": "context"}, outer=context)
    stored = store(titiler, masked, "settings")
    got = titiler.download(stored(settings={"width": 5}))
    np.testing.assert_allclose(got.values, mean_by_hand(numbers, 5)[:2], atol=1e-6)


def test_a_parameter_that_titiler_leaves_open_is_no_value_for_a_udf(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    masked = neighbourhoods(loaded, MEAN, {"width": {"from_parameter": "width"}})
    stored = store(titiler, masked, "width")
    with pytest.raises(OpenEoApiError, match="the parameter width has no value"):
        titiler.download(stored(width=5))


def test_parameters_of_a_request_are_filled_in_anywhere(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    masked = neighbourhoods(loaded, SEEN, {"width": [{"from_parameter": "width"}]})
    told = {"name": "width", "description": "of a square", "schema": {}, "default": 5}
    process = {"process_graph": masked.save_result("GTiff").flat_graph(), "parameters": [told]}
    connection = titiler.connect()
    with pytest.raises(OpenEoApiError, match=r"\{'width': \[5\]\}"):
        connection.post("/result", json={"process": process})


def test_the_client_is_told_that_bands_are_called_spectral(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    cube = titiler.load(titiler.put(numbers))
    assert cube.metadata.band_dimension.name == "spectral"
    assert cube.metadata.band_names == list(BANDS)


def test_numbers_are_reflectance_already(titiler: Titiler, numbers: xr.DataArray) -> None:
    got = titiler.download(titiler.load(titiler.put(numbers)))
    assert got.values.dtype == np.float32
    np.testing.assert_array_equal(got.values, reflectance(numbers))


def test_without_a_scale_in_the_catalogue_they_are_not(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    got = titiler.download(titiler.load(titiler.put(numbers, scale=1)))
    np.testing.assert_array_equal(got.values, numbers.values)


def test_the_default_grid_is_not_the_scenes(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers), native=False)
    assert titiler.download(loaded).values.shape == (4, 1024, 1024)


def test_masked_pixels_reach_a_udf_as_nan(titiler: Titiler, numbers: xr.DataArray) -> None:
    holed = numbers.copy()
    holed[:, 20:40, 50:90] = 0
    text = BARE + "    return cube.isnull().astype('float32')\n"
    loaded = titiler.load(titiler.put(holed))
    got = titiler.download(neighbourhoods(loaded, text, {}))
    np.testing.assert_array_equal(got.values, holed.values == 0)


def test_a_udf_sees_where_its_pixels_lie(titiler: Titiler, numbers: xr.DataArray) -> None:
    text = BARE + "    return cube.isel(bands=[0, 1]) * 0 + xr.concat([cube.y, cube.x], 'bands')\n"
    loaded = titiler.load(titiler.put(numbers))
    north, east = titiler.download(neighbourhoods(loaded, text, {})).values
    np.testing.assert_array_equal(north[:, 0], 5_199_995 - 10 * np.arange(150))
    np.testing.assert_array_equal(east[0], 600_005 + 10 * np.arange(210))


def test_what_a_udf_answers_as_nan_is_masked(titiler: Titiler, numbers: xr.DataArray) -> None:
    text = BARE + "    return cube.where(cube > 0.5)\n"
    loaded = titiler.load(titiler.put(numbers))
    filled = neighbourhoods(loaded, text, {}).reduce_dimension("spectral", "max")
    got = titiler.download(filled).values
    brightest = reflectance(numbers).max(axis=0)
    np.testing.assert_array_equal(got[0], np.where(brightest > 0.5, brightest, np.nan))


def test_a_process_without_a_udf_is_refused(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers))
    size = [{"dimension": axis, "value": 64, "unit": "px"} for axis in "xy"]
    cube = loaded.apply_neighborhood(lambda data: data.mean(), size=size, overlap=[])
    with pytest.raises(OpenEoApiError, match="has no run_udf"):
        titiler.download(cube)


def test_a_udf_on_bare_arrays_is_refused(titiler: Titiler, numbers: xr.DataArray) -> None:
    loaded = titiler.load(titiler.put(numbers))
    with pytest.raises(OpenEoApiError, match="use apply_neighborhood"):
        titiler.download(loaded.apply(UDF(MEAN, runtime="Python")))


def test_an_overlap_larger_than_the_size_is_refused(
    titiler: Titiler, numbers: xr.DataArray
) -> None:
    loaded = titiler.load(titiler.put(numbers))
    size = [{"dimension": axis, "value": 16, "unit": "px"} for axis in "xy"]
    overlap = [{"dimension": axis, "value": 17, "unit": "px"} for axis in "xy"]
    cube = loaded.apply_neighborhood(UDF(MEAN, runtime="Python"), size, overlap)
    with pytest.raises(OpenEoApiError, match="17 px with size 16 px"):
        titiler.download(cube)


def test_the_mask_process_takes_our_mask(titiler: Titiler, imagery: xr.DataArray) -> None:
    """Ours has the mask first and no no data; titiler keeps what no data would hide."""
    scene = imagery.sel(bands=list(BANDS)).isel(x=slice(128, 384), y=slice(0, 256)).copy()
    scene[:, :30, :30] = 0
    loaded = titiler.load(titiler.put(scene))
    context = {"preset": "reflectance", "tta": 0, "masked": ["cloud_shadow"]}
    whole = [{"dimension": axis, "value": 256, "unit": "px"} for axis in "xy"]
    udf = UDF(TEXT, runtime="Python", context=context)
    answer = loaded.apply_neighborhood(udf, size=whole, overlap=[])
    mask = answer.reduce_dimension("spectral", lambda data: data.array_element(index=0))
    hidden = titiler.download(mask).values[0] == 1
    assert hidden[:30, :30].all()
    assert 0.05 < hidden.mean() < 0.95
    got = titiler.download(loaded.mask(mask)).values
    np.testing.assert_array_equal(got, np.where(hidden, np.nan, reflectance(scene)))
