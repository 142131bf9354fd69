"""The extent that is loaded, and the same a little larger."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.internal.graph_building import PGNode
from openeo.rest.datacube import DataCube

from cloudmask_openeo.extent import grown, loaded_extent, widened

FIELD = {"west": 5.0, "south": 51.0, "east": 5.1, "north": 51.1}
UTM = {"west": 6e5, "south": 56e5, "east": 61e4, "north": 561e4, "crs": "EPSG:32631"}


def loading(extent: Any, process: str = "load_collection") -> PGNode:
    return PGNode(process, {"id": "S2", "spatial_extent": extent})


def cube(node: PGNode) -> DataCube:
    return DataCube(graph=node, connection=None)


def loaded(found: DataCube) -> list[Any]:
    """The extents that a graph loads."""
    graph = found.flat_graph().values()
    return [node["arguments"]["spatial_extent"] for node in graph if "load" in node["process_id"]]


@pytest.mark.parametrize(
    "crs", [None, 4326, "EPSG:4326", "epsg:4326", "OGC:CRS84", 4258, 'GEOGCRS["WGS 84", ...]']
)
def test_degrees_grow_by_degrees_whatever_their_crs_is_called(crs: Any) -> None:
    box = FIELD if crs is None else {**FIELD, "crs": crs}
    wide = grown(box, 330)
    assert wide["south"] == pytest.approx(51 - 0.00297, abs=2e-5)
    assert wide["east"] == pytest.approx(5.1 + 0.00473, abs=2e-5)
    assert wide.get("crs") == crs


@pytest.mark.parametrize("crs", ["EPSG:32631", 32631, 'PROJCRS["WGS 84 / UTM zone 31N", ...]'])
def test_metres_grow_by_metres(crs: Any) -> None:
    wide = grown({**UTM, "crs": crs}, 330)
    assert [wide[side] - UTM[side] for side in ("west", "south")] == [-330, -330]
    assert [wide[side] - UTM[side] for side in ("east", "north")] == [330, 330]


@pytest.mark.parametrize(("south", "north"), [(-10, 60), (-60, 10)])
def test_degrees_of_longitude_are_widest_where_they_are_shortest(
    south: float, north: float
) -> None:
    # At 60 degrees one has half the metres that it has at the equator.
    wide = grown({"west": 0, "south": south, "east": 1, "north": north}, 1110)
    assert wide["east"] == pytest.approx(1.02)
    assert wide["north"] == pytest.approx(north + 0.01)


def test_a_box_that_holds_the_pole_grows_by_a_finite_length() -> None:
    wide = grown({"west": 0, "south": 80, "east": 1, "north": 90}, 111)
    assert wide["east"] == pytest.approx(1 + 0.001 / 0.017452, rel=1e-3)
    assert wide["north"] == 90


@pytest.mark.parametrize("process", ["load_collection", "load_stac"])
def test_what_loads_is_widened(process: str) -> None:
    start = cube(loading(UTM, process))
    assert loaded_extent(start) == UTM
    assert loaded(widened(start, UTM, 30)) == [grown(UTM, 30)]


@pytest.mark.parametrize("other", [None, {**UTM, "west": 5e5}, {"type": "Polygon"}])
def test_cubes_of_two_places_have_no_one_extent(other: Any) -> None:
    node = PGNode("merge_cubes", {"cube1": loading(UTM), "cube2": loading(other)})
    assert loaded_extent(cube(node)) is None


def test_cubes_in_a_list_are_found_and_widened() -> None:
    node = PGNode("stack", {"cubes": [loading(UTM), {"more": loading(UTM)}]})
    assert loaded_extent(cube(node)) == UTM
    assert loaded(widened(cube(node), UTM, 30)) == [grown(UTM, 30)] * 2


def test_a_process_published_elsewhere_is_still_called_from_there() -> None:
    node = PGNode("indices", {"data": loading(UTM)}, namespace="https://example.org/indices")
    graph = widened(cube(node), UTM, 30).flat_graph()
    assert graph["indices1"]["namespace"] == "https://example.org/indices"


def test_a_callback_is_not_searched() -> None:
    callback = {"process_graph": PGNode("run", {"inner": loading(FIELD)})}
    node = PGNode("apply", {"data": loading(UTM), "process": callback})
    assert loaded_extent(cube(node)) == UTM
    assert widened(cube(node), UTM, 30).result_node().arguments["process"] is callback


def test_the_wider_cube_belongs_to_the_same_back_end_and_has_the_same_bands(
    load_collection: Any,
) -> None:
    start = load_collection(extent=UTM)
    start._connection = connection = object()
    wide = widened(start, UTM, 30)
    assert wide.connection is connection
    assert wide.metadata == start.metadata
