"""The published process: what catalogues and back-ends ask of it."""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")
import jsonschema
import yaml
from openeo.rest.datacube import DataCube

from cloudmask.context import KEYS
from cloudmask_openeo.processes import generate

FOLDER = Path(generate.__file__).parent
PROCESS = FOLDER / generate.ID / "openeo_udp" / f"{generate.ID}.json"


@pytest.fixture(scope="module")
def process() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PROCESS.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    """The openEO API 1.2, as titiler-openeo carries it."""
    backend = Path(sys.prefix) / "backends" / "titiler"
    files = list(backend.glob("lib/python*/site-packages/titiler/openeo/openapi.yaml"))
    if not files:
        pytest.skip(f"the back-end titiler is not installed in {backend}; `make test` does it")
    found: dict[str, Any] = yaml.safe_load(files[0].read_text("utf-8"))
    assert found["info"]["version"] == "1.2.0"
    return found


def as_json_schema(part: Any) -> Any:
    """OpenAPI 3.0 is almost JSON Schema."""
    if isinstance(part, list):
        return [as_json_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {key: as_json_schema(value) for key, value in part.items() if key != "nullable"}
    if part.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


@pytest.fixture(scope="module")
def validator(api: dict[str, Any]) -> Any:
    schemas = as_json_schema(api["components"]["schemas"])
    # Of the alternatives for a parameter's schema several fit, which "oneOf" forbids.
    parameter = schemas["process_json_schema"]
    parameter["anyOf"] = parameter.pop("oneOf")
    whole = {"$ref": "#/components/schemas/process_graph_with_metadata"}
    return jsonschema.Draft7Validator({**whole, "components": {"schemas": schemas}})


# -- generated, and valid -------------------------------------------------------------------


def test_the_committed_files_are_those_that_the_script_writes() -> None:
    for path, text in generate.files().items():
        assert (FOLDER / path).read_text("utf-8") == text, f"run {generate.__name__}"


def test_the_script_writes_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://example.com/here/"
    words = ["generate", "--output", str(tmp_path), "--address", address]
    monkeypatch.setattr(sys, "argv", words)
    generate.main()
    scenario = tmp_path / generate.ID / "benchmark_scenarios" / f"{generate.ID}.json"
    (only,) = json.loads(scenario.read_text("utf-8"))
    namespace = only["process_graph"]["mask"]["namespace"]
    assert namespace == f"https://example.com/here/{generate.ID}/openeo_udp/{generate.ID}.json"


def test_the_process_is_valid_by_the_openeo_api(process: dict[str, Any], validator: Any) -> None:
    assert list(validator.iter_errors(process)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "sentinel-2 cloud mask"),
        (("parameters", 0, "description"), None),
        (("parameters", 0, "schema"), "bounding-box"),
        (("process_graph", "loadcollection1"), {"arguments": {}}),
        (("process_graph",), []),
    ],
)
def test_a_broken_process_is_found_to_be_so(
    process: dict[str, Any], validator: Any, path: tuple[Any, ...], value: Any
) -> None:
    broken = copy.deepcopy(process)
    inner = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert list(validator.iter_errors(broken))


# -- what a catalogue asks for --------------------------------------------------------------


def test_every_file_is_named_after_its_id(process: dict[str, Any]) -> None:
    assert process["id"] == PROCESS.stem == generate.record(generate.ADDRESS)["id"]
    assert re.fullmatch(r"\w+", process["id"])


def test_every_parameter_says_what_it_is(process: dict[str, Any]) -> None:
    for parameter in process["parameters"]:
        assert len(parameter["description"]) > 20, parameter["name"]
        assert parameter["schema"]["type"], parameter["name"]


def test_area_and_dates_must_be_given_and_all_else_has_a_default(process: dict[str, Any]) -> None:
    needed = {p["name"] for p in process["parameters"] if not p.get("optional")}
    assert needed == {"spatial_extent", "temporal_extent"}
    assert all("default" in p for p in process["parameters"] if p.get("optional"))


def test_every_parameter_is_used_and_every_one_used_is_declared(process: dict[str, Any]) -> None:
    declared = {parameter["name"] for parameter in process["parameters"]}
    used = re.findall(r'"from_parameter": "(\w+)"', json.dumps(process["process_graph"]))
    assert set(used) == declared | {"data"}


def test_the_udf_stands_in_the_process_itself(process: dict[str, Any]) -> None:
    (around,) = [
        node for node in process["process_graph"].values()
        if node["process_id"] == "apply_neighborhood"
    ]  # fmt: skip
    (run_udf,) = around["arguments"]["process"]["process_graph"].values()
    assert "def apply_datacube" in run_udf["arguments"]["udf"]
    assert set(run_udf["arguments"]["context"]) <= set(KEYS)


def test_job_options_come_with_the_process(process: dict[str, Any]) -> None:
    assert process["default_job_options"]["python-memory"] == "3g"


def test_the_record_has_what_the_catalogue_requires() -> None:
    properties = generate.record(generate.ADDRESS)["properties"]
    needed = {
        "created", "updated", "type", "title", "description", "cost_estimate", "cost_unit",
        "contacts", "themes", "formats",
    }  # fmt: skip
    assert needed <= set(properties)
    relations = {link["rel"] for link in generate.record(generate.ADDRESS)["links"]}
    assert {"application", "service"} <= relations


def test_the_benchmark_scenario_calls_the_published_process(process: dict[str, Any]) -> None:
    (scenario,) = generate.benchmark_scenarios(generate.ADDRESS)
    call = scenario["process_graph"]["mask"]
    assert call["process_id"] == process["id"]
    assert call["namespace"].endswith(f"/{process['id']}.json")
    parameters = {parameter["name"] for parameter in process["parameters"]}
    assert set(call["arguments"]) <= parameters
    assert {"spatial_extent", "temporal_extent"} <= set(call["arguments"])


# -- the client reads it --------------------------------------------------------------------


def test_the_process_survives_the_way_through_the_client(process: dict[str, Any]) -> None:
    from openeo.internal.graph_building import PGNode

    graph = process["process_graph"]
    again = DataCube(PGNode.from_flat_graph(graph), connection=None)
    assert json.loads(json.dumps(again.flat_graph())) == graph
