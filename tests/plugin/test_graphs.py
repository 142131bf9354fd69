"""Graphs of the real client, run at home: what a user of a back-end would send there."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import openeo
import pytest
import xarray as xr

import cloudmask
import cloudmask_openeo
from cloudmask_openeo import local_connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask.registry import Entry


def connected(collections: Any) -> Any:
    """Connect; the client's types say that its local results were dictionaries."""
    return local_connection(collections)


BRIGHT = """
def apply_metadata(metadata, context):
    return metadata.rename_labels("bands", target=["mask", "value"])
"""
BRIGHT_CUBE = (
    "xarray.concat([cube.sel(bands=['B02']) > context['limit'], cube.sel(bands=['B02'])], 'bands')"
    ".assign_coords(bands=['mask', 'value'])"
)


def square(size: int, overlap: int = 0, t: str | None = None) -> dict[str, Any]:
    return {
        "size": [
            *({"dimension": axis, "value": size, "unit": "px"} for axis in "xy"),
            {"dimension": "t", "value": t},
        ],
        "overlap": [{"dimension": axis, "value": overlap, "unit": "px"} for axis in "xy"],
    }


def relabelled(cube: Any, *labels: str) -> Any:
    """Tell the client which bands a UDF answers."""
    cube.metadata = cube.metadata.rename_labels("bands", list(labels))
    return cube


@pytest.fixture(params=["scene.nc", "scene.zarr", "scene.tif"])
def loaded(scene_files: Path, request: pytest.FixtureRequest) -> Any:
    return connected({"SENTINEL2_L1C": scene_files / request.param}).load_collection(
        "SENTINEL2_L1C", bands=["B08", "B02"]
    )


def test_load_mask_by_a_udf_filter_reduce_and_mask(
    loaded: Any, udf_text: Callable[..., str]
) -> None:
    udf = openeo.UDF(udf_text(BRIGHT_CUBE, after=BRIGHT), context={"limit": 4000})
    bright = relabelled(loaded.apply_neighborhood(udf, **square(16, 4)), "mask", "value")
    mask = bright.filter_bands(["mask"]).reduce_dimension(
        dimension="bands", reducer=lambda values: values.array_element(index=0)
    )
    answer = loaded.mask(mask).execute()
    assert isinstance(answer, xr.DataArray)
    assert answer.chunks is not None
    numbers = loaded.execute()
    xr.testing.assert_equal(
        answer.compute(), numbers.where(numbers.sel(bands="B02", drop=True) <= 4000).compute()
    )


def test_a_context_comes_from_run_udf_unless_it_refers_to_the_parent(
    loaded: Any, udf_text: Callable[..., str]
) -> None:
    text = udf_text("cube * 0 + context['value']")
    own = openeo.UDF(text, context={"value": 1})
    parents = openeo.UDF(text, context={"from_parameter": "context"})
    for udf, value in ((own, 1), (parents, 2)):
        answer = loaded.apply_neighborhood(udf, **square(16), context={"value": 2}).execute()
        assert (answer == value).all().compute()


def test_a_parameter_inside_a_context_is_refused(
    loaded: Any, udf_text: Callable[..., str]
) -> None:
    udf = openeo.UDF(udf_text("cube"), context={"deep": [{"from_parameter": "limit"}]})
    with pytest.raises(cloudmask.CloudmaskError, match=r"no.* value for the parameter limit"):
        loaded.apply_neighborhood(udf, **square(16)).execute()


def test_two_neighbourhoods_follow_each_other(loaded: Any, udf_text: Callable[..., str]) -> None:
    once = loaded.apply_neighborhood(openeo.UDF(udf_text("cube + 1")), **square(16, 3))
    twice = once.apply_neighborhood(openeo.UDF(udf_text("cube * 2")), **square(9, 2, "P1D"))
    xr.testing.assert_equal(
        twice.execute().compute(), ((loaded.execute() + np.float32(1)) * 2).compute()
    )


def test_a_graph_with_save_result_gives_the_cube(loaded: Any) -> None:
    graph = json.dumps({"process_graph": loaded.save_result("netCDF").flat_graph()})
    answer = loaded.connection.execute(graph)
    xr.testing.assert_identical(answer, loaded.execute())


# The real UDF, and the graph that cloudmask_openeo.mask_clouds builds


@pytest.fixture(scope="session")
def real_file(imagery: xr.DataArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene and its mirror image as two dates, with 0 for no data."""
    pytest.importorskip("rioxarray")
    crop = imagery.isel(x=slice(0, 500))  # no multiple of a chunk
    both = xr.concat([crop, crop.isel(x=slice(None, None, -1))], "t")
    dated = both.assign_coords(
        t=np.array(["2020-06-01", "2020-06-06"], "datetime64[ns]"),
        y=5e6 - 5 - 10.0 * np.arange(both.sizes["y"]),
        x=6e5 + 5 + 10.0 * np.arange(both.sizes["x"]),
    )
    path = tmp_path_factory.mktemp("real") / "scene.nc"
    dated.to_dataset("bands").rio.write_crs(32633).to_netcdf(path)
    return path


@pytest.fixture(scope="session")
def whole(real_file: Path, ukis_4b: Entry) -> xr.DataArray:
    """The mask of the scene in one piece, (t, bands, y, x) uint8."""
    assert ukis_4b.installed
    with xr.open_dataset(real_file, decode_coords="all") as dataset:
        cube = dataset.to_dataarray("bands").transpose("t", "bands", "y", "x").load()
    return cloudmask.mask_clouds(cube, preset="dn")


@pytest.fixture
def real_cube(real_file: Path) -> Any:
    return connected({"SENTINEL2_L1C": real_file}).load_collection("SENTINEL2_L1C")


@pytest.mark.parametrize(("size", "t"), [(192, "P1D"), (384, None)])
def test_the_udf_text_in_chunks_is_the_whole_scene(
    real_cube: Any, whole: xr.DataArray, size: int, t: str | None
) -> None:
    text = resources.files("cloudmask").joinpath("udf.py").read_text("utf-8")
    udf = openeo.UDF(text, context={"preset": "dn", "chunk_overlap": 32})
    answer = real_cube.apply_neighborhood(udf, **square(size, 32, t)).execute()
    assert list(answer["bands"].values) == ["mask", "class"]
    np.testing.assert_array_equal(answer, whole)


def test_mask_clouds_and_cloud_free_at_home_are_the_whole_scene(
    real_cube: Any, whole: xr.DataArray
) -> None:
    masked = cloudmask_openeo.mask_clouds(
        # The network's pixels are larger, and resampling adds a border here.
        real_cube,
        preset="dn",
        chunks=cloudmask_openeo.Chunks(size=192, resample=None),
    )
    np.testing.assert_array_equal(masked.execute(), whole)
    free = cloudmask_openeo.cloud_free(real_cube, masked).execute()
    numbers = real_cube.execute()
    expected = numbers.where(whole.sel(bands="mask", drop=True).values[:, None] == 0)
    np.testing.assert_array_equal(free, expected)


def test_cloud_detection_in_a_graph_is_the_core(real_cube: Any, imagery: xr.DataArray) -> None:
    scene = imagery.isel(x=slice(0, 500))
    small = real_cube.filter_temporal(["2020-06-01", "2020-06-02"])
    detected = small.process(
        "cloud_detection", data=small, method=None, options={"preset": "dn"}
    ).execute()
    layout = cloudmask.Output(layout="cloud_detection")
    expected = cloudmask.mask_clouds(scene, preset="dn", options=cloudmask.Options(output=layout))
    assert list(detected["bands"].values) == ["cloud", "shadow", "haze"]
    np.testing.assert_allclose(detected.isel(t=0), expected, atol=1e-5)
