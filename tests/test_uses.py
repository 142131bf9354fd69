from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cloudmask import clear_share, cloud_free, composite, only_clear, valid_share
from cloudmask.cube import mask_clouds
from cloudmask.errors import CubeError, OptionError
from cloudmask.options import Options
from cloudmask.testing import brightest_band

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES = np.array(
    [
        [[0, 0, 1, 255], [0, 2, 3, 255]],
        [[0, 0, 0, 0], [0, 0, 0, 0]],
        [[255, 255, 255, 255], [255, 255, 255, 255]],
    ],
    np.uint8,
)
"""(t, y, x): three hidden and two absent of eight; all clear; nothing."""
DATES = np.array(["2024-06-01", "2024-06-06", "2024-06-11"], "datetime64[ns]")
PLACE = {"y": [30.0, 20.0], "x": [5.0, 15.0, 25.0, 35.0]}


def make_mask(codes: Any = CODES) -> xr.DataArray:
    """Make what mask_clouds gives, of class codes (t, y, x)."""
    both = np.stack([(codes != 0).astype(np.uint8), codes], axis=1)
    coords = {"t": DATES[: len(codes)], "bands": ["mask", "class"], **PLACE}
    return xr.DataArray(both, coords, ("t", "bands", "y", "x"))


def make_cube(dtype: str = "float32") -> xr.DataArray:
    values = np.arange(3 * 2 * 2 * 4).reshape(3, 2, 2, 4).astype(dtype)
    coords = {"t": DATES, "bands": ["B04", "B08"], **PLACE}
    return xr.DataArray(values, coords, ("t", "bands", "y", "x"), attrs={"crs": "EPSG:32633"})


def hidden(cube: xr.DataArray) -> Any:
    return np.isnan(cube.transpose("t", "bands", "y", "x").values)


# -- cloud_free -----------------------------------------------------------------------------


def test_clouds_shadows_and_no_data_become_nan_and_nothing_else_changes() -> None:
    cube = make_cube()
    free = cloud_free(cube, make_mask())
    gone = np.broadcast_to((CODES != 0)[:, None], cube.shape)
    np.testing.assert_array_equal(hidden(free), gone)
    np.testing.assert_array_equal(free.values[~gone], cube.values[~gone])


def test_a_cube_without_clouds_keeps_its_dimensions_coordinates_and_attributes() -> None:
    cube = make_cube()
    free = cloud_free(cube.transpose("x", "bands", "t", "y"), make_mask())
    assert free.dims == ("x", "bands", "t", "y")
    assert free.attrs == cube.attrs
    assert set(free.coords) == set(cube.coords)


@pytest.mark.parametrize("masked", [(1,), (1, 2), (3,), ()])
def test_only_the_classes_that_are_named_are_hidden(masked: tuple[int, ...]) -> None:
    free = cloud_free(make_cube(), make_mask(), masked=masked)
    expected = np.isin(CODES, (*masked, 255))
    np.testing.assert_array_equal(hidden(free)[:, 0], expected)


def test_by_default_what_the_mask_was_told_to_hide_is_hidden() -> None:
    mask = make_mask()
    mask[:, 0] = mask[:, 1] == 3
    np.testing.assert_array_equal(hidden(cloud_free(make_cube(), mask))[:, 1], CODES == 3)


def test_whole_numbers_stay_such_with_a_fill_of_their_own() -> None:
    free = cloud_free(make_cube("uint16"), make_mask(), fill=65535)
    assert free.dtype == np.uint16
    np.testing.assert_array_equal(free.values[:, 0] == 65535, CODES != 0)


def test_a_mask_does_for_a_dataset_of_bands_under_other_names_of_dimensions() -> None:
    cube = make_cube().to_dataset("bands").rename(t="time", y="latitude", x="longitude")
    free = cloud_free(cube, make_mask())
    np.testing.assert_array_equal(np.isnan(free["B08"]), CODES != 0)


@pytest.mark.parametrize("label", ["mask", "class"])
def test_one_band_of_the_mask_is_enough(label: str) -> None:
    mask = make_mask().sel(bands=label)
    np.testing.assert_array_equal(hidden(cloud_free(make_cube(), mask))[:, 0], CODES != 0)


def test_class_codes_alone_are_enough_and_nan_is_no_data() -> None:
    codes = make_mask().sel(bands="class", drop=True).astype("float32")
    for mask in (codes, codes.where(codes != 255), codes.expand_dims(band=[1])):
        np.testing.assert_array_equal(hidden(cloud_free(make_cube(), mask))[:, 0], CODES != 0)


def test_where_there_is_no_mask_nothing_is_usable() -> None:
    mask = make_mask().sel(bands="mask").astype("float32")
    free = cloud_free(make_cube(), mask.where(mask.x > 5))
    assert hidden(free)[..., 0].all()


def test_coordinates_that_are_absent_or_inexact_are_no_matter() -> None:
    expected = cloud_free(make_cube(), make_mask())
    nudged = make_mask().assign_coords(x=np.array(PLACE["x"]) + 0.4)
    for mask in (make_mask().drop_vars(["t", "y", "x"]), nudged):
        xr.testing.assert_identical(cloud_free(make_cube(), mask), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": slice(3)}, "differ in x: 3 and 4"),
        ({"y": [1, 0]}, "differ in y: 20.0 to 30.0 and 30.0 to 20.0"),
        ({"t": [0, 2, 1]}, "differ in t: 2024-06-01.*resample or select"),
    ],
)
def test_a_mask_of_other_pixels_or_dates_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CubeError, match=words):
        cloud_free(make_cube(), make_mask().isel(change))


def test_a_mask_with_time_does_not_fit_a_cube_without() -> None:
    with pytest.raises(CubeError, match="dimension t is missing; there are bands, y, x"):
        cloud_free(make_cube()[0], make_mask())


def test_a_mask_without_time_does_for_every_date() -> None:
    free = cloud_free(make_cube(), make_mask()[0])
    expected = np.broadcast_to((CODES[0] != 0)[None, None], free.shape)
    np.testing.assert_array_equal(hidden(free), expected)


def test_other_classes_than_those_that_can_be_hidden_are_refused() -> None:
    with pytest.raises(OptionError, match="masked"):
        cloud_free(make_cube(), make_mask(), masked=(0, 1))


@pytest.mark.parametrize("use", [clear_share, valid_share])
def test_shares_cannot_be_told_without_classes(use: Any) -> None:
    only = make_mask().sel(bands=["mask"])
    with pytest.raises(CubeError, match="'class' is needed to tell cloud from no data"):
        use(only)


def test_what_is_no_mask_is_refused() -> None:
    with pytest.raises(CubeError, match="mask is a ndarray: give the DataArray of mask_clouds"):
        cloud_free(make_cube(), CODES)  # type: ignore[arg-type]


# -- shares ---------------------------------------------------------------------------------


def test_the_clear_share_counts_valid_pixels_and_is_nan_where_there_are_none() -> None:
    share = clear_share(make_mask())
    np.testing.assert_allclose(share, [3 / 6, 1, np.nan])
    assert (share.t.values == DATES).all()


def test_the_clear_share_counts_the_classes_that_are_named() -> None:
    np.testing.assert_allclose(clear_share(make_mask(), masked=(1,)), [5 / 6, 1, np.nan])


def test_the_valid_share_counts_all_pixels() -> None:
    np.testing.assert_allclose(valid_share(make_mask()), [6 / 8, 1, 0])


def test_shares_go_along_any_dimensions_by_any_of_their_names() -> None:
    mask = make_mask().rename(t="time", y="lat", x="lon")
    assert clear_share(mask).dims == ("time",)
    by_pixel = clear_share(mask, ["t"])
    assert by_pixel.dims == ("lat", "lon")
    np.testing.assert_allclose(by_pixel, [[1, 1, 0.5, 1], [1, 0.5, 0.5, 1]])


def test_a_dimension_that_is_not_there_is_named() -> None:
    with pytest.raises(CubeError, match="dimension z is missing; there are t, bands, y, x"):
        clear_share(make_mask(), ["z"])


# -- composite ------------------------------------------------------------------------------


@given(
    codes=st.lists(st.sampled_from([0, 1, 3, 255]), min_size=5, max_size=5),
    values=st.lists(st.floats(-10, 10, width=32), min_size=5, max_size=5),
)
def test_a_composite_is_the_median_of_what_is_clear(codes: list[int], values: list[float]) -> None:
    cube = xr.DataArray(np.array(values, np.float32)[:, None, None], dims=("t", "y", "x"))
    mask = xr.DataArray(np.array(codes, np.uint8)[:, None, None], dims=("t", "y", "x"))
    best = composite(cube, mask)
    clear = [value for value, code in zip(values, codes, strict=True) if code == 0]
    assert best.observations.item() == len(clear)
    expected = np.median(np.array(clear, np.float32)) if clear else np.nan
    np.testing.assert_allclose(best.item(), expected, rtol=1e-6)


def test_a_composite_knows_of_how_many_observations_each_pixel_is_made() -> None:
    best = composite(make_cube(), make_mask())
    assert best.dims == ("bands", "y", "x")
    np.testing.assert_array_equal(best.observations, (CODES == 0).sum(axis=0))
    assert best.attrs == make_cube().attrs


def test_a_pixel_that_is_never_clear_is_nan_without_a_warning() -> None:
    mask = make_mask(CODES | np.uint8(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best = composite(make_cube(), mask)
    assert np.isnan(best).all()
    assert (best.observations == 0).all()


def test_a_dataset_gets_a_composite_of_each_band() -> None:
    cube = make_cube()
    made = composite(cube.to_dataset("bands").rename(t="time"), make_mask())
    expected = composite(cube, make_mask())
    np.testing.assert_array_equal(made["B08"], expected.sel(bands="B08"))
    np.testing.assert_array_equal(made.observations, expected.observations)


def test_a_composite_of_no_date_is_refused() -> None:
    none = slice(0)
    with pytest.raises(CubeError, match="no date along t"):
        composite(make_cube()[none], make_mask()[none])


# -- dates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("least", "kept"), [(0.5, [0, 1]), (0.51, [1]), (0, [0, 1])])
def test_dates_that_are_clear_enough_are_kept(least: float, kept: list[int]) -> None:
    cube = make_cube()
    xr.testing.assert_identical(only_clear(cube, make_mask(), least), cube.isel(t=kept))


def test_dates_of_which_little_is_there_can_be_left_out() -> None:
    kept = only_clear(make_cube(), make_mask(), 0.5, least_valid=0.8)
    assert kept.t.values.tolist() == DATES[[1]].tolist()


def test_dates_are_chosen_by_the_classes_that_are_named() -> None:
    assert only_clear(make_cube(), make_mask(), 0.8, masked=(1,)).sizes["t"] == 2


# -- dask -----------------------------------------------------------------------------------


@pytest.fixture
def no_computing() -> Iterator[None]:
    dask = pytest.importorskip("dask", reason="dask is not installed")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        yield


@pytest.mark.usefixtures("no_computing")
def test_uses_of_a_lazy_mask_are_lazy() -> None:
    cube, mask = make_cube().chunk(t=1), make_mask().chunk(t=1)
    for made in (cloud_free(cube, mask), clear_share(mask), valid_share(mask)):
        assert made.chunks is not None
    best = composite(cube, mask)
    assert best.chunks is not None
    assert best.observations.chunks is not None


def test_lazy_uses_give_the_same() -> None:
    cube, mask = make_cube(), make_mask()
    lazy, lazy_mask = cube.chunk(t=1, x=2), mask.chunk(t=1, y=1)
    xr.testing.assert_identical(cloud_free(lazy, lazy_mask).compute(), cloud_free(cube, mask))
    xr.testing.assert_identical(composite(lazy, lazy_mask).compute(), composite(cube, mask))
    xr.testing.assert_identical(clear_share(lazy_mask).compute(), clear_share(mask))


def test_choosing_dates_computes_shares_and_not_the_cube() -> None:
    da = pytest.importorskip("dask.array", reason="dask is not installed")

    def refuse(_: Any) -> Any:
        raise AssertionError("the cube was computed")

    cube = make_cube()
    data = da.from_array(cube.values).map_blocks(refuse, dtype="float32", meta=cube.values[:0])
    lazy = cube.copy(data=data)
    assert only_clear(lazy, make_mask().chunk(t=1), 0.9).sizes["t"] == 1


def test_the_mask_of_a_series_is_used_as_it_is_given() -> None:
    numbers = np.random.default_rng(3).uniform(0.05, 0.6, (3, 4, 40, 40)).astype(np.float32)
    bands = ["B02", "B03", "B04", "B08"]
    cube = xr.DataArray(numbers, {"bands": bands, "t": DATES}, ("t", "bands", "y", "x"))
    mask = mask_clouds(
        cube.chunk(t=1), brightest_band(), preset="reflectance", options=Options(chunk=16)
    )
    best = composite(cube.chunk(t=1), mask)
    clear = numbers.argmax(axis=1) == 0
    expected = np.ma.median(np.ma.array(numbers, mask=~clear[:, None].repeat(4, 1)), axis=0)
    np.testing.assert_allclose(best, expected.filled(np.nan), rtol=1e-6)
