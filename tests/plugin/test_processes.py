from __future__ import annotations

import inspect
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from cloudmask.errors import CubeError, OptionError
from cloudmask_openeo import process_implementations, specs
from cloudmask_openeo.plugin import PROCESSES, register
from cloudmask_openeo.process_implementations import (
    apply_neighborhood,
    run_udf,
)
from cloudmask_openeo.process_implementations.detection import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable


SIZE = [{"dimension": axis, "value": 4, "unit": "px"} for axis in "xy"]


@pytest.fixture
def cube() -> xr.DataArray:
    numbers = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    coords = {"bands": ["a", "b", "c"], "x": np.arange(8.0)}
    return xr.DataArray(numbers, coords, ("t", "bands", "y", "x"))


def calling_run_udf(text: str, context: Any = None) -> Callable[..., Any]:
    """Make the callback that a graph would, without the graph."""

    def callback(data: Any, **_: Any) -> Any:
        return run_udf(data, text, "Python", context=context)

    return callback


def test_run_udf_learns_the_neighbourhood_from_apply_neighborhood(
    cube: xr.DataArray, udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    text = udf_text("cube", before="import chunk_log; chunk_log.seen.append(cube.shape)")
    overlap = [{"dimension": "x", "value": 1, "unit": "px"}]
    answer = apply_neighborhood(cube, calling_run_udf(text), SIZE, overlap)
    xr.testing.assert_identical(answer, cube)
    assert chunk_log == [(2, 3, 4, 6)] * 4


def test_the_neighbourhood_ends_with_apply_neighborhood(
    cube: xr.DataArray, udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    text = udf_text("cube", before="import chunk_log; chunk_log.seen.append(cube.shape)")
    with pytest.raises(OptionError, match="Python"):
        apply_neighborhood(cube, lambda data, **_: run_udf(data, text, "R"), SIZE)
    run_udf(cube, text, "Python")
    assert chunk_log == [cube.shape]


def test_a_callback_without_a_udf_is_refused(cube: xr.DataArray) -> None:
    with pytest.raises(OptionError, match="runs no UDF"):
        apply_neighborhood(cube, lambda data, **_: data + 1, SIZE)


def test_a_second_udf_in_a_callback_is_refused(
    cube: xr.DataArray, udf_text: Callable[..., str]
) -> None:
    once = calling_run_udf(udf_text("cube"))
    with pytest.raises(OptionError, match="more than one UDF"):
        apply_neighborhood(cube, lambda data, **_: once(once(data)), SIZE)


def test_inside_another_process_chunks_cannot_be_cut(
    cube: xr.DataArray, udf_text: Callable[..., str]
) -> None:
    once = calling_run_udf(udf_text("cube"))
    with pytest.raises(CubeError, match="ndarray: a raster cube"):
        apply_neighborhood(cube, lambda data, **_: once(data.values), SIZE)


@pytest.mark.parametrize("runtime", ["Python", "python", "Python3"])
def test_python_is_the_runtime(
    cube: xr.DataArray, udf_text: Callable[..., str], runtime: str
) -> None:
    answer = run_udf(cube, udf_text("cube * 2"), runtime, version="3.11")
    xr.testing.assert_identical(answer, cube * 2)


@pytest.mark.parametrize("lost", ["cube.drop_vars(['bands', 'x'])", "cube"])
def test_outside_neighbourhoods_coordinates_are_kept(
    cube: xr.DataArray, udf_text: Callable[..., str], lost: str
) -> None:
    xr.testing.assert_identical(run_udf(cube, udf_text(lost), "Python"), cube)


def test_outside_neighbourhoods_new_labels_stay(
    cube: xr.DataArray, udf_text: Callable[..., str]
) -> None:
    text = udf_text("cube.assign_coords(bands=['d', 'e', 'f']).isel(x=[0])")
    answer = run_udf(cube, text, "Python")
    assert list(answer["bands"].values) == ["d", "e", "f"]
    assert answer.sizes["x"] == 1


@pytest.mark.parametrize("as_cube", ["array", "cube"])
def test_outside_neighbourhoods_it_is_run_udf_of_openeo_processes_dask(
    cube: xr.DataArray, udf_text: Callable[..., str], as_cube: str
) -> None:
    from openeo_processes_dask.process_implementations.udf import run_udf as theirs

    data: Any = cube if as_cube == "cube" else cube.chunk({"x": 3}).data
    text = udf_text("cube + context['add']")
    ours = run_udf(data, text, "Python", context={"add": 2})
    xr.testing.assert_identical(ours, theirs(data, text, "Python", context={"add": 2}))
    assert type(ours.data) is type(data.data if as_cube == "cube" else data)


def test_two_answers_are_refused(cube: xr.DataArray) -> None:
    text = "def both(data: UdfData):\n    data.set_datacube_list(data.get_datacube_list() * 2)\n"
    with pytest.raises(CubeError, match="answers 2 cubes"):
        run_udf(cube, text, "Python")


def test_a_context_that_is_no_object_is_refused(
    cube: xr.DataArray, udf_text: Callable[..., str]
) -> None:
    with pytest.raises(OptionError, match=r"context=\[1\]: must be an object"):
        run_udf(cube, udf_text("cube"), "Python", context=[1])


def test_threads_share_one_module_of_a_udf(
    cube: xr.DataArray, udf_text: Callable[..., str], chunk_log: list[Any]
) -> None:
    """The client's cache alone lets threads that begin together each run the text."""
    slow = "import chunk_log, time\nchunk_log.seen.append(1)\ntime.sleep(0.1)\n"
    text = slow + udf_text("cube")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: run_udf(cube, text, "Python"), range(4)))
    assert chunk_log == [1]


# Descriptions, and loading by back-ends


def test_every_function_of_the_package_is_a_process_with_a_description() -> None:
    functions = dict(inspect.getmembers(process_implementations, inspect.isfunction))
    assert set(functions) == set(PROCESSES) == set(specs.__all__)
    for name in functions:
        assert getattr(specs, name)["id"] == name


@pytest.mark.parametrize("name", PROCESSES)
def test_descriptions_have_the_parameters_of_the_functions(name: str) -> None:
    described = {each["name"]: each for each in getattr(specs, name)["parameters"]}
    actual = inspect.signature(getattr(process_implementations, name)).parameters
    assert list(described) == list(actual)
    for parameter in actual.values():
        assert described[parameter.name].get("optional", False) == (
            parameter.default is not inspect.Parameter.empty
        )


def test_options_of_cloud_detection_are_described() -> None:
    options = specs.cloud_detection["parameters"][2]["schema"]["properties"]
    assert set(options) == set(OPTIONS)


@pytest.mark.parametrize("name", PROCESSES)
def test_descriptions_are_whole(name: str) -> None:
    spec = getattr(specs, name)
    assert {"summary", "description", "parameters", "returns", "exceptions", "links"} <= set(spec)
    assert all(each["description"] and each["schema"] for each in spec["parameters"])
    json.dumps(spec)


def test_the_layout_is_what_executors_load() -> None:
    from openeo_pg_parser_networkx import ProcessRegistry
    from openeo_pg_parser_networkx.process_registry import Process

    registry = ProcessRegistry()
    for name, function in inspect.getmembers(process_implementations, inspect.isfunction):
        registry[name] = Process(spec=getattr(specs, name), implementation=function)
    assert {name for _, name in registry} == set(PROCESSES)


def test_registering_again_changes_nothing() -> None:
    from openeo_pg_parser_networkx import ProcessRegistry
    from openeo_processes_dask.process_implementations.core import process

    registry = ProcessRegistry(wrap_funcs=[process])
    register(registry)
    first = {name: registry[name].spec for _, name in registry}
    register(registry)
    assert {name: registry[name].spec for _, name in registry} == first
    assert inspect.unwrap(registry["run_udf"].implementation) is run_udf


def test_a_back_end_that_changes_a_description_changes_its_own() -> None:
    from openeo_pg_parser_networkx import ProcessRegistry

    registry = ProcessRegistry()
    register(registry)
    registry["run_udf"].spec["summary"] = "ours"
    assert specs.run_udf["summary"] != "ours"


def test_the_plugin_needs_neither_the_client_nor_openeo_processes_dask() -> None:
    code = (
        "import sys\n"
        "for name in ('openeo', 'openeo_processes_dask', 'openeo_pg_parser_networkx'):\n"
        "    sys.modules[name] = None\n"
        "import cloudmask_openeo.plugin\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
