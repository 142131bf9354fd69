"""A chunk alone answers as the whole scene: guarantees 2, 4 and 5 where a back-end cuts."""

from __future__ import annotations

import copy
import logging
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cloudmask import chunk as module
from cloudmask.chunk import WorkerError, mask_chunk
from cloudmask.chunk_plan import carried_for
from cloudmask.classes import LAYOUT_BANDS, Output
from cloudmask.cube import mask_clouds
from cloudmask.errors import BandError, CubeError, ModelError, OptionError
from cloudmask.options import Options
from cloudmask.registry import find
from cloudmask.windows import Tiling

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.classes import Layout
    from cloudmask.windows import Stitch

BANDS = ["B02", "B03", "B04", "B08"]
TILING = Tiling(32, 8)
STITCHES: list[Stitch] = ["crop", "blend"]


@pytest.fixture(autouse=True)
def _forget() -> None:
    """Every test meets a worker that has told nothing yet."""
    module._told.clear()


def scene(height: int = 90, width: int = 130, *, holes: bool = False) -> xr.DataArray:
    """(bands, y, x) float32 reflectance x 10000 with structure at every scale."""
    random = np.random.default_rng(height * 1000 + width)
    coarse = np.kron(random.uniform(0, 6000, (4, 12, 16)), np.ones((12, 12)))
    numbers = (coarse[:, :height, :width] + random.uniform(0, 900, (4, height, width))).astype(
        "f4"
    )
    if holes:
        numbers[:, random.uniform(0, 1, (height, width)) < 0.03] = np.nan
        y, x = np.mgrid[:height, :width]
        numbers[:, 3 * y + x < height] = np.nan  # the edge of a swath is oblique
    return xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": BANDS})


def cut(cube: xr.DataArray, size: int, carried: int, y: int, x: int) -> xr.DataArray:
    """Cut a chunk as back-ends do: carried pixels on both sides, NaN where nothing is."""
    edges = {"y": (carried, carried + size), "x": (carried, carried + size)}
    padded = cube.pad(edges, constant_values=np.nan)
    whole = size + 2 * carried
    return padded.isel(y=slice(y, y + whole), x=slice(x, x + whole))


def by_chunks(cube: xr.DataArray, size: int, carried: int, **context: Any) -> NDArray[np.float32]:
    """Answer a scene chunk by chunk, and cut off what is carried."""
    height, width = cube.sizes["y"], cube.sizes["x"]
    bands = len(LAYOUT_BANDS[context.get("layout", "mask")])
    answer = np.zeros((bands, height + size, width + size), np.float32)
    inner = slice(carried, carried + size)
    for y, x in product(range(0, height, size), range(0, width, size)):
        found = mask_chunk(cut(cube, size, carried, y, x), {**context, "chunk_overlap": carried})
        answer[:, y : y + size, x : x + size] = found.values[:, inner, inner]
    return answer[:, :height, :width]


def whole(cube: xr.DataArray, path: Path, **options: Any) -> NDArray[np.float32]:
    return mask_clouds(cube, path, preset="cdse", options=Options(**options)).values.astype("f4")


# -- chunked equals whole -------------------------------------------------------------------


@given(
    height=st.integers(1, 130),
    width=st.integers(1, 130),
    strides=st.integers(1, 4),
    case=st.sampled_from([("crop", True), ("crop", False), ("blend", False)]),
)
def test_chunks_answer_as_the_whole_scene(
    tiny_network: Path, height: int, width: int, strides: int, case: tuple[Stitch, bool]
) -> None:
    stitch, holes = case
    cube = scene(height, width, holes=holes)
    carried = carried_for(TILING, stitch)
    size = max(strides * TILING.stride, -(-carried // TILING.stride) * TILING.stride)
    found = by_chunks(cube, size, carried, model=str(tiny_network), stitch=stitch)
    np.testing.assert_array_equal(found, whole(cube, tiny_network, stitch=stitch))


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize(("height", "width"), [(90, 130), (33, 65), (96, 64)])
def test_tiles_without_overlap_are_the_same_in_chunks(
    tiny_network: Path, stitch: Stitch, height: int, width: int
) -> None:
    cube, context = scene(height, width), {"stitch": stitch, "tile": 32, "overlap": 0}
    carried = carried_for(Tiling(32, 0), stitch)
    found = by_chunks(cube, 32, carried, model=str(tiny_network), **context)
    expected = whole(cube, tiny_network, stitch=stitch, tile=32, overlap=0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [48, 72, 96])
def test_blended_chunks_around_no_data_differ_by_next_to_nothing(
    tiny_network: Path, size: int
) -> None:
    # A straight border of no data cannot be told from the end of the scene; oblique ones can.
    cube = scene(140, 140, holes=True)
    carried = carried_for(TILING, "blend")
    found = by_chunks(cube, size, carried, model=str(tiny_network), stitch="blend")
    expected = whole(cube, tiny_network, stitch="blend")
    assert (found[1] != expected[1]).mean() <= 0.001


@pytest.mark.parametrize("layout", list(LAYOUT_BANDS))
def test_every_layout_is_the_same_in_chunks(tiny_network: Path, layout: Layout) -> None:
    cube = scene(holes=True)
    found = by_chunks(cube, 48, 4, model=str(tiny_network), layout=layout)
    expected = whole(cube, tiny_network, output=Output(layout=layout))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("stitch", "metres"), list(product(STITCHES, [10, 35, 300])))
def test_classes_grow_over_the_borders_of_chunks(
    tiny_network: Path, stitch: Stitch, metres: int
) -> None:
    cube = scene()
    carried = carried_for(TILING, stitch, -(-metres // 10))
    context = {"model": str(tiny_network), "dilate": metres, "pixel_size": 10, "stitch": stitch}
    size = max(48, -(-carried // 24) * 24)
    found = by_chunks(cube, size, carried, masked=["thick_cloud"], **context)
    output = Output(masked=(1,), dilate=metres)
    expected = whole(cube, tiny_network, stitch=stitch, pixel_size=10, output=output)
    plain = whole(cube, tiny_network, stitch=stitch, output=Output(masked=(1,)))
    assert (expected != plain).any()
    np.testing.assert_array_equal(found, expected)


def test_a_whole_scene_in_one_chunk_needs_no_overlap(tiny_network: Path) -> None:
    cube = scene(holes=True)
    np.testing.assert_array_equal(
        mask_chunk(cube, {"model": str(tiny_network)}), whole(cube, tiny_network)
    )


def test_the_overlap_may_differ_between_y_and_x(tiny_network: Path) -> None:
    cube = scene(96, 96)
    seen = cube.isel(y=slice(0, 48)).pad(y=(4, 0), constant_values=np.nan)
    seen = xr.concat([seen, cube.isel(y=slice(48, 52))], dim="y")
    found = mask_chunk(seen, {"model": str(tiny_network), "chunk_overlap": [4, 0]})
    expected = whole(cube, tiny_network)[:, :48]
    np.testing.assert_array_equal(found[:, 4:52], expected)


@pytest.mark.parametrize(
    ("stitch", "size", "carried"),
    [("crop", 50, 4), ("crop", 24, 0), ("crop", 4, 1), ("blend", 24, 4), ("blend", 5, 2)],
)
def test_chunks_that_are_cut_badly_answer_for_every_pixel_all_the_same(
    tiny_network: Path, stitch: Stitch, size: int, carried: int
) -> None:
    # Whoever writes the graph by hand gets seams, neither holes nor an error.
    cube = scene(60, 60, holes=True)
    found = by_chunks(cube, size, carried, model=str(tiny_network), stitch=stitch)
    np.testing.assert_array_equal(found[1] == 255, np.isnan(cube.values).any(axis=0))


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", "around"])
def test_a_chunk_that_only_neighbours_have_pixels_in_is_no_data(
    tiny_network: Path, stitch: Stitch, side: str
) -> None:
    carried = carried_for(TILING, stitch, 4)
    size = -(-carried // TILING.stride) * TILING.stride
    random = np.random.default_rng(2)
    edge = size + 2 * carried
    numbers = random.uniform(100, 6000, (4, edge, edge)).astype("f4")
    y, x = np.mgrid[:edge, :edge]
    there = {
        "top": y < carried, "bottom": y >= edge - carried,
        "left": x < carried, "right": x >= edge - carried,
    }  # fmt: skip
    kept = there[side] if side in there else np.logical_or.reduce(list(there.values()))
    numbers[:, ~kept] = np.nan
    cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": BANDS})
    context = {"stitch": stitch, "chunk_overlap": carried, "dilate": 40, "pixel_size": 10}
    found = mask_chunk(cube, {"model": str(tiny_network), **context}).values
    inner = found[:, carried:-carried, carried:-carried]
    assert (inner[0] == 1).all()
    assert (inner[1] == 255).all()


@pytest.mark.parametrize("layout", list(LAYOUT_BANDS))
def test_threads_of_a_worker_do_not_disturb_each_other(tiny_network: Path, layout: str) -> None:
    dask = pytest.importorskip("dask")
    contexts = [
        {"model": str(tiny_network), "chunk_overlap": 4, "layout": layout, "tta": tta}
        for tta in (0, 2, 7)
    ]
    cubes = [scene(60, 70), scene(60, 70, holes=True)]
    cases = list(product(cubes, contexts)) * 4
    expected = [mask_chunk(*case) for case in cases]
    module._prepared.cache_clear()
    calls = [dask.delayed(mask_chunk)(*case) for case in cases]
    found = dask.compute(*calls, scheduler="threads", num_workers=8)
    for one, other in zip(found, expected, strict=True):
        xr.testing.assert_identical(one, other)


# -- what comes in, and what goes out -------------------------------------------------------


@given(order=st.permutations(["t", "bands", "y", "x"]), bands=st.permutations(BANDS))
def test_the_order_of_dimensions_and_bands_changes_nothing(
    tiny_network: Path, order: list[str], bands: list[str]
) -> None:
    cube = scene(40, 44).expand_dims(t=["2020-01-01", "2020-01-02"]).copy()
    cube[1] *= 0.5
    context = {"model": str(tiny_network), "chunk_overlap": 4}
    found = mask_chunk(cube.transpose(*order).sel(bands=bands), context)
    assert found.dims == ("t", "bands", "y", "x")
    xr.testing.assert_identical(found, mask_chunk(cube, context))


@pytest.mark.parametrize(
    "names", [("t", "bands", "y", "x"), ("time", "spectral", "latitude", "longitude")]
)
@pytest.mark.parametrize("overlap", [0, 4])
def test_names_are_kept_and_the_answer_is_float32(
    tiny_network: Path, names: tuple[str, ...], overlap: int
) -> None:
    cube = (
        scene(40, 44)
        .expand_dims(t=[0])
        .rename(dict(zip(("t", "bands", "y", "x"), names, strict=True)))
    )
    found = mask_chunk(cube, {"model": str(tiny_network), "chunk_overlap": overlap})
    assert found.dims == names
    assert found.dtype == np.float32
    assert list(found[names[1]].values) == ["mask", "class"]


def test_time_steps_are_those_of_single_dates(tiny_network: Path) -> None:
    # geopyspark hands over all dates at once, or one without a time dimension.
    context = {"model": str(tiny_network), "chunk_overlap": 4}
    one, other = scene(48, 48), scene(48, 48, holes=True)
    both = mask_chunk(xr.concat([one, other], dim="t"), context)
    np.testing.assert_array_equal(both[0], mask_chunk(one, context))
    np.testing.assert_array_equal(both[1], mask_chunk(other, context))


def test_a_stack_without_dates_gives_one(tiny_network: Path) -> None:
    cube = scene(40, 40).expand_dims(t=1).isel(t=slice(0, 0))
    found = mask_chunk(cube, {"model": str(tiny_network), "chunk_overlap": 4})
    assert found.shape == (0, 2, 40, 40)


def test_inexact_coordinates_are_passed_through(tiny_network: Path) -> None:
    # float32 cannot hold the northings of UTM: steps of 10 m become 10, 9.5, 10.5 ...
    cube = scene(40, 44)
    place = {
        "y": (5_600_000 - 10 * np.arange(40)).astype(np.float32),
        "x": (600_000 + 10 * np.arange(44)).astype(np.float32),
    }
    context = {"model": str(tiny_network), "chunk_overlap": 4}
    found = mask_chunk(cube.assign_coords(place), context)
    np.testing.assert_array_equal(found.values, mask_chunk(cube, context).values)
    for name, values in place.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values)


def test_float64_as_execute_local_udf_makes_changes_nothing(tiny_network: Path) -> None:
    cube = scene(40, 44).round()
    context = {"model": str(tiny_network)}
    np.testing.assert_array_equal(
        mask_chunk(cube.astype(np.float64), context), mask_chunk(cube, context)
    )


@pytest.mark.parametrize("overlap", [0, 4])
def test_dask_chunks_answer_as_numpy_ones(tiny_network: Path, overlap: int) -> None:
    pytest.importorskip("dask.array")
    cube = scene(60, 70)
    context = {"model": str(tiny_network), "chunk_overlap": overlap}
    lazy = cube.chunk(bands=1, y=17, x=30)
    np.testing.assert_array_equal(mask_chunk(lazy, context), mask_chunk(cube, context))


def test_a_whole_dask_cube_is_answered_lazily(tiny_network: Path) -> None:
    pytest.importorskip("dask.array")
    found = mask_chunk(scene().chunk(), {"model": str(tiny_network)})
    assert found.chunks is not None


def test_what_the_neighbours_own_is_no_data(tiny_network: Path) -> None:
    found = mask_chunk(scene(40, 40), {"model": str(tiny_network), "chunk_overlap": 4})
    assert (found.sel(bands="class")[:4] == 255).all()
    assert (found.sel(bands="mask")[:, -4:] == 1).all()


def test_the_mask_is_never_nan_and_no_data_is_masked(tiny_network: Path) -> None:
    # geotrellis masks where a mask is NaN, others keep: a mask must not have any.
    cube = scene(48, 48, holes=True)
    found = mask_chunk(cube, {"model": str(tiny_network), "layout": "probabilities"})
    mask = found.sel(bands="mask").values
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert (mask[np.isnan(cube.values).any(axis=0)] == 1).all()


def test_an_empty_chunk_runs_no_network(tiny_network: Path) -> None:
    cube = scene(40, 40)
    cube[:] = np.nan
    found = mask_chunk(cube, {"model": str(tiny_network), "chunk_overlap": 4})
    assert (found.sel(bands="class") == 255).all()


def test_bands_without_labels_are_named_by_the_context(tiny_network: Path) -> None:
    cube = scene(40, 40)
    context = {"model": str(tiny_network), "bands": BANDS}
    found = mask_chunk(cube.drop_vars("bands"), context)
    np.testing.assert_array_equal(found, mask_chunk(cube, context))


def test_the_context_is_not_changed(tiny_network: Path) -> None:
    context = {"model": [str(tiny_network)], "chunk_overlap": [4, 4], "tta": None}
    before = copy.deepcopy(context)
    mask_chunk(scene(40, 40), context)
    assert context == before


def test_networks_are_opened_once_a_worker(tiny_network: Path) -> None:
    context = {"model": str(tiny_network), "batch": 3}
    before = module._prepared.cache_info().misses
    for _ in range(3):
        mask_chunk(scene(40, 40), dict(context))
    assert module._prepared.cache_info().misses == before + 1


def test_a_network_stays_when_its_file_is_deleted(tiny_network: Path, tmp_path: Path) -> None:
    for suffix in (".onnx", ".json"):
        content = tiny_network.with_suffix(suffix).read_bytes()
        (tmp_path / f"tiny{suffix}").write_bytes(content)
    context = {"model": str(tmp_path / "tiny.onnx")}
    first = mask_chunk(scene(40, 40), context)
    for file in tmp_path.iterdir():
        file.unlink()
    xr.testing.assert_identical(mask_chunk(scene(40, 40), context), first)


# -- what is wrong is told in one line, once ------------------------------------------------


def log_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("cube", "context", "kind", "why"),
    [
        (scene(40, 40).isel(bands=[0, 1]), {}, BandError, "missing bands B04, B08"),
        (scene(40, 40), {"colour": 1}, OptionError, "unknown key colour"),
        (scene(40, 40), {"model": "gone.onnx"}, ModelError, "gone.onnx: there is no such file"),
        (scene(40, 40), {"model": "nix"}, ModelError, "unknown model 'nix'.*cloudmask bundle"),
        (scene(40, 40), {"chunk_overlap": 20}, OptionError, "chunk of 40 pixels"),
        (scene(40, 40).rename(y="dim_1"), {}, CubeError, "dimension 'dim_1' is not known"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_that_the_back_end_alone_logs(
    tiny_network: Path,
    caplog: pytest.LogCaptureFixture,
    cube: xr.DataArray,
    context: dict[str, Any],
    kind: type[Exception],
    why: str,
) -> None:
    with pytest.raises(kind, match=why) as caught:
        mask_chunk(cube, {"model": str(tiny_network), **context})
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert log_lines(caplog) == []


def test_a_parameter_that_no_one_resolved_is_refused(tiny_network: Path) -> None:
    class Reference:
        def __repr__(self) -> str:
            return "<parameter tta>"

    with pytest.raises(OptionError, match="context: <parameter tta> is neither a number"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network), "tta": Reference()})


def test_numbers_of_numpy_are_numbers(tiny_network: Path) -> None:
    context = {"model": str(tiny_network), "chunk_overlap": np.array([4, 4]), "tta": np.int64(0)}
    found = mask_chunk(scene(40, 40), context)
    expected = mask_chunk(scene(40, 40), {"model": str(tiny_network), "chunk_overlap": 4})
    np.testing.assert_array_equal(found, expected)


def test_a_wrong_preset_is_warned_of_once_a_worker(
    tiny_network: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = {"model": str(tiny_network), "preset": "reflectance"}
    for factor in (0.005, 0.007):
        mask_chunk(scene(40, 40) * factor, context)
    ((level, line),) = log_lines(caplog)
    assert level == logging.WARNING
    assert "preset 'reflectance' gives reflectances from" in line


def test_a_preset_that_makes_no_data_of_everything_is_warned_of(
    tiny_network: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Reflectances beyond 100 are taken for fill values: without a word all would be no data.
    context = {"model": str(tiny_network), "preset": "reflectance", "chunk_overlap": 4}
    found = mask_chunk(scene(40, 40) + 200, context)
    assert (found.sel(bands="class") == 255).all()
    ((level, line),) = log_lines(caplog)
    assert level == logging.WARNING
    assert "preset 'reflectance' gives reflectances from" in line


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.2 GiB for an array"),
        ModelError("model 'tiny' failed on tiles of shape (1, 4): std::bad_alloc"),
        ImportError("libonnxruntime.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_names_the_job_option(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "answered", fail)
    with pytest.raises(WorkerError, match="raise the job option python-memory"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network)})


def test_out_of_memory_tells_what_was_expected(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "answered", fail)
    with pytest.raises(WorkerError, match=r"out of memory \(.*, about \d+ MiB of memory were exp"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network)})


def test_a_cap_that_is_too_small_is_refused_before_the_network_is_opened(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        pytest.fail("a network was opened")

    monkeypatch.setattr("cloudmask.registry.load_onnx", opened)
    with pytest.raises(OptionError, match="memory of 64 MiB is not enough"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network), "memory_mb": 64})


def test_a_later_chunk_may_be_too_large_for_the_cap(tiny_network: Path) -> None:
    first = scene(40, 40)
    later = xr.DataArray(np.zeros((4, 2000, 2000), "f4"), {"bands": BANDS}, first.dims)
    context = {"model": str(tiny_network), "chunk_overlap": 4, "layout": "probabilities"}
    # What it takes at least, from the refusal itself.
    with pytest.raises(OptionError, match="are needed") as refused:
        mask_chunk(first, context | {"memory_mb": 1})
    needed = re.search(r"about (\d+) MiB are needed", str(refused.value))
    assert needed
    enough = context | {"memory_mb": int(needed[1]) + 64}
    assert mask_chunk(first, enough).shape == (6, 40, 40)
    with pytest.raises(OptionError, match=r"is not enough.*smaller chunks"):
        mask_chunk(later, enough)


def test_a_cap_changes_no_answer(tiny_network: Path) -> None:
    cube, context = scene(), {"model": str(tiny_network)}
    xr.testing.assert_identical(
        mask_chunk(cube, context), mask_chunk(cube, context | {"memory_mb": 2**16})
    )


def test_a_package_that_is_not_there_names_the_archive(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxruntime'")

    monkeypatch.setattr(module, "answered", fail)
    with pytest.raises(WorkerError, match=r"'onnxruntime'.*udf-dependency-archives"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network)})


def test_our_own_mistakes_are_not_dressed_up(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(module, "answered", fail)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        mask_chunk(scene(40, 40), {"model": str(tiny_network)})


def test_the_networks_of_a_context_are_found_by_name_too() -> None:
    entry = find("ukis-4b-l1c")
    if not entry.installed:
        pytest.skip(f"not installed: {entry.how_to_install}")
    cube = scene(64, 64)
    found = mask_chunk(cube, {"model": entry.spec.name, "threads": 2})
    np.testing.assert_array_equal(found, mask_clouds(cube, entry.spec.name, preset="cdse"))
