"""The text that is sent to a back-end, run as a back-end runs it. Each trap has its test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from packaging.requirements import Requirement

from cloudmask.classes import LAYOUT_BANDS
from cloudmask.context import DEFAULT_FOLDER
from cloudmask.cube import mask_clouds

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.metadata import Band, BandDimension, CubeMetadata, SpatialDimension
from openeo.udf import UdfData
from openeo.udf.run_code import execute_local_udf, load_module_from_string, run_udf_code
from openeo.udf.xarraydatacube import XarrayDataCube

from cloudmask.errors import OptionError
from cloudmask_openeo.text import udf_code

if TYPE_CHECKING:
    from cloudmask_openeo.text import Delivery

TEXT = (resources.files("cloudmask") / "udf.py").read_text("utf-8")
BANDS = ["B02", "B03", "B04", "B08"]
DELIVERIES: list[Delivery] = ["pep723", "archive", "inline"]


def cube(*, dated: bool = False) -> xr.DataArray:
    numbers = np.random.default_rng(3).uniform(100, 6000, (4, 50, 60)).round().astype(np.float32)
    made = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": BANDS})
    return made.expand_dims(t=np.array(["2020-01-01"], "datetime64[ns]")) if dated else made


def run(text: str, array: xr.DataArray, context: dict[str, Any]) -> xr.DataArray:
    """Run a UDF as back-ends do."""
    data = UdfData(datacube_list=[XarrayDataCube(array)], user_context=context)
    (found,) = run_udf_code(text, data).get_datacube_list() or []
    return found.array


def without(hidden: str, text: str, then: str) -> subprocess.CompletedProcess[str]:
    """Run a UDF's text in a fresh interpreter that cannot import some packages."""
    code = f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden.split()!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Hide())
scope = {{"__name__": "builtins"}}
exec({text!r}, scope)
{then}
"""
    return subprocess.run(
        # By standard input, as the package in a text is too long for a command line.
        [sys.executable, "-"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )


# -- what the text is -----------------------------------------------------------------------


def test_the_text_is_short_enough_to_be_read_before_it_is_sent() -> None:
    assert len(TEXT.splitlines()) <= 60


@pytest.mark.parametrize("extras", [set(), {"ukis"}, {"ukis", "dask"}])
def test_the_pep_723_block_names_us_and_our_python(extras: set[str]) -> None:
    text = udf_code(extras=sorted(extras, reverse=True))
    block = re.search(r"^# /// script\n((?:#.*\n)*?)# ///$", text, re.MULTILINE)
    assert block
    lines = [line.removeprefix("#").removeprefix(" ") for line in block[1].splitlines()]
    metadata = tomllib.loads("\n".join(lines))
    assert metadata["requires-python"] == ">=3.11"
    (needed,) = map(Requirement, metadata["dependencies"])
    assert (needed.name, needed.extras) == ("openeo-cloudmask", extras)


@pytest.mark.parametrize("delivery", ["pep723", "archive"])
def test_the_text_alone_masks_with_the_packages_own_network(delivery: Delivery) -> None:
    found = run(udf_code(delivery), cube(), {})
    assert found.attrs["cloudmask_model"] == "cloudmask-s2-small-4b"
    np.testing.assert_array_equal(found, mask_clouds(cube(), preset="cdse"))
    (local,) = execute_local_udf(udf_code(delivery), cube(dated=True)).get_datacube_list() or []
    np.testing.assert_array_equal(local.array.squeeze("t"), found)


def test_the_labels_are_those_of_the_package() -> None:
    labels = load_module_from_string(TEXT)["LABELS"]
    assert {layout: tuple(names) for layout, names in labels.items()} == LAYOUT_BANDS


def test_the_folder_of_the_archive_is_that_of_the_package() -> None:
    assert f'"{DEFAULT_FOLDER}"' in TEXT


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_no_managed_dependency_is_imported_at_module_level(delivery: Delivery) -> None:
    # VITO runs apply_metadata where a job's dependencies are not (geopyspark issue 1078).
    tree = ast.parse(udf_code(delivery))
    names = {
        name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert names - set(sys.stdlib_module_names) == {"xarray"}


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_annotations_are_evaluated_so_that_openeo_finds_the_function(delivery: Delivery) -> None:
    text = udf_code(delivery)
    assert "from __future__" not in text
    function = load_module_from_string(text)["apply_datacube"]
    assert function.__annotations__ == {
        "cube": xr.DataArray,
        "context": dict,
        "return": xr.DataArray,
    }


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_apply_metadata_is_found_by_the_expression_that_vito_uses(delivery: Delivery) -> None:
    assert re.search(r"^def\s+apply_metadata\s*\(", udf_code(delivery), re.MULTILINE)


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_no_helper_can_be_taken_for_the_udf(delivery: Delivery) -> None:
    # openEO runs any function with one argument annotated UdfData, and some by name.
    module = load_module_from_string(udf_code(delivery))
    named = {"apply_timeseries", "apply_hypercube", "apply_vectorcube", "apply_udf_data"}
    assert not named & set(module)
    assert "UdfData" not in udf_code(delivery)


def test_an_archive_makes_the_pep_723_block_needless_and_harmful() -> None:
    # With it, the back-end would install everything once more, and unpack it for every chunk.
    assert "/// script" not in udf_code("archive")
    assert TEXT.endswith(udf_code("archive"))


def test_an_unknown_delivery_is_refused() -> None:
    delivery: Any = "pigeon"
    with pytest.raises(OptionError, match="delivery='pigeon': choose one of pep723, archive"):
        udf_code(delivery)


# -- what it does ---------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("dated", [False, True])
def test_the_text_answers_as_the_package(
    tiny_network: Path,
    delivery: Delivery,
    dated: bool,  # noqa: FBT001
) -> None:
    array = cube(dated=dated)
    found = run(udf_code(delivery), array, {"model": str(tiny_network)})
    assert found.dims == array.dims
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, mask_clouds(array, tiny_network, preset="cdse"))


def test_execute_local_udf_answers_as_the_package(tiny_network: Path) -> None:
    array = cube(dated=True)
    # It knows no context, so the model has to stand in the text: at home only.
    text = TEXT.replace(
        "return mask_chunk(cube, context)",
        f"return mask_chunk(cube, {{'model': {str(tiny_network)!r}}})",
    )
    found = execute_local_udf(text, array).get_datacube_list()[0].array
    np.testing.assert_array_equal(found, mask_clouds(array, tiny_network, preset="cdse"))


def test_a_dask_chunk_stays_lazy(tiny_network: Path) -> None:
    pytest.importorskip("dask.array")
    found = run(TEXT, cube().chunk(y=20), {"model": str(tiny_network)})
    assert found.chunks is not None
    np.testing.assert_array_equal(found, mask_clouds(cube(), tiny_network, preset="cdse"))


def test_the_context_is_the_same_dictionary_for_every_chunk(tiny_network: Path) -> None:
    context = {"model": str(tiny_network), "layout": "probabilities", "chunk_overlap": 4}
    before = dict(context)
    first = run(TEXT, cube(), context)
    assert context == before
    xr.testing.assert_identical(run(TEXT, cube(), context), first)


@pytest.mark.parametrize("deps", [None, "here", [], ["here", "there"], "x" * 10_000, "\0"])
def test_folders_of_an_archive_may_be_one_or_many_or_left_out(
    tiny_network: Path, deps: Any
) -> None:
    context = {"model": str(tiny_network)}
    expected = run(TEXT, cube(), context)
    xr.testing.assert_identical(run(TEXT, cube(), {**context, "deps": deps}), expected)


@pytest.mark.parametrize("deps", [5, {"x": 1}, ["x", None], [["x"]], ["\0", 1]])
def test_folders_that_are_no_names_are_refused_in_words(tiny_network: Path, deps: Any) -> None:
    with pytest.raises(OptionError, match="context: "):
        run(TEXT, cube(), {"model": str(tiny_network), "deps": deps})


@pytest.mark.parametrize("layout", [*LAYOUT_BANDS, None])
def test_metadata_get_the_labels_of_the_layout(layout: str | None) -> None:
    bands = BandDimension("bands", [Band(name) for name in BANDS])
    metadata = CubeMetadata([SpatialDimension("x", [0, 1]), bands])
    apply_metadata = load_module_from_string(TEXT)["apply_metadata"]
    named = apply_metadata(metadata, {"layout": layout} if layout else None)
    assert tuple(named.band_names) == LAYOUT_BANDS[layout or "mask"]
    assert named.dimension_names() == ["x", "bands"]


def test_a_layout_that_is_null_is_the_default() -> None:
    metadata = CubeMetadata([BandDimension("spectral", [Band("B02")])])
    apply_metadata = load_module_from_string(TEXT)["apply_metadata"]
    assert apply_metadata(metadata, {"layout": None}).band_names == ["mask", "class"]


def test_metadata_need_none_of_our_packages() -> None:
    then = """
from openeo.metadata import Band, BandDimension, CubeMetadata
metadata = CubeMetadata([BandDimension("bands", [Band("B02")])])
print(scope["apply_metadata"](metadata, {}).band_names)
"""
    done = without("cloudmask onnxruntime scipy", TEXT, then)
    assert (done.stdout, done.stderr) == ("['mask', 'class']\n", "")


def test_a_worker_without_our_package_says_what_to_give(tmp_path: Path) -> None:
    done = without("cloudmask", TEXT, "scope['apply_datacube'](None, {'deps': ['a', 'b']})")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "ImportError: No module named 'cloudmask': neither installed nor in a, b"
    )
    assert "udf-dependency-archives" in last
    # Back-ends write causes into the log, too.
    assert "another exception" not in done.stderr


def test_a_worker_without_our_package_and_without_a_context_looks_in_the_usual_folder() -> None:
    done = without("cloudmask", TEXT, "scope['apply_datacube'](None, None)")
    assert "neither installed nor in cloudmask_deps of" in done.stderr


def test_a_worker_without_onnxruntime_says_what_to_give(tiny_network: Path) -> None:
    then = f"""
import numpy, xarray
numbers = numpy.full((4, 40, 40), 900.0)
cube = xarray.DataArray(numbers, dims=("bands", "y", "x"), coords={{"bands": {BANDS}}})
scope["apply_datacube"](cube, {{"model": {str(tiny_network)!r}}})
"""
    done = without("onnxruntime", TEXT, then)
    last = done.stderr.strip().splitlines()[-1]
    assert "No module named 'onnxruntime'" in last
    assert "`cloudmask bundle`" in last


def test_archives_are_searched_after_the_back_end_and_our_wheel_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A numpy in an archive must not shadow the back-end's; an older wheel of ours must not win.
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps" / "openeo_cloudmask-9-py3-none-any.whl").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["first", "last"])
    add = load_module_from_string(TEXT)["add_dependencies"]
    for _ in range(2):
        add(["deps", "absent"])
    folder = tmp_path / "deps"
    wheel = str(folder / "openeo_cloudmask-9-py3-none-any.whl")
    assert sys.path == [wheel, "first", "last", str(folder)]


def test_the_inline_text_carries_the_package(tiny_network: Path) -> None:
    then = f"""
import numpy, xarray
cube = xarray.DataArray(
    numpy.random.default_rng(3).uniform(100, 6000, (4, 50, 60)).round().astype("f4"),
    dims=("bands", "y", "x"), coords={{"bands": {BANDS}}},
)
found = scope["apply_datacube"](cube, {{"model": {str(tiny_network)!r}}})
import cloudmask
assert "openeo_cloudmask-inline.whl" in cloudmask.__file__, cloudmask.__file__
print(int(found.sum()))
print(cloudmask.__file__.partition("openeo_cloudmask-inline")[0])
"""
    hide = """
import os
sys.path[:] = [entry for entry in sys.path if not entry.rstrip("/").endswith("udf")]
"""
    text = hide + udf_code("inline")
    done = without("nothing", "import sys\n" + text, then)
    expected = mask_clouds(cube(), tiny_network, preset="cdse").values.astype(np.int64).sum()
    total, folder = done.stdout.splitlines()
    assert (total, done.stderr) == (str(expected), "")
    assert not Path(folder).exists()  # what it unpacked goes with the worker
