from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.errors import CubeError, OptionError
from cloudmask_openeo.process_implementations.dimensions import Dimensions
from cloudmask_openeo.process_implementations.neighborhood import Neighborhood, Reach
from cloudmask_openeo.process_implementations.udf import run_in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

START = np.datetime64("2020-01-01", "ns")


def make_cube(shape: tuple[int, int, int, int] = (2, 3, 7, 9)) -> xr.DataArray:
    times, bands, height, width = shape
    return xr.DataArray(
        np.arange(np.prod(shape), dtype=np.float32).reshape(shape),
        dims=("t", "bands", "y", "x"),
        coords={
            "t": START + np.arange(times) * np.timedelta64(5, "D"),
            "bands": [f"band {number}" for number in range(bands)],
            "y": 5e6 - 10.0 * np.arange(height),
            "x": 6e5 + 10.0 * np.arange(width),
            "spatial_ref": 0,
        },
        attrs={"crs": "EPSG:32633"},
    )


@dataclass(frozen=True)
class Case:
    """What is drawn."""

    cube: xr.DataArray
    around: Neighborhood


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A cube with dimensions in any order, numpy or in any dask chunks, and a neighbourhood."""
    shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 17)),
        draw(st.integers(1, 17)),
    )
    cube = make_cube(shape)
    absent = draw(st.sets(st.sampled_from(["t", "bands"])))
    cube = cube.isel(dict.fromkeys(absent, 0), drop=True)
    cube = cube.transpose(*draw(st.permutations(cube.dims)))
    if draw(st.booleans()):
        cube = cube.chunk({name: draw(st.integers(1, 20)) for name in cube.dims})
    y, x = (
        Reach(size, draw(st.integers(0, size)))
        for size in (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    )
    return Case(cube, Neighborhood(y, x, each_date=draw(st.booleans())))


@given(case=cases())
def test_the_identity_returns_the_cube(udf_text: Callable[..., str], case: Case) -> None:
    answer = run_in_chunks(case.cube, case.around, udf_text("cube"))
    assert answer.dtype == np.float32
    xr.testing.assert_identical(answer.compute(), case.cube.astype(np.float32).compute())


SUMMARY = (
    "xarray.DataArray(np.broadcast_to(np.array([np.nansum(cube), np.isnan(cube).sum(), "
    "cube.sizes['y'], cube.sizes['x']], np.float32)[:, None, None], (*cube.shape[:-3], 4, "
    "*cube.shape[-2:])), dims=cube.dims)"
)


def summarised(case: Case) -> NDArray[np.float32]:
    """Say by slicing a padded array what SUMMARY must answer, (t, 4, y, x)."""
    (rows, top), (columns, left) = (
        (reach.size, reach.overlap) for reach in (case.around.y, case.around.x)
    )
    assert rows is not None
    assert columns is not None
    whole = case.cube.expand_dims([name for name in ("t", "bands") if name not in case.cube.dims])
    numbers = whole.transpose("t", "bands", "y", "x").values.astype(np.float32)
    far = 60
    padded = np.pad(
        numbers, [(0, 0), (0, 0), (far, far), (far, far)], constant_values=np.float32(np.nan)
    )
    answer = np.empty((len(numbers), 4, *numbers.shape[2:]), np.float32)
    groups = [[date] for date in range(len(numbers))]
    for group in groups if case.around.each_date else [list(range(len(numbers)))]:
        for y in range(numbers.shape[2]):
            for x in range(numbers.shape[3]):
                first, start = far + y // rows * rows - top, far + x // columns * columns - left
                height, width = rows + 2 * top, columns + 2 * left
                seen = padded[group, :, first : first + height, start : start + width]
                answer[group, :, y, x] = np.nansum(seen), np.isnan(seen).sum(), height, width
    return answer


@given(case=cases())
def test_a_chunk_is_size_and_twice_overlap_of_the_cube_and_nan_beyond(
    udf_text: Callable[..., str], case: Case
) -> None:
    answer = run_in_chunks(case.cube, case.around, udf_text(SUMMARY))
    whole = answer.expand_dims([name for name in ("t",) if name not in answer.dims])
    found = whole.transpose("t", "bands", "y", "x").values
    np.testing.assert_allclose(found, summarised(case), rtol=1e-5)


def test_dask_runs_the_udf_once_a_chunk_and_once_to_learn_the_bands(
    udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    text = udf_text("cube", before="import chunk_log; chunk_log.seen.append(cube.shape)")
    cube = make_cube((2, 3, 7, 9)).chunk({"y": 3, "x": 2})
    answer = run_in_chunks(cube, Neighborhood(Reach(4, 1), Reach(5, 2)), text)
    assert chunk_log == [(2, 3, 6, 9)], "before anything is computed"
    chunk_log.clear()
    answer.compute()
    assert chunk_log == [(2, 3, 6, 9)] * 4


def test_a_lazy_answer_can_be_sent_to_other_processes(udf_text: Callable[..., str]) -> None:
    lazy = make_cube().chunk({"x": 4})
    answer = run_in_chunks(lazy, Neighborhood(Reach(4, 1), Reach(5, 2)), udf_text("cube"))
    sent = pickle.loads(pickle.dumps(answer))  # noqa: S301 - our own
    xr.testing.assert_identical(sent.compute(), make_cube())


def test_numpy_runs_the_udf_once_a_chunk(
    udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    text = udf_text("cube", before="import chunk_log; chunk_log.seen.append(cube.shape)")
    run_in_chunks(make_cube((2, 3, 7, 9)), Neighborhood(Reach(4, 1), Reach(5, 2)), text)
    assert chunk_log == [(2, 3, 6, 9)] * 4


RENAMED = """
def apply_metadata(metadata, context):
    return metadata.rename_labels("bands", target=context["names"])
"""


@pytest.mark.parametrize("lazy", [False, True])
def test_apply_metadata_names_the_bands_and_spares_the_trial(
    udf_text: Callable[..., str], chunk_log: list[Any], *, lazy: bool
) -> None:
    text = udf_text(
        "cube.isel(bands=[0, 1])",
        before="import chunk_log; chunk_log.seen.append(cube.shape)",
        after=RENAMED,
    )
    cube = make_cube().chunk({"x": 2}) if lazy else make_cube()
    answer = run_in_chunks(
        cube, Neighborhood(Reach(7), Reach(9)), text, {"names": ["mask", "class"]}
    )
    assert list(answer["bands"].values) == ["mask", "class"]
    assert len(answer.compute()["bands"]) == 2
    assert len(chunk_log) == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_without_apply_metadata_the_answer_names_the_bands(
    udf_text: Callable[..., str], *, lazy: bool
) -> None:
    text = udf_text("cube.isel(bands=[0]).assign_coords(bands=['mask'])")
    cube = make_cube().chunk({"x": 2}) if lazy else make_cube()
    answer = run_in_chunks(cube, Neighborhood(Reach(3, 1), Reach(4, 1)), text)
    assert list(answer["bands"].values) == ["mask"]
    np.testing.assert_array_equal(answer, cube.isel(bands=[0]))


def test_the_same_number_of_bands_without_names_keeps_the_cubes(
    udf_text: Callable[..., str],
) -> None:
    text = udf_text("cube.drop_vars('bands')")
    answer = run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text)
    xr.testing.assert_identical(answer, make_cube())


def test_other_bands_without_names_stay_without(udf_text: Callable[..., str]) -> None:
    text = udf_text("cube.isel(bands=[0, 1]).drop_vars('bands')")
    answer = run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text)
    assert answer.sizes["bands"] == 2
    assert "bands" not in answer.coords


@pytest.mark.parametrize("lazy", [False, True])
def test_more_bands_than_announced_are_refused(
    udf_text: Callable[..., str], *, lazy: bool
) -> None:
    cube = make_cube().chunk({"x": 2}) if lazy else make_cube()
    text = udf_text("cube", after=RENAMED)
    with pytest.raises(CubeError, match=r"answers 3 bands .* but 2 were announced"):
        run_in_chunks(
            cube, Neighborhood(Reach(3), Reach(4)), text, {"names": ["mask", "class"]}
        ).compute()


def test_bands_that_change_from_chunk_to_chunk_are_refused(udf_text: Callable[..., str]) -> None:
    text = udf_text("cube.isel(bands=slice(0, 1 + int(cube.x[0] > 6e5 + 5)))")
    with pytest.raises(CubeError, match=r"answers 2 bands for Place.*, 1 for the first"):
        run_in_chunks(make_cube(), Neighborhood(Reach(7), Reach(4)), text)


def test_apply_metadata_that_answers_no_metadata_is_refused(udf_text: Callable[..., str]) -> None:
    text = udf_text("cube", after="def apply_metadata(metadata, context):\n    return ['mask']\n")
    with pytest.raises(CubeError, match=r"apply_metadata of the UDF answers .'mask'."):
        run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text)


def test_a_udf_that_fails_without_data_is_told_of_apply_metadata(
    udf_text: Callable[..., str],
) -> None:
    text = udf_text("cube", before="assert not np.isnan(cube).all(), 'nothing to see'")
    with pytest.raises(AssertionError, match="nothing to see") as caught:
        run_in_chunks(make_cube().chunk(), Neighborhood(Reach(3), Reach(4)), text)
    assert "apply_metadata" in caught.value.__notes__[0]


def test_each_chunk_gets_a_context_of_its_own(udf_text: Callable[..., str]) -> None:
    text = udf_text("cube + len(context['list'])", before="context['list'].append(1)")
    context = {"list": [0]}
    answer = run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text, context)
    np.testing.assert_array_equal(answer, make_cube() + 2)
    text = udf_text("cube + context.pop('add')")
    answer = run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text, {"add": 2})
    np.testing.assert_array_equal(answer, make_cube() + 2)
    assert context == {"list": [0]}


SEEN = (
    "import chunk_log; chunk_log.seen.append((cube.dims, cube.dtype, {name: coord.values for "
    "name, coord in cube.coords.items()}, dict(cube.attrs), type(cube.data)))"
)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_chunk_with_all_dates_is_what_back_ends_give(
    udf_text: Callable[..., str], chunk_log: list[Any], *, lazy: bool
) -> None:
    cube = make_cube().astype(np.uint16).transpose("x", "bands", "t", "y")
    cube = cube.rename(t="time", x="longitude", y="latitude")
    text = udf_text("cube", before=SEEN, after="def apply_metadata(m, context):\n    return m\n")
    run_in_chunks(
        cube.chunk({"time": 1}) if lazy else cube, Neighborhood(Reach(7, 2), Reach(9, 1)), text
    ).compute()
    dims, dtype, coords, attrs, kind = chunk_log[0]
    assert (dims, dtype, kind) == (("t", "bands", "y", "x"), np.float32, np.ndarray)
    assert (coords["y"].dtype, coords["x"].dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(coords["y"], np.float32(5e6 + 20 - 10.0 * np.arange(11)))
    np.testing.assert_array_equal(coords["x"], np.float32(6e5 - 10 + 10.0 * np.arange(11)))
    np.testing.assert_array_equal(coords["t"], make_cube()["t"])
    np.testing.assert_array_equal(coords["bands"], make_cube()["bands"])
    assert attrs == {}


def test_a_chunk_of_one_date_has_no_time_but_its_date_as_an_attribute(
    udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    around = Neighborhood(Reach(7), Reach(9), each_date=True)
    run_in_chunks(make_cube(), around, udf_text("cube", before=SEEN))
    assert [dims for dims, *_ in chunk_log] == [("bands", "y", "x")] * 2
    assert [attrs["t"] for *_, attrs, _ in chunk_log] == list(make_cube()["t"].values)


def test_a_cube_without_coordinates_gives_chunks_without(
    udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    bare = xr.DataArray(np.zeros((2, 3, 4, 5)), dims=("t", "bands", "y", "x"))
    answer = run_in_chunks(
        bare, Neighborhood(Reach(2, 1), Reach(3, 1)), udf_text("cube", before=SEEN)
    )
    assert chunk_log[0][2] == {}
    xr.testing.assert_identical(answer, bare.astype(np.float32))


@pytest.mark.parametrize("lazy", [False, True])
def test_the_name_and_the_link_to_the_crs_are_kept(
    udf_text: Callable[..., str], *, lazy: bool
) -> None:
    cube = make_cube().chunk() if lazy else make_cube()
    cube.name, cube.encoding["grid_mapping"] = "toa", "spatial_ref"
    answer = run_in_chunks(cube, Neighborhood(Reach(3), Reach(4)), udf_text("cube"))
    assert answer.name == "toa"
    assert answer.encoding == {"grid_mapping": "spatial_ref"}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("cube[..., 1:-1]", "answers 4 along x in place of 6; .* also in the overlap"),
        ("cube.mean('t')", "answers dimensions bands, y, x; it must answer .* t, bands, y, x"),
        ("cube.isel(t=[0])", "answers 1 along t in place of 2"),
        ("cube.isel(bands=0)", "answers dimensions t, y, x"),
    ],
)
def test_an_answer_of_another_shape_is_refused(
    udf_text: Callable[..., str], expression: str, message: str
) -> None:
    with pytest.raises(CubeError, match=message):
        run_in_chunks(make_cube(), Neighborhood(Reach(3, 1), Reach(4, 1)), udf_text(expression))


def test_an_answer_with_dimensions_in_another_order_is_put_right(
    udf_text: Callable[..., str],
) -> None:
    text = udf_text("cube.transpose('x', 'bands', 'y', 't')")
    answer = run_in_chunks(make_cube(), Neighborhood(Reach(3, 1), Reach(4, 1)), text)
    xr.testing.assert_identical(answer, make_cube())


@pytest.mark.parametrize("text", ["https://example.org/udf.py", "udf.py", 3])
def test_what_is_no_source_text_is_refused(text: Any) -> None:
    with pytest.raises(OptionError, match="must be the UDF's source text"):
        run_in_chunks(make_cube(), Neighborhood(Reach(3), Reach(4)), text)


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (make_cube().to_dataset("bands"), r"Dataset: a raster cube .* \.to_dataarray"),
        (make_cube().rename(t="z"), "rename or reduce z"),
        (make_cube().isel(x=0), "y and x are needed"),
        (make_cube().isel(t=[]), "dimension t has length 0"),
        (make_cube().expand_dims("time"), "t and time both mean time"),
    ],
)
def test_what_is_no_cube_is_refused(cube: Any, message: str) -> None:
    with pytest.raises(CubeError, match=message):
        Dimensions.of(cube)


DIMENSIONS = Dimensions("t", "bands", "y", "x")


def px(dimension: str, value: object, unit: str | None = "px") -> dict[str, Any]:
    return {"dimension": dimension, "value": value, "unit": unit}


def test_sizes_and_overlaps_are_read_by_dimension() -> None:
    around = Neighborhood.of([px("x", 16), px("y", 8.0)], [px("y", 2), px("x", 3)], DIMENSIONS)
    assert around == Neighborhood(Reach(8, 2), Reach(16, 3))


def test_what_is_not_named_is_taken_whole(udf_text: Callable[..., str]) -> None:
    around = Neighborhood.of([], None, DIMENSIONS)
    assert around == Neighborhood(Reach(None), Reach(None))
    answer = run_in_chunks(make_cube((2, 3, 7, 9)), around, udf_text(SUMMARY))
    assert answer.isel(t=0, bands=2, y=0, x=0) == 7
    assert answer.isel(t=0, bands=3, y=0, x=0) == 9


def test_names_of_openeo_mean_the_cubes_own() -> None:
    own = Dimensions("time", "band", "latitude", "longitude")
    size = [px("x", 16), px("latitude", 8), {"dimension": "t", "value": "P1D"}]
    assert Neighborhood.of(size, [], own) == Neighborhood(Reach(8), Reach(16), each_date=True)


@pytest.mark.parametrize("value", [None, "P1D"])
def test_dates_come_all_or_one_by_one(value: str | None) -> None:
    size = [px("x", 8), px("y", 8), {"dimension": "t", "value": value}]
    assert Neighborhood.of(size, None, DIMENSIONS).each_date == (value == "P1D")


@pytest.mark.parametrize(
    ("size", "overlap", "message"),
    [
        ([px("x", 100, "m")], [], "size along x: 100 in unit 'm'; only pixels"),
        ([px("x", 100, None)], [], "give the unit 'px'"),
        ([px("x", 8)], [px("x", 2, "m")], "overlap along x: 2 in unit 'm'"),
        ([px("x", 0)], [], "size along x=0: must be 1 or more"),
        ([px("x", 8)], [px("x", -1)], "overlap along x=-1: must be 0 or more"),
        ([px("x", 8.5)], [], "size along x=8.5: must be a whole number"),
        ([px("x", value=True)], [], "size along x=True: must be a whole number"),
        ([px("x", 8)], [px("x", 9)], "9 px with size 8 px; .* not be larger"),
        ([px("x", 8), px("x", 9)], [], "'x' is named twice"),
        ([px("z", 8)], [], "no dimension 'z'; it has t, bands, y, x"),
        ([px("bands", 2)], [], "always has all bands"),
        ([px("t", 3)], [], "size along time: 3; possible are null"),
        ([px("t", "P1M")], [], "size along time: 'P1M'"),
        ([px("t", [1])], [], r"size along time: \[1\]"),
        ([px("x", 8)], [px("t", 1)], "dates cannot overlap"),
        ({"x": 8}, [], r"size=\{'x': 8\}: must be a list of objects"),
        ([8, 8], [], "must be a list of objects"),
        ([px("x", 8)], [{"value": 3}], "overlap=.*must be a list of objects"),
    ],
)
def test_sizes_that_cannot_be_had_are_refused(size: Any, overlap: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Neighborhood.of(size, overlap, DIMENSIONS)


def test_an_overlap_may_be_as_large_as_the_size() -> None:
    around = Neighborhood.of([px("x", 8)], [px("x", 8)], DIMENSIONS)
    assert around.x == Reach(8, 8)


def test_an_axis_that_is_taken_whole_has_its_overlap(udf_text: Callable[..., str]) -> None:
    answer = run_in_chunks(
        make_cube((2, 3, 7, 9)), Neighborhood(Reach(None, 2), Reach(None, 1)), udf_text(SUMMARY)
    )
    assert answer.isel(t=0, bands=[2, 3], y=0, x=0).values.tolist() == [11, 11]


def test_dates_and_bands_that_a_cube_lacks_may_be_named() -> None:
    bare = Dimensions(None, None, "y", "x")
    size = [px("x", 8), px("y", 8), {"dimension": "t", "value": "P1D"}, px("bands", None)]
    assert Neighborhood.of(size, [], bare) == Neighborhood(Reach(8), Reach(8), each_date=True)
