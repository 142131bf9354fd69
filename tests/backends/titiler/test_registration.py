"""What titiler-openeo says about itself with the plugin."""

from __future__ import annotations

import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from openeo.rest import OpenEoApiPlainError

from cloudmask.errors import OptionError
from cloudmask_openeo import specs
from cloudmask_openeo.titiler import register

if TYPE_CHECKING:
    Titiler = Any

TEXT = resources.files("cloudmask").joinpath("udf.py").read_text()
SIZE = [{"dimension": axis, "value": 192, "unit": "px"} for axis in "xy"]
OVERLAP = [{"dimension": axis, "value": 32, "unit": "px"} for axis in "xy"]


def graph(process: dict[str, Any]) -> dict[str, Any]:
    extent = {"west": 9, "south": 46, "east": 10, "north": 47}
    years = ["2015-01-01", "2035-01-01"]
    where = {"id": "scene", "spatial_extent": extent, "temporal_extent": years}
    load = {"process_id": "load_collection", "arguments": where}
    return {"load": load, "mask": {**process, "result": True}}


def neighbourhoods(context: dict[str, Any]) -> dict[str, Any]:
    data = {"from_parameter": "data"}
    run = {"data": data, "udf": TEXT, "runtime": "Python", "context": context}
    callback = {"run": {"process_id": "run_udf", "arguments": run, "result": True}}
    return {
        "process_id": "apply_neighborhood",
        "arguments": {
            "data": {"from_node": "load"},
            "process": {"process_graph": callback},
            "size": SIZE,
            "overlap": OVERLAP,
        },
    }


@pytest.mark.parametrize("name", ["apply_neighborhood", "run_udf", "cloud_detection"])
def test_the_processes_are_listed_with_their_descriptions(titiler: Titiler, name: str) -> None:
    spec = titiler.connect().describe_process(name)
    assert spec["id"] == name
    assert next(parameter["name"] for parameter in spec["parameters"]) == "data"
    assert spec["returns"]["schema"]


def test_without_the_operators_word_no_program_of_a_user_runs(public_titiler: Titiler) -> None:
    listed = {process["id"] for process in public_titiler.connect().list_processes()}
    assert "cloud_detection" in listed
    assert not listed & {"run_udf", "apply_neighborhood"}


def test_a_udf_sent_to_a_server_without_them_is_refused(public_titiler: Titiler) -> None:
    with pytest.raises(OpenEoApiPlainError, match=r"(run_udf|apply_neighborhood) not found"):
        public_titiler.connect().execute(graph(neighbourhoods({})))


def test_validation_accepts_our_graph(titiler: Titiler) -> None:
    context = {"preset": "reflectance", "chunk_overlap": 32}
    assert titiler.connect().validate_process_graph(graph(neighbourhoods(context))) == []


def test_validation_names_a_size_that_is_missing(titiler: Titiler) -> None:
    process = neighbourhoods({})
    del process["arguments"]["size"]
    (error,) = titiler.connect().validate_process_graph(graph(process))
    assert "'size'" in error["message"]


@pytest.fixture
def registry() -> dict[Any, Any]:
    """As good as titiler's for registering."""
    return {}


def test_nothing_but_detection_and_filters_is_added_if_nothing_is_said(
    registry: dict[Any, Any],
) -> None:
    register(registry)
    assert set(registry) == {"cloud_detection", "filter_bands", "filter_bbox"}


def test_descriptions_are_added_where_titiler_keeps_them(registry: dict[Any, Any]) -> None:
    told: dict[str, Any] = {}
    register(registry, told, run_udf=True)
    assert {name: spec["id"] for name, spec in told.items()} == {name: name for name in registry}


def test_a_filter_that_titiler_has_is_left_alone(registry: dict[Any, Any]) -> None:
    registry["predefined", "filter_bbox"] = "titiler's own"
    register(registry)
    assert "filter_bbox" not in registry
    assert "filter_bands" in registry


def test_the_operators_preset_is_published(registry: dict[Any, Any]) -> None:
    register(registry, preset="dn")
    options = registry["cloud_detection"].spec["parameters"][2]
    assert options["schema"]["properties"]["preset"]["default"] == "dn"
    assert specs.cloud_detection["parameters"][2] != options, "the package's own is untouched"


def test_an_unknown_preset_is_refused_at_once(registry: dict[Any, Any]) -> None:
    with pytest.raises(OptionError, match="preset='DN'"):
        register(registry, preset="DN")


def test_udfs_without_the_package_that_runs_them_are_refused_at_once(
    registry: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openeo", None)
    with pytest.raises(OptionError, match="pip install openeo"):
        register(registry, run_udf=True)
    assert registry == {}
