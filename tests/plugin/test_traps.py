"""Where openeo-processes-dask goes wrong or another way, and that we do not fall for it.

Each test shows the trap where that is possible, then our way round it. When the first half of one
fails, the trap has gone upstream, and our way round it may go, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openeo
import pytest
import xarray as xr

from cloudmask_openeo import local_connection
from cloudmask_openeo.plugin import register

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def connected(collections: Any) -> Any:
    """Connect; the client's types say that its local results were dictionaries."""
    return local_connection(collections)


SIZE = [{"dimension": axis, "value": 16, "unit": "px"} for axis in "xy"]
SEEN = (
    "import chunk_log; chunk_log.seen.append((cube.dims, cube.shape, str(cube.dtype), "
    "sorted(cube.coords), type(cube.data).__module__))"
)


@pytest.fixture
def ours(scene_files: Path) -> Any:
    return connected({"S2": scene_files / "scene.nc"}).load_collection("S2")


@pytest.fixture
def theirs(scene_files: Path) -> Any:
    """The same file by the client's own local connection."""
    from openeo.local import LocalConnection

    path = scene_files / "scene.nc"
    return LocalConnection(scene_files.as_posix()).load_collection(path.as_posix())


def test_trap_there_is_no_apply_neighborhood(
    ours: Any, theirs: Any, udf_text: Callable[..., str]
) -> None:
    udf = openeo.UDF(udf_text("cube"))
    with pytest.raises(KeyError, match="apply_neighborhood not found"):
        theirs.apply_neighborhood(udf, size=SIZE, overlap=[]).execute()
    xr.testing.assert_equal(
        ours.apply_neighborhood(udf, size=SIZE, overlap=[]).execute().compute(),
        ours.execute().astype(np.float32).compute(),
    )


def test_trap_a_callback_gives_its_first_result_for_ever(
    ours: Any, udf_text: Callable[..., str]
) -> None:
    """The engine remembers each node's result, so a callback a chunk answers the first chunk."""
    from openeo_pg_parser_networkx import ProcessRegistry
    from openeo_pg_parser_networkx.graph import OpenEOProcessGraph
    from openeo_pg_parser_networkx.process_registry import Process
    from openeo_processes_dask.process_implementations.core import process

    def each_half(data: Any, process: Callable[..., Any]) -> Any:
        halves = (data.isel(y=slice(0, 20)), data.isel(y=slice(20, 40)))
        return [process(half, positional_parameters={"data": 0}) for half in halves]

    registry = ProcessRegistry(wrap_funcs=[process])
    register(registry)
    registry["each_half"] = Process(spec={}, implementation=each_half)
    registry["load"] = Process(spec={}, implementation=ours.execute)
    text = udf_text("cube.mean(['y', 'x'])")
    run_udf = {
        "process_id": "run_udf",
        "arguments": {"data": {"from_parameter": "data"}, "udf": text, "runtime": "Python"},
        "result": True,
    }
    graph = {
        "load": {"process_id": "load", "arguments": {}},
        "halves": {
            "process_id": "each_half",
            "arguments": {
                "data": {"from_node": "load"},
                "process": {"process_graph": {"udf": run_udf}},
            },
            "result": True,
        },
    }
    first, second = OpenEOProcessGraph({"process_graph": graph}).to_callable(registry)()
    xr.testing.assert_identical(first, second)

    text = udf_text("cube * 0 + cube.mean(['y', 'x'])")
    size = [{"dimension": "y", "value": 20, "unit": "px"}]
    answer = ours.apply_neighborhood(openeo.UDF(text), size=size, overlap=[]).execute().compute()
    assert not np.allclose(answer.isel(y=0), answer.isel(y=-1))


def test_trap_run_udf_sees_no_dimensions_labels_and_floats(
    ours: Any, theirs: Any, udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    text = udf_text("cube", before=SEEN)
    theirs.apply_dimension(openeo.UDF(text), dimension="bands").execute()
    dims, shape, dtype, coords, kind = chunk_log[0]
    assert dims == ("dim_0", "dim_1", "dim_2", "dim_3")
    assert shape[-1] == 6, "the dimension is moved to the end"
    assert (dtype, coords) == ("uint16", [])
    assert kind.startswith("dask"), "and the cube is not cut at all"
    chunk_log.clear()
    ours.apply_neighborhood(openeo.UDF(text), size=SIZE, overlap=[]).execute().compute()
    assert set(map(str, chunk_log)) == {
        str(
            (
                ("t", "bands", "y", "x"),
                (3, 6, 16, 16),
                "float32",
                ["bands", "t", "x", "y"],
                "numpy",
            )
        )
    }


def test_trap_the_version_of_a_runtime_is_not_accepted(
    ours: Any, theirs: Any, udf_text: Callable[..., str]
) -> None:
    udf = openeo.UDF(udf_text("cube"), version="3.11")
    with pytest.raises(TypeError, match="version"):
        theirs.apply_dimension(udf, dimension="bands").execute()
    assert ours.apply_neighborhood(udf, size=SIZE, overlap=[]).execute().shape == (3, 6, 40, 50)


def test_trap_an_empty_overlap_is_parsed_as_time_intervals(
    ours: Any, udf_text: Callable[..., str]
) -> None:
    from openeo_pg_parser_networkx.pg_schema import ProcessNode

    node = ProcessNode.model_validate({"process_id": "a", "arguments": {"overlap": []}})
    assert type(node.arguments["overlap"]).__name__ == "TemporalIntervals"
    udf = openeo.UDF(udf_text("cube"))
    without: list[Any] = [[], None]
    for overlap in without:
        answer = ours.apply_neighborhood(udf, size=SIZE, overlap=overlap).execute()
        assert answer.shape == (3, 6, 40, 50)


def test_trap_deferred_annotations_hide_the_udf(ours: Any, udf_text: Callable[..., str]) -> None:
    hidden = "from __future__ import annotations\n" + udf_text("cube")
    with pytest.raises(openeo.udf.OpenEoUdfException, match="No UDF found"):
        ours.apply_neighborhood(openeo.UDF(hidden), size=SIZE, overlap=[]).execute()


def test_trap_the_client_does_not_know_the_bands_of_a_udf(
    ours: Any, udf_text: Callable[..., str]
) -> None:
    udf = openeo.UDF(udf_text("cube.isel(bands=[0]).assign_coords(bands=['mask'])"))
    masked = ours.apply_neighborhood(udf, size=SIZE, overlap=[])
    with pytest.raises(ValueError, match="mask"):
        masked.filter_bands(["mask"])
    masked.metadata = masked.metadata.rename_labels("bands", ["mask"])
    assert list(masked.filter_bands(["mask"]).execute()["bands"].values) == ["mask"]


def test_trap_a_mask_with_two_bands_masks_no_cube_with_six(
    ours: Any, udf_text: Callable[..., str]
) -> None:
    text = udf_text("(cube.isel(bands=[0, 1]) > 4000).assign_coords(bands=['mask', 'class'])")
    mask = ours.apply_neighborhood(openeo.UDF(text), size=SIZE, overlap=[])
    with pytest.raises(Exception, match=r"(?i)broadcast|align|conflict"):
        ours.mask(mask).execute().compute()
    first = mask.reduce_dimension(
        dimension="bands", reducer=lambda values: values.array_element(index=0)
    )
    answer = ours.mask(first).execute()
    expected = ours.execute().where(ours.execute().sel(bands="B02", drop=True) <= 4000)
    xr.testing.assert_equal(answer.compute(), expected.compute())


def test_trap_no_data_in_a_mask_masks_nothing(ours: Any, udf_text: Callable[..., str]) -> None:
    """So a mask must say 1 where it knows nothing."""
    udf = openeo.UDF(udf_text("cube.isel(bands=[0]) * np.nan"))
    mask = ours.apply_neighborhood(udf, size=SIZE, overlap=[]).reduce_dimension(
        dimension="bands", reducer=lambda values: values.array_element(index=0)
    )
    assert not np.isnan(ours.mask(mask).execute()).any().compute()


def test_trap_load_collection_ignores_its_arguments(theirs: Any, scene_files: Path) -> None:
    from openeo.local import LocalConnection

    path = (scene_files / "scene.nc").as_posix()
    arguments: dict[str, Any] = {
        "bands": ["B8A"],
        "temporal_extent": ["2020-06-03", "2020-06-04"],
        "spatial_extent": {
            "west": 6e5, "east": 6e5 + 100, "south": 5e6 - 100, "north": 5e6, "crs": 32633
        },
    }  # fmt: skip
    their: Any = LocalConnection(scene_files.as_posix()).load_collection(path, **arguments)
    assert their.execute().shape == (6, 3, 40, 50)
    our = connected(scene_files).load_collection(path, **arguments)
    assert our.execute().shape == (1, 1, 10, 10)


def test_trap_zarr_is_loaded_as_a_dataset(scene_files: Path) -> None:
    from openeo.local import LocalConnection

    path = (scene_files / "scene.zarr").as_posix()
    their: Any = LocalConnection(scene_files.as_posix()).load_collection(path)
    assert isinstance(their.execute(), xr.Dataset)
    assert isinstance(connected(scene_files).load_collection(path).execute(), xr.DataArray)


def test_trap_zarr_lists_bands_by_the_alphabet(scene_files: Path) -> None:
    path = scene_files / "scene.zarr"
    with xr.open_dataset(path, engine="zarr", chunks={}) as dataset:
        bands = [name for name in dataset.data_vars if str(name).startswith("B")]
        assert bands[-2:] == ["B11", "B8A"]
    cube = connected({"S2": path}).load_collection("S2").execute()
    assert list(cube["bands"].values) == ["B02", "B03", "B04", "B08", "B8A", "B11"]


def test_trap_properties_need_a_server(scene_files: Path) -> None:
    from openeo.local import LocalConnection

    path = (scene_files / "scene.nc").as_posix()
    properties: Any = {"eo:cloud_cover": lambda cover: cover <= 20}
    with pytest.raises(AttributeError, match="capabilities"):
        LocalConnection(scene_files.as_posix()).load_collection(path, properties=properties)
    our = connected(scene_files).load_collection(path, properties=properties)
    assert our.execute().shape == (3, 6, 40, 50)


def test_trap_resample_spatial_adds_a_border_of_pixels(ours: Any, theirs: Any) -> None:
    assert theirs.resample_spatial(resolution=10).execute().shape[-2:] == (42, 52)
    xr.testing.assert_identical(ours.resample_spatial(resolution=10).execute(), ours.execute())


@pytest.mark.parametrize("method", ["average", "near"])
def test_trap_resample_spatial_smears_over_the_border(ours: Any, method: str) -> None:
    coarse = ours.resample_spatial(resolution=20, method=method).execute().compute()
    fine = ours.execute().astype(np.float32).compute()
    assert coarse.shape == (3, 6, 20, 25)
    np.testing.assert_allclose(coarse["x"], 6e5 + 10 + 20.0 * np.arange(25))
    np.testing.assert_allclose(coarse["y"], 5e6 - 10 - 20.0 * np.arange(20))
    if method == "average":
        mean: Any = fine.coarsen(y=2, x=2)
        np.testing.assert_allclose(coarse, mean.mean(), atol=1)  # rounded to whole numbers


def test_trap_save_result_does_not_exist(ours: Any, theirs: Any) -> None:
    saved = {"process_id": "save_result", "result": True}

    def graph(cube: Any) -> dict[str, Any]:
        nodes = cube.flat_graph()
        name = next(iter(nodes))
        nodes[name].pop("result")
        arguments = {"data": {"from_node": name}, "format": "GTiff"}
        return nodes | {"save": saved | {"arguments": arguments}}

    with pytest.raises(KeyError, match="save_result not found"):
        theirs.connection.execute(graph(theirs))
    assert ours.connection.execute(graph(ours)).shape == (3, 6, 40, 50)
