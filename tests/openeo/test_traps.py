"""What goes wrong on back-ends without a word, and that we do not fall for it.

Each test is named after a trap. Those of particular back-ends are shown with these, in
`tests/backends` and `tests/plugin`; those of the UDF's text in `test_udf_text.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.udf import UdfData
from openeo.udf.run_code import run_udf_code
from openeo.udf.xarraydatacube import XarrayDataCube

from cloudmask.chunk import mask_chunk
from cloudmask_openeo import cloud_free, mask_clouds, udf_code

if TYPE_CHECKING:
    from pathlib import Path

BANDS = ["B02", "B03", "B04", "B08"]


@pytest.fixture
def context(tiny_network: Path) -> dict[str, Any]:
    return {"model": str(tiny_network), "chunk_overlap": 4}


def chunk() -> xr.DataArray:
    """A chunk of 48 own pixels as geopyspark hands one over."""
    numbers = np.random.default_rng(4).uniform(100, 6000, (4, 56, 56)).round().astype(np.float32)
    return xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": BANDS})


def own(answer: xr.DataArray) -> xr.DataArray:
    """Cut off the overlap, as back-ends do."""
    return answer.isel(y=slice(4, -4), x=slice(4, -4))


# -- what comes in --------------------------------------------------------------------------


def test_trap_a_single_date_has_no_t_but_an_attribute(context: dict[str, Any]) -> None:
    dated = chunk().assign_attrs(t=np.datetime64("2020-01-01"))
    found = mask_chunk(dated, context)
    assert found.dims == ("bands", "y", "x")
    np.testing.assert_array_equal(found, mask_chunk(chunk(), context))


def test_trap_a_parent_without_context_hands_over_an_empty_one() -> None:
    # openeo-processes-dask overwrites the context of run_udf with that of its parent.
    expected = mask_chunk(chunk(), {"model": "cloudmask-s2-small-4b", "preset": "cdse"})
    nothings: list[dict[str, Any] | None] = [None, {}]
    for nothing in nothings:
        xr.testing.assert_identical(mask_chunk(chunk(), nothing), expected)


def test_trap_the_band_dimension_comes_last_without_labels(context: dict[str, Any]) -> None:
    bare = chunk().drop_vars("bands").transpose("y", "x", "bands")
    found = mask_chunk(bare, {**context, "bands": BANDS})
    np.testing.assert_array_equal(found, mask_chunk(chunk(), context))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float64"])
def test_trap_numbers_come_in_the_dtype_of_the_file(context: dict[str, Any], dtype: str) -> None:
    found = mask_chunk(chunk().astype(dtype), {**context, "preset": "dn"})
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, mask_chunk(chunk(), {**context, "preset": "dn"}))


def test_trap_angles_and_pictures_lie_among_the_bands(context: dict[str, Any]) -> None:
    others = xr.concat([chunk()[:1] * 0 + 7, chunk()[:1] * np.nan], dim="bands")
    others = others.assign_coords(bands=["sunAzimuthAngles", "TCI"])
    found = mask_chunk(xr.concat([others, chunk()], dim="bands"), context)
    np.testing.assert_array_equal(found, mask_chunk(chunk(), context))


def test_trap_the_offset_is_applied_already(context: dict[str, Any]) -> None:
    # Copernicus Data Space adds RADIO_ADD_OFFSET as it loads; once more would darken all.
    by_hand = {**context, "scale": 1e-4, "offset": 0, "nodata": []}
    found = mask_chunk(chunk(), {**context, "preset": "cdse", "layout": "probabilities"})
    xr.testing.assert_identical(found, mask_chunk(chunk(), {**by_hand, "layout": "probabilities"}))


@pytest.mark.parametrize("dark", [0, -120])
def test_trap_dark_pixels_are_zero_or_less_once_the_offset_is_applied(
    context: dict[str, Any], dark: int
) -> None:
    cube = chunk()
    cube[:, 20:30, 20:30] = dark
    assert (mask_chunk(cube, context).sel(bands="class")[20:30, 20:30] != 255).all()


def test_trap_a_pixel_may_lack_in_one_band_alone(context: dict[str, Any]) -> None:
    cube = chunk()
    cube[2, 20:23, 20:23] = np.nan
    found = mask_chunk(cube, context)
    assert (found.sel(bands="mask")[20:23, 20:23] == 1).all()
    assert int((own(found).sel(bands="class") == 255).sum()) == 9


# -- what goes out --------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("y", "x", "bands"), ("x", "bands", "y")])
def test_trap_the_answer_for_one_date_is_taken_as_it_lies(
    context: dict[str, Any], order: tuple[str, ...]
) -> None:
    data = UdfData(datacube_list=[XarrayDataCube(chunk().transpose(*order))], user_context=context)
    (found,) = run_udf_code(udf_code(), data).get_datacube_list() or []
    assert found.array.dims == ("bands", "y", "x")
    np.testing.assert_array_equal(found.array.values, mask_chunk(chunk(), context).values)


def test_trap_the_overlap_has_to_be_given_back(context: dict[str, Any]) -> None:
    assert mask_chunk(chunk(), context).shape == (2, 56, 56)


def test_trap_dates_of_another_shape_are_dropped(context: dict[str, Any]) -> None:
    # A date without a pixel needs no network, but its place.
    empty = chunk() * np.nan
    found = mask_chunk(xr.concat([chunk(), empty, chunk()], dim="t"), context)
    assert found.shape == (3, 2, 56, 56)
    assert (found[1].sel(bands="class") == 255).all()
    np.testing.assert_array_equal(found[2], found[0])


def test_trap_what_a_mask_does_not_say_is_kept_by_some_and_hidden_by_others(
    context: dict[str, Any],
) -> None:
    # geotrellis hides where a mask is NaN, openeo-processes-dask and titiler keep.
    cube = chunk()
    cube[:, :, 30:] = np.nan
    for layout in ("mask", "probabilities"):
        found = mask_chunk(cube, {**context, "layout": layout})
        assert found.bands.values[0] == "mask"
        assert set(np.unique(found[0])) == {0.0, 1.0}


# -- the graph ------------------------------------------------------------------------------


def test_trap_labels_that_stay_the_same_cannot_be_renamed(load_collection: Any) -> None:
    # openeo-processes-dask raises LabelExists; the client's own metadata are renamed instead.
    cube = load_collection()
    graph = cloud_free(cube, mask_clouds(cube)).flat_graph().values()
    assert "rename_labels" not in {node["process_id"] for node in graph}


def test_trap_a_runtime_is_python_without_a_version(load_collection: Any) -> None:
    # Python-Jep runs each chunk anew inside the JVM; a version is refused by some.
    (around,) = [
        node["arguments"] for node in mask_clouds(load_collection()).flat_graph().values()
        if node["process_id"] == "apply_neighborhood"
    ]  # fmt: skip
    callback = around["process"]["process_graph"]
    (run_udf,) = callback.values()
    assert run_udf["arguments"]["runtime"] == "Python"
    assert run_udf["arguments"].get("version") is None


def test_trap_a_callback_may_be_a_single_udf_only(load_collection: Any) -> None:
    graph = mask_clouds(load_collection(), layout="probabilities", dilate=50).flat_graph()
    (around,) = [node for node in graph.values() if node["process_id"] == "apply_neighborhood"]
    callback = around["arguments"]["process"]["process_graph"]
    assert [node["process_id"] for node in callback.values()] == ["run_udf"]


def test_trap_pixels_are_counted_after_resampling(load_collection: Any) -> None:
    graph = mask_clouds(load_collection(), "ukis-6b-l1c").flat_graph()
    (around,) = [node for node in graph.values() if node["process_id"] == "apply_neighborhood"]
    before = graph[around["arguments"]["data"]["from_node"]]
    assert before["process_id"] == "resample_spatial"
    assert before["arguments"]["resolution"] == 20
