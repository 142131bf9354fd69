from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cloudmask import source
from cloudmask.augment import TTA
from cloudmask.bands import Preset
from cloudmask.classes import LAYOUT_BANDS, Output
from cloudmask.cube import extent, mask_clouds
from cloudmask.errors import BandError, CloudmaskError, CubeError, OptionError, PresetWarning
from cloudmask.options import Options
from cloudmask.testing import (
    FakeModel,
    blurred,
    brightest_band,
    constant,
    fake_spec,
    identity,
    of_tile_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cloudmask.windows import Stitch

BANDS = ["B02", "B03", "B04", "B08"]
STITCHES: list[Stitch] = ["crop", "blend"]
LAYOUTS = list(LAYOUT_BANDS)
FULL = Output(layout="probabilities")


def numbers(times: int = 1, shape: tuple[int, int] = (50, 40), seed: int = 6) -> NDArray[Any]:
    random = np.random.default_rng(seed).uniform(0.05, 0.6, (times, 4, *shape))
    return random.astype(np.float32)


def make_cube(times: int = 1, shape: tuple[int, int] = (50, 40), seed: int = 6) -> xr.DataArray:
    """Make a cube (t, bands, y, x) with coordinates that are awkward on purpose."""
    height, width = shape
    cube = xr.DataArray(
        numbers(times, shape, seed),
        dims=("t", "bands", "y", "x"),
        coords={
            "t": np.datetime64("2024-01-01T00", "ns") + np.arange(times) * np.timedelta64(1, "D"),
            "bands": BANDS,
            "y": np.linspace(5e6, 4.9e6, height, dtype=np.float32),
            "x": np.linspace(3e5, 4e5, width, dtype=np.float32),
            "spatial_ref": 0,
        },
        attrs={"grid_mapping": "spatial_ref"},
    )
    cube.spatial_ref.attrs["crs_wkt"] = "PROJCRS[...]"
    return cube


def with_holes(cube: xr.DataArray) -> xr.DataArray:
    """Take pixels away: a swath edge, an empty corner."""
    _, _, height, width = cube.transpose(..., "y", "x").shape
    y, x = np.mgrid[:height, :width]
    gone = xr.DataArray((x + y < 25) | ((y > height * 0.6) & (x > width * 0.7)), dims=("y", "x"))
    return cube.where(~gone)


def masked(cube: Any, model: FakeModel | None = None, **options: Any) -> xr.DataArray:
    """Mask a cube of reflectance with a network of faithful answers."""
    names = options.pop("bands", None)
    preset = options.pop("preset", "reflectance")
    model = model or brightest_band()
    options = {"pixel_size": 10.0, **options}
    return mask_clouds(cube, model, preset=preset, bands=names, options=Options(**options))


# -- one answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    tile=st.integers(1, 20),
    share=st.floats(0, 0.99),
)
def test_every_pixel_gets_the_class_of_its_own_spectrum(
    stitch: Stitch, shape: tuple[int, int], tile: int, share: float
) -> None:
    cube = make_cube(1, shape)
    overlap = int(share * tile) // 2 * 2
    answer = masked(cube, stitch=stitch, tile=tile, overlap=overlap)
    expected = cube.values.argmax(axis=1)
    np.testing.assert_array_equal(answer.sel(bands="class"), expected)


def test_the_default_answer_is_mask_and_class_as_uint8() -> None:
    answer = masked(make_cube())
    assert answer.dtype == np.uint8
    assert answer.bands.values.tolist() == ["mask", "class"]
    np.testing.assert_array_equal(answer.sel(bands="mask"), answer.sel(bands="class") != 0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lazy", [False, True])
def test_each_layout_has_its_bands_and_dtype(layout: str, *, lazy: bool) -> None:
    cube = make_cube().chunk() if lazy else make_cube()
    answer = masked(cube, output=Output(layout=layout))  # type: ignore[arg-type]
    assert tuple(answer.bands.values) == LAYOUT_BANDS[layout]
    assert answer.dtype == (np.uint8 if layout == "mask" else np.float32)
    assert answer.compute().dtype == answer.dtype


def test_a_network_of_three_classes_answers_with_their_codes() -> None:
    spec = fake_spec(classes=(0, 1, 3))
    model = FakeModel(lambda tiles: tiles[:, :3].copy(), spec)
    answer = masked(make_cube(), model, output=FULL)
    assert set(np.unique(answer.sel(bands="class"))) == {0, 1, 3}
    assert (answer.sel(bands="thin_cloud") == 0).all()


def test_probabilities_stand_under_the_names_of_their_classes() -> None:
    cube = make_cube()
    answer = masked(cube, identity(), output=FULL)
    names = ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
    for band, name in zip(BANDS, names, strict=True):
        np.testing.assert_array_equal(answer.sel(bands=name), cube.sel(bands=band))


# -- chunked equals whole -------------------------------------------------------------------

HARD_MODELS = [of_tile_mean, blurred]


@pytest.mark.parametrize("make", HARD_MODELS)
@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    chunks=st.tuples(st.integers(5, 80), st.integers(5, 80)),
    chunk=st.integers(1, 60),
    overlap=st.sampled_from([0, 4, 8]),
    depth=st.sampled_from([0, 2]),
)
def test_cropped_chunks_give_the_bytes_of_the_whole(
    make: Callable[[], FakeModel],
    shape: tuple[int, int],
    chunks: tuple[int, int],
    chunk: int,
    overlap: int,
    depth: int,
) -> None:
    cube = with_holes(make_cube(1, shape))
    how = {"output": FULL, "overlap": overlap, "tta": TTA(depth=depth)}
    whole = masked(cube, make(), **how)
    lazy = cube.chunk(y=chunks[0], x=chunks[1])
    chunked = masked(lazy, make(), chunk=chunk, **how).compute(scheduler="sync")
    np.testing.assert_array_equal(chunked, whole)


@pytest.mark.parametrize("make", HARD_MODELS)
@given(
    shape=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    chunk=st.integers(1, 60),
    overlap=st.sampled_from([0, 4, 8]),
)
def test_blended_chunks_give_the_numbers_of_the_whole(
    make: Callable[[], FakeModel], shape: tuple[int, int], chunk: int, overlap: int
) -> None:
    cube = with_holes(make_cube(1, shape))
    how = {"output": FULL, "overlap": overlap, "stitch": "blend"}
    whole = masked(cube, make(), **how)
    lazy = cube.chunk(y=30, x=30)
    chunked = masked(lazy, make(), chunk=chunk, **how).compute(scheduler="sync")
    np.testing.assert_array_equal(chunked, whole)


@given(bottom=st.integers(0, 60), right=st.integers(0, 60), lead=st.integers(0, 3))
def test_borders_of_nan_and_absent_borders_give_the_same_mask(
    bottom: int, right: int, lead: int
) -> None:
    cube = make_cube()
    front = lead * fake_spec().tiling().stride  # crop tiles never move: a whole stride
    padded = cube.pad(y=(front, bottom), x=(front, right), constant_values=np.nan)
    inner = padded.isel(y=slice(front, front + 50), x=slice(front, front + 40))
    np.testing.assert_array_equal(inner, cube)
    answer = masked(padded, of_tile_mean(), output=FULL)
    there = answer.isel(y=slice(front, front + 50), x=slice(front, front + 40))
    np.testing.assert_array_equal(there, masked(cube, of_tile_mean(), output=FULL))
    assert (answer.sel(bands="class") == 255).sum() == answer[0, 0].size - 50 * 40


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("metres", [10, 15, 50, 300])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_growing_across_chunks_is_growing_in_the_whole(
    stitch: Stitch, metres: float, layout: str
) -> None:
    cube = make_cube(1, (90, 70))
    cube = with_holes(cube * 0 + 0.01)
    cube[0, 0] = cube[0, 0] * 0 + 0.3
    cube[0, 1, [20, 47, 48], [30, 35, 36]] = 0.9
    cube[0, 3, 23, 33] = 0.9
    output = Output(layout=layout, dilate=metres * (layout != "cloud_detection"))  # type: ignore[arg-type]
    whole = masked(cube, output=output, stitch=stitch)
    chunked = masked(cube.chunk(y=24, x=24), output=output, stitch=stitch, chunk=24)
    np.testing.assert_array_equal(chunked, whole)
    if layout == "mask" and metres >= 50:
        plain = masked(cube)
        assert whole.sum() > plain.sum()


def test_a_dilation_larger_than_the_image_still_agrees() -> None:
    cube = make_cube(1, (30, 90))
    output = Output(dilate=5000)
    whole = masked(cube, output=output)
    np.testing.assert_array_equal(masked(cube.chunk(x=20), output=output, chunk=24), whole)


def test_empty_chunks_along_the_bands_are_no_matter() -> None:
    cube = make_cube().isel(bands=[2, 0, 3, 1])
    lazy = cube.chunk(bands=(0, 0, 0, 0, 4))  # selections leave such; dask cannot index them
    np.testing.assert_array_equal(masked(lazy), masked(cube))


def test_chunks_along_bands_and_time_are_no_matter() -> None:
    cube = make_cube(3)
    lazy = cube.chunk(t=2, bands=1, y=10, x=10)
    np.testing.assert_array_equal(masked(lazy), masked(cube))


# -- dask -----------------------------------------------------------------------------------


@pytest.fixture
def no_computing() -> Iterator[None]:
    dask = pytest.importorskip("dask", reason="dask is not installed")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was computed while the graph was built")

    with dask.config.set(scheduler=refuse):
        yield


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("metres", [0.0, 50.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_building_the_answer_of_a_dask_cube_computes_nothing(
    stitch: Stitch, metres: float, layout: str
) -> None:
    output = Output(layout=layout, dilate=metres * (layout != "cloud_detection"))  # type: ignore[arg-type]
    model = of_tile_mean()
    answer = masked(make_cube(2).chunk(y=16), model, stitch=stitch, output=output, chunk=24)
    assert answer.chunks is not None
    assert model.calls == 0


def test_computing_twice_gives_the_same() -> None:
    lazy = masked(make_cube(2).chunk(y=16), of_tile_mean(), output=FULL, chunk=24)
    np.testing.assert_array_equal(lazy.compute(), lazy.compute())


@pytest.mark.parametrize("stitch", STITCHES)
def test_no_task_sees_more_than_a_chunk_and_its_halo(
    stitch: Stitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    plain = source.ArraySource

    def watched(array: NDArray[np.generic]) -> Any:
        seen.append(array.shape[1:])
        return plain(array)

    monkeypatch.setattr("cloudmask.job.ArraySource", watched)
    masked(make_cube(1, (240, 300)).chunk(), stitch=stitch, chunk=48).compute(scheduler="sync")
    halo = 2 if stitch == "crop" else 16 + 2 * 4
    assert len(seen) > 10
    assert max(max(shape) for shape in seen) <= 48 + 2 * halo + (48 if stitch == "blend" else 16)


def test_several_schedulers_agree() -> None:
    lazy = masked(make_cube(2).chunk(y=16), of_tile_mean(), output=FULL, chunk=24)
    threads, sync = (lazy.compute(scheduler=name) for name in ("threads", "sync"))
    np.testing.assert_array_equal(threads, sync)


def test_two_calls_with_other_networks_are_not_confused() -> None:
    cube = make_cube().chunk(y=16)
    one, other = masked(cube, constant(1)), masked(cube, constant(3))
    both = xr.concat([one, other], "call").sel(bands="class").compute()
    assert np.unique(both[0]).tolist() == [1]
    assert np.unique(both[1]).tolist() == [3]


def test_a_dask_array_of_unknown_size_is_refused() -> None:
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    data = da.from_array(numbers()[0], chunks=(4, 10, 40))
    unknown = data[:, da.from_array(np.ones(50, bool), chunks=10)]
    cube = xr.DataArray(unknown, dims=("bands", "y", "x"), coords={"bands": BANDS})
    with pytest.raises(CubeError, match=r"unknown|compute_chunk_sizes"):
        masked(cube)


# -- no data --------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_cube_of_no_data_costs_no_call(*, lazy: bool, layout: str) -> None:
    cube = make_cube(2) * np.nan
    model = identity()
    answer = masked(
        cube.chunk(y=20) if lazy else cube,
        model,
        output=Output(layout=layout, dilate=30 * (layout != "cloud_detection")),  # type: ignore[arg-type]
    ).compute()
    assert model.calls == 0
    if layout != "cloud_detection":
        assert (answer.sel(bands="mask") == 1).all()
        assert (answer.sel(bands="class") == 255).all()
    else:
        assert np.isnan(answer).all()


@pytest.mark.parametrize("stitch", STITCHES)
def test_255_stands_exactly_where_a_band_is_missing(stitch: Stitch) -> None:
    cube = with_holes(make_cube(2))
    cube[0, 2, 30, 5] = np.nan
    cube[1, 1, 40, 3] = np.inf
    answer = masked(cube, of_tile_mean(), stitch=stitch)
    expected = ~np.isfinite(cube.values).all(axis=1)
    np.testing.assert_array_equal(answer.sel(bands="class") == 255, expected)
    assert (answer.sel(bands="mask").values[expected] == 1).all()


def test_bands_that_the_network_does_not_take_may_be_missing() -> None:
    extra = make_cube(1, seed=1).isel(bands=[0]).assign_coords(bands=["B09"]) * np.nan
    cube = xr.concat([extra, make_cube()], "bands")
    np.testing.assert_array_equal(masked(cube), masked(make_cube()))


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("garbage", [0, 1, 255, 60000])
def test_what_no_data_pixels_hold_changes_nothing(stitch: Stitch, garbage: int) -> None:
    cube = (make_cube() * 10000).astype("uint16")
    cube[0, 0, 20:35, :15] = 0
    spoilt = cube.copy()
    spoilt[0, 1:, 20:35, :15] = garbage
    answers = [masked(each, of_tile_mean(), stitch=stitch, preset="dn", output=FULL)
               for each in (cube, spoilt)]  # fmt: skip
    np.testing.assert_array_equal(answers[1], answers[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fill", [-3.4028234663852886e38, 1e30])
def test_a_huge_fill_value_is_no_data_and_raises_no_doubt(dtype: str, fill: float) -> None:
    cube = with_holes(make_cube())
    answer = masked(cube.fillna(fill).astype(dtype), of_tile_mean())
    np.testing.assert_array_equal(answer, masked(cube, of_tile_mean()))


def test_a_fill_value_beyond_float32_is_no_data() -> None:
    cube = with_holes(make_cube()).astype("float64")
    answer = masked(cube.fillna(-1.7976931348623157e308), of_tile_mean())
    np.testing.assert_array_equal(answer, masked(cube, of_tile_mean()))


# -- order, names, dimensions ---------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("order", list(permutations(("t", "bands", "y", "x")))[::3], ids="-".join)
def test_the_order_of_dimensions_is_kept_and_changes_nothing(
    order: tuple[str, ...], *, lazy: bool
) -> None:
    cube = make_cube(2)
    turned = cube.transpose(*order)
    answer = masked(turned.chunk(x=20) if lazy else turned, of_tile_mean(), output=FULL)
    assert answer.dims == order
    expected = masked(cube, of_tile_mean(), output=FULL)
    np.testing.assert_array_equal(answer.transpose(*expected.dims), expected)


@given(st.permutations(range(4)))
def test_the_order_of_bands_changes_nothing(order: list[int]) -> None:
    cube = make_cube(1, (20, 20))
    np.testing.assert_array_equal(masked(cube.isel(bands=order)), masked(cube))


@pytest.mark.parametrize(
    "names",
    [
        {"t": "time"},
        {"bands": "band"},
        {"bands": "spectral"},
        {"y": "latitude", "x": "longitude"},
        {"y": "lat", "x": "lon"},
        {"t": "time", "bands": "band", "y": "latitude", "x": "longitude"},
    ],
    ids=str,
)
def test_dimensions_go_by_several_names_and_keep_theirs(names: dict[str, str]) -> None:
    cube = make_cube(2)
    answer = masked(cube.rename(names))
    assert answer.dims == cube.rename(names).dims
    np.testing.assert_array_equal(answer, masked(cube))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_cube_without_time_has_an_answer_without_time(*, lazy: bool) -> None:
    cube = make_cube().isel(t=0)
    answer = masked(cube.chunk() if lazy else cube)
    assert answer.dims == ("bands", "y", "x")
    assert answer.t == cube.t
    np.testing.assert_array_equal(answer, masked(make_cube())[0])


def one_band_model() -> FakeModel:
    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([1 - tiles, tiles], axis=1)

    return FakeModel(answer, fake_spec(bands=("B08",), classes=(0, 1)))


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("times", [None, 2])
def test_a_network_of_one_band_takes_a_cube_without_a_band_dimension(
    *, drop: bool, times: int | None
) -> None:
    cube = make_cube(times or 1).isel(bands=3, drop=drop)
    if times is None:
        cube = cube.isel(t=0)
    answer = masked(cube, one_band_model())
    assert set(answer.dims) == {*cube.dims, "bands"}
    expected = (cube > 0.5).transpose(..., "y", "x")
    np.testing.assert_array_equal(answer.sel(bands="class"), expected)


@pytest.mark.parametrize("order", list(permutations(("t", "y", "x"))), ids="-".join)
def test_the_order_of_dimensions_is_kept_without_a_band_dimension(order: tuple[str, ...]) -> None:
    cube = make_cube(2).isel(bands=3).transpose(*order)
    answer = masked(cube, one_band_model())
    assert tuple(dim for dim in answer.dims if dim != "bands") == order
    expected = (cube > 0.5).transpose(*order)
    np.testing.assert_array_equal(answer.sel(bands="class").transpose(*order), expected)


def test_a_scalar_coordinate_that_names_another_band_is_refused() -> None:
    cube = make_cube().isel(bands=0)  # says that it is B02
    with pytest.raises(BandError, match="B08"):
        masked(cube, one_band_model())


def test_a_cube_without_a_band_dimension_is_one_band_only() -> None:
    with pytest.raises(CloudmaskError, match="band"):
        masked(make_cube().isel(bands=0, drop=True), bands=BANDS)


def test_a_network_of_several_bands_refuses_a_cube_of_one() -> None:
    with pytest.raises(BandError, match="missing bands B03, B04, B08"):
        masked(make_cube().isel(bands=0, drop=True))


def test_bands_may_be_named_where_the_cube_does_not() -> None:
    cube = make_cube().drop_vars("bands").isel(bands=[3, 2, 1, 0])
    answer = masked(cube, bands=["B08", "B04", "B03", "B02"])
    np.testing.assert_array_equal(answer, masked(make_cube()))


def test_names_given_go_before_those_of_the_cube() -> None:
    cube = make_cube()
    renamed = cube.assign_coords(bands=["B08", "B04", "B03", "B02"])
    np.testing.assert_array_equal(masked(renamed, bands=BANDS), masked(cube))


@pytest.mark.parametrize("names", [["B02"], [*BANDS, "B11"], []])
def test_names_for_another_number_of_bands_are_refused(names: list[str]) -> None:
    with pytest.raises(CubeError, match="names for 4 bands; name every band"):
        masked(make_cube(), bands=names)


def test_bands_without_names_are_refused_with_the_remedy() -> None:
    with pytest.raises(BandError, match=r"there are no named ones.*\(bands=..."):
        masked(make_cube().drop_vars("bands"))


def test_rioxarrays_long_names_are_the_names_of_numbered_bands() -> None:
    cube = make_cube().isel(t=0, drop=True).rename(bands="band").isel(band=[2, 0, 3, 1])
    numbered = cube.assign_coords(band=[1, 2, 3, 4])
    numbered.attrs["long_name"] = ("B04_10m", "B02_10m", "B08_10m", "B03_10m")
    np.testing.assert_array_equal(masked(numbered), masked(make_cube())[0])


def test_rioxarrays_one_long_name_is_the_name_of_the_one_band() -> None:
    cube = make_cube().isel(t=0, bands=[3], drop=True).rename(bands="band")
    numbered = cube.assign_coords(band=[1])
    numbered.attrs["long_name"] = "B08"
    answer = masked(numbered, one_band_model())
    np.testing.assert_array_equal(answer.sel(band="class"), numbered[0] > 0.5)


# -- datasets -------------------------------------------------------------------------------


def dataset(names: list[str]) -> xr.Dataset:
    cube = make_cube(2)
    return xr.Dataset(
        {
            name: cube.isel(bands=number, drop=True)
            for number, name in zip([3, 1, 0, 2], names, strict=True)
        }
    )


@pytest.mark.parametrize(
    "names", [["B08", "B03", "B02", "B04"], ["nir", "green", "blue", "red"]], ids="-".join
)
def test_a_dataset_with_a_variable_a_band_is_a_cube(names: list[str]) -> None:
    answer = masked(dataset(names))
    expected = masked(make_cube(2))
    np.testing.assert_array_equal(answer.transpose(*expected.dims), expected)
    assert answer.spatial_ref.attrs == make_cube().spatial_ref.attrs


def test_other_variables_of_a_dataset_are_no_matter() -> None:
    cubes = dataset(["nir", "green", "blue", "red"])
    cubes["SCL"] = ("when",), ["text"]
    assert masked(cubes).sizes["bands"] == 2


def test_the_variables_of_a_dataset_may_be_named_by_the_caller() -> None:
    answer = masked(dataset(["a", "b", "c", "d"]), bands=["B08", "B03", "B02", "B04"])
    expected = masked(make_cube(2))
    np.testing.assert_array_equal(answer.transpose(*expected.dims), expected)


def test_the_variables_of_a_dataset_may_be_more_than_the_network_takes() -> None:
    cubes = dataset(["a", "b", "c", "d"]).assign(e=make_cube(2)[:, 0] * np.nan)
    answer = masked(cubes, bands=["B08", "B03", "B02", "B04", "B11"])
    expected = masked(make_cube(2))
    np.testing.assert_array_equal(answer.transpose(*expected.dims), expected)


def test_names_for_another_number_of_variables_are_refused() -> None:
    with pytest.raises(CubeError, match="5 names for 4"):
        masked(dataset(["a", "b", "c", "d"]), bands=["B11", "B08", "B03", "B02", "B04"])


def test_a_dataset_without_a_needed_variable_is_refused() -> None:
    with pytest.raises(BandError, match="missing band B03; there are nir, blue, red"):
        masked(dataset(["nir", "green", "blue", "red"]).drop_vars("green"))


def test_a_dask_dataset_stays_lazy() -> None:
    answer = masked(dataset(["nir", "green", "blue", "red"]).chunk(y=20))
    assert answer.chunks is not None
    expected = masked(make_cube(2))
    np.testing.assert_array_equal(answer.transpose(*expected.dims), expected)


# -- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("stitch", STITCHES)
def test_time_steps_are_independent(*, lazy: bool, stitch: Stitch) -> None:
    cube = with_holes(make_cube(3))
    cube[1] = np.nan
    together = masked(cube.chunk(t=3) if lazy else cube, of_tile_mean(), stitch=stitch)
    for step in range(3):
        alone = masked(cube.isel(t=[step]), of_tile_mean(), stitch=stitch)
        np.testing.assert_array_equal(together.isel(t=[step]), alone)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_cube_of_no_time_steps_has_an_answer_of_none(*, lazy: bool, layout: str) -> None:
    cube = make_cube(2).isel(t=slice(0, 0))
    output = Output(layout=layout, dilate=30 * (layout != "cloud_detection"))  # type: ignore[arg-type]
    answer = masked(cube.chunk() if lazy else cube, output=output).compute()
    assert answer.shape == (0, len(output.bands), 50, 40)


@pytest.mark.parametrize("shape", [(50, 40), (244, 14), (1, 700)])
def test_a_dask_cube_of_no_time_steps_may_have_any_size(shape: tuple[int, int]) -> None:
    cube = make_cube(1, shape).isel(t=slice(0, 0)).chunk()
    assert masked(cube, output=FULL).compute().shape == (0, 6, *shape)


# -- coordinates ----------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
def test_coordinates_pass_through_untouched(*, lazy: bool) -> None:
    cube = make_cube(2).assign_coords(platform=("t", ["S2A", "S2B"]))
    cube = cube.assign_coords(longitude=(("y", "x"), np.random.default_rng(0).random((50, 40))))
    answer = masked(cube.chunk(y=16) if lazy else cube, chunk=24)
    assert set(answer.coords) == set(cube.coords)
    for name in set(cube.coords) - {"bands"}:
        xr.testing.assert_identical(answer[name].variable.load(), cube[name].variable)
        assert answer[name].dtype == cube[name].dtype


def test_a_coordinate_of_two_dimensions_keeps_their_order() -> None:
    places = np.random.default_rng(0).random((50, 40))
    cube = make_cube().assign_coords(longitude=(("y", "x"), places)).transpose("x", ...)
    cube = cube.assign_coords(longitude=(("y", "x"), places))
    answer = masked(cube)
    assert answer.dims == cube.dims
    xr.testing.assert_identical(answer.longitude.variable, cube.longitude.variable)


def test_an_index_of_two_levels_is_kept() -> None:
    tiles = ("t", ["T31TCJ", "T31TCJ", "T32TQM"])
    cube = make_cube(3).assign_coords(tile=tiles, day=("t", [1, 2, 1])).drop_vars("t")
    cube = cube.set_index(t=["tile", "day"])
    answer = masked(cube)
    for name in ("t", "tile", "day"):
        assert answer[name].dtype == cube[name].dtype
    assert answer.indexes["t"].equals(cube.indexes["t"])


def test_the_crs_is_kept() -> None:
    answer = masked(make_cube())
    assert answer.spatial_ref.attrs == {"crs_wkt": "PROJCRS[...]"}
    assert answer.attrs["grid_mapping"] == "spatial_ref"


def test_the_encoded_grid_mapping_is_kept() -> None:
    cube = make_cube()
    del cube.attrs["grid_mapping"]
    cube.encoding["grid_mapping"] = "spatial_ref"
    assert masked(cube).encoding["grid_mapping"] == "spatial_ref"


def test_attributes_that_describe_the_numbers_are_dropped() -> None:
    cube = make_cube().assign_attrs(units="1", scale_factor=1e-4, _FillValue=0)
    assert not {"units", "scale_factor", "_FillValue"} & set(masked(cube).attrs)


def test_missing_coordinates_stay_missing() -> None:
    cube = make_cube().drop_vars(["t", "x", "y", "spatial_ref"])
    assert set(masked(cube).coords) == {"bands"}


def test_coordinates_along_the_bands_are_dropped() -> None:
    cube = make_cube().assign_coords(wavelength=("bands", [490, 560, 665, 842]))
    assert "wavelength" not in masked(cube).coords


def test_the_answer_says_which_network_ran() -> None:
    assert masked(make_cube()).attrs["cloudmask_model"] == "fake"


def test_the_cube_is_not_changed() -> None:
    cube = with_holes(make_cube(2))
    before = cube.copy(deep=True)
    masked(cube, stitch="blend", output=Output(dilate=30))
    xr.testing.assert_identical(cube, before)


def test_a_read_only_cube_is_masked() -> None:
    cube = make_cube()
    cube.values.flags.writeable = False
    np.testing.assert_array_equal(masked(cube), masked(make_cube()))


# -- inputs that are refused or odd ---------------------------------------------------------


@pytest.mark.parametrize("dim", ["x", "y"])
def test_a_missing_dimension_is_named(dim: str) -> None:
    with pytest.raises(CubeError, match=f"dimension {dim} is missing.*Rename to one of"):
        masked(make_cube().isel({dim: 0}))


def test_an_unknown_dimension_is_named() -> None:
    with pytest.raises(CubeError, match="dimension 'row' is not known and dimension y is missing"):
        masked(make_cube().rename(y="row"))


def test_a_fifth_dimension_is_refused() -> None:
    with pytest.raises(CubeError, match="dimension 'member' is not known"):
        masked(make_cube().expand_dims("member"))


def test_two_dimensions_of_one_meaning_are_refused() -> None:
    with pytest.raises(CubeError, match="dimensions t and time both mean time"):
        masked(make_cube().expand_dims("time"))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dim", ["x", "y"])
def test_an_empty_image_is_refused(dim: str, *, lazy: bool) -> None:
    cube = make_cube().isel({dim: slice(0, 0)})
    with pytest.raises(CubeError, match=f"dimension {dim} has length 0"):
        masked(cube.chunk() if lazy else cube)


def test_a_cube_of_no_bands_is_refused() -> None:
    with pytest.raises(BandError, match="there are no named ones"):
        masked(make_cube().isel(bands=slice(0, 0)))


@pytest.mark.parametrize("dtype", ["complex64", "object", "datetime64[ns]", "U8"])
@pytest.mark.parametrize("lazy", [False, True])
def test_what_holds_no_real_numbers_is_refused(dtype: str, *, lazy: bool) -> None:
    data = np.zeros((4, 20, 20)).astype(dtype)
    cube = xr.DataArray(data, dims=("bands", "y", "x"), coords={"bands": BANDS})
    with pytest.raises(CubeError, match="the cube must hold real numbers"):
        masked(cube.chunk() if lazy else cube)


@pytest.mark.parametrize("cube", [np.zeros((4, 20, 20)), None, "scene.tif", [1]])
def test_what_is_no_cube_is_refused(cube: object) -> None:
    with pytest.raises(CubeError, match="an xarray DataArray or Dataset is needed"):
        masked(cube)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (5, 5), (16, 16), (17, 16)])
def test_an_image_of_any_size_is_answered(
    shape: tuple[int, int], stitch: Stitch, *, lazy: bool
) -> None:
    cube = make_cube(1, shape)
    answer = masked(cube.chunk() if lazy else cube, stitch=stitch)
    np.testing.assert_array_equal(answer.sel(bands="class"), cube.values.argmax(axis=1))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int32", "uint16", "float16", "float64", "bool"]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_every_real_dtype_is_masked(dtype: str, *, lazy: bool) -> None:
    preset = Preset("percent", 0.01)
    cube = (make_cube() * 100).round().astype(dtype)
    answer = masked(cube.chunk() if lazy else cube, preset=preset)
    expected = cube.astype("float32").values.argmax(axis=1)
    np.testing.assert_array_equal(answer.sel(bands="class"), expected)


def test_options_that_cannot_work_are_refused_at_the_call() -> None:
    with pytest.raises(OptionError, match="the overlap must be at least 0 and less than the tile"):
        masked(make_cube().chunk(), tile=16, overlap=16)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(OptionError, match="choose one of cdse, dn"):
        masked(make_cube(), preset="l1c")


# -- presets that do not fit ----------------------------------------------------------------


def test_a_wrong_preset_warns_once_a_call() -> None:
    cube = make_cube(3)
    with pytest.warns(PresetWarning, match="preset 'dn' gives reflectances from") as caught:
        masked(cube, preset="dn")
    assert len(caught) == 1
    with pytest.warns(PresetWarning, match="preset 'dn'"):
        masked(cube, preset="dn")


def test_a_wrong_preset_warns_once_however_many_chunks() -> None:
    cube = make_cube(3).chunk(y=16, x=16)
    lazy = masked(cube, preset="dn", chunk=24)
    with pytest.warns(PresetWarning, match="preset 'dn' gives reflectances from") as caught:
        lazy.compute()
    assert len(caught) == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_the_right_preset_does_not_warn(*, lazy: bool) -> None:
    cube = (with_holes(make_cube(2)).fillna(0) * 10000).astype("uint16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masked(cube.chunk(y=16) if lazy else cube, preset="dn", chunk=24).compute()


def test_a_dark_corner_does_not_doubt_the_preset() -> None:
    cube = make_cube(1, (64, 64))
    cube[..., :32, :32] = 0.003  # a lake in the shadow of a mountain: one whole chunk
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masked(cube.chunk(y=16, x=16), chunk=24).compute(scheduler="sync")


def test_numbers_of_baseline_0400_equal_those_before() -> None:
    before = (make_cube() * 10000).astype("uint16")
    after = before + np.uint16(1000)
    answers = [masked(before, of_tile_mean(), preset="dn", output=FULL),
               masked(after, of_tile_mean(), preset="dn_n0400", output=FULL)]  # fmt: skip
    np.testing.assert_array_equal(answers[1], answers[0])


# -- ensembles ------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
def test_several_networks_are_averaged(*, lazy: bool) -> None:
    other = constant(1, replace(fake_spec(), name="other"))
    cube = make_cube()
    answer = mask_clouds(
        cube.chunk(y=20) if lazy else cube,
        [identity(), other],
        preset="reflectance",
        options=Options(output=FULL),
    )
    expected = (cube.sel(bands="B03") + 1) / 2
    np.testing.assert_allclose(answer.sel(bands="thick_cloud"), expected, rtol=1e-6)
    assert answer.attrs["cloudmask_model"] == "fake+other"


def test_growing_in_metres_needs_the_size_of_a_pixel() -> None:
    options = Options(output=Output(dilate=60))
    with pytest.raises(OptionError, match=r"dilate=60: how many metres.*pixel_size=10"):
        mask_clouds(make_cube(1), brightest_band(), preset="reflectance", options=options)


def test_options_must_be_options() -> None:
    with pytest.raises(OptionError, match=r"options=.*must be cloudmask.Options"):
        mask_clouds(make_cube(1), brightest_band(), options={"stitch": "crop"})  # type: ignore[arg-type]


def test_a_dataset_keeps_its_grid_mapping_and_has_bands_after_time() -> None:
    cube = make_cube(2).rename(t="time")
    dataset = cube.to_dataset(dim="bands")
    for name in dataset.data_vars:
        dataset[name].encoding["grid_mapping"] = "crs"
        dataset[name].attrs["grid_mapping"] = "crs"
    answer = masked(dataset.assign_coords(crs=32633))
    assert answer.dims == ("time", "bands", "y", "x")
    assert answer.encoding["grid_mapping"] == "crs"
    assert answer.attrs["grid_mapping"] == "crs"
    assert int(answer.crs) == 32633


# -- memory ---------------------------------------------------------------------------------


def test_a_cap_that_is_too_small_is_refused_before_a_pixel_is_computed() -> None:
    model = brightest_band()
    with pytest.raises(OptionError, match="memory of 64 MiB is not enough"):
        mask_clouds(make_cube(), model, options=Options(memory=64 * 2**20))
    assert model.calls == 0


def test_a_cap_changes_no_mask() -> None:
    plain, capped = (
        mask_clouds(make_cube(), brightest_band(), preset="reflectance", options=options)
        for options in (Options(), Options(memory=2**40))
    )
    xr.testing.assert_identical(plain, capped)


def test_a_task_of_dask_needs_less_than_the_whole_cube() -> None:
    cube, options = make_cube(3, (600, 500)), Options(chunk=64)
    whole, chunked = (
        extent(each).work(options, fake_spec()) for each in (cube, cube.chunk({"y": 64}))
    )
    assert chunked.fixed < whole.fixed
    assert max(chunked.shape) < 100


def test_more_dates_need_more_but_no_more_rows() -> None:
    one, three = (extent(make_cube(n)).work(Options(), fake_spec()) for n in (1, 3))
    assert three.fixed > one.fixed
    assert three.rows == one.rows
