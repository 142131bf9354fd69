"""Load a little more than is asked for, mask, and cut it off again.

At the border of a cube a back-end has no neighbours to show to a network, even where the
collection goes on. Where the graph says which extent is loaded, it can be widened.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from openeo.internal.graph_building import PGNode
from openeo.rest.datacube import DataCube

if TYPE_CHECKING:
    from collections.abc import Iterator

BoundingBox = dict[str, Any]
"""west, south, east, north, and maybe crs (default EPSG:4326), as openEO writes it."""

_SIDES = ("west", "south", "east", "north")
_LOADERS = ("load_collection", "load_stac")
_LARGEST_DEGREE = 360
"""No box in metres lies as near to the origin of its crs, and every one in degrees does."""
_METRES_A_DEGREE = 111_000.0
"""A little less than of latitude at the equator, so that the margin is never too small."""


def loaded_extent(cube: DataCube) -> BoundingBox | None:
    """Find the bounding box that a graph loads; None if there is none, or more than one."""
    found = [node.arguments.get("spatial_extent") for node in _loaders(cube.result_node())]
    boxes = [box for box in found if isinstance(box, dict) and _is_box(box)]
    same = len(boxes) == len(found) and all(box == boxes[0] for box in boxes)
    return dict(boxes[0]) if boxes and same else None


def loaded_collections(cube: DataCube) -> list[str]:
    """List the ids and addresses of what a graph loads, as far as they are not left open."""
    nodes = _loaders(cube.result_node())
    found = [node.arguments.get("id", node.arguments.get("url")) for node in nodes]
    return [name for name in found if isinstance(name, str)]


def widened(cube: DataCube, box: BoundingBox, metres: float) -> DataCube:
    """Copy a graph whose loading reaches `metres` further on each side of `box`."""
    node = _copy(cube.result_node(), grown(box, metres), {})
    return DataCube(graph=node, connection=cube.connection, metadata=cube.metadata)


def grown(box: BoundingBox, metres: float) -> BoundingBox:
    """Grow a bounding box, in degrees if its numbers can be such, else in metres."""
    if any(abs(box[side]) > _LARGEST_DEGREE for side in _SIDES):
        return {**box, **_moved(box, metres, metres)}
    latitude = min(max(abs(box["south"]), abs(box["north"])), 89)
    up = metres / _METRES_A_DEGREE
    wide = _moved(box, up / math.cos(math.radians(latitude)), up)
    limits = {"west": -180, "south": -90, "east": 180, "north": 90}
    inside = {key: (max if limit < 0 else min)(wide[key], limit) for key, limit in limits.items()}
    return {**box, **inside}


def _moved(box: BoundingBox, across: float, up: float) -> dict[str, float]:
    return {
        "west": box["west"] - across,
        "south": box["south"] - up,
        "east": box["east"] + across,
        "north": box["north"] + up,
    }


def _is_box(extent: dict[str, Any]) -> bool:
    """Tell numbers from the parameters of a user-defined process, which nothing is known of."""
    return all(isinstance(extent.get(side), (int, float)) for side in _SIDES)


def _loaders(node: PGNode) -> Iterator[PGNode]:
    if node.process_id in _LOADERS:
        yield node
    for inner in _inputs(node.arguments):
        yield from _loaders(inner)


def _inputs(value: Any) -> Iterator[PGNode]:
    """Find the nodes that an argument refers to; callbacks hold no loaded data."""
    if isinstance(value, PGNode):
        yield value
    elif isinstance(value, dict) and "process_graph" not in value:
        for inner in value.values():
            yield from _inputs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _inputs(inner)


def _copy(node: PGNode, box: BoundingBox, done: dict[int, PGNode]) -> PGNode:
    """Copy a graph with another extent; a node that is used twice stays one node."""
    if id(node) not in done:
        arguments = {key: _copied(value, box, done) for key, value in node.arguments.items()}
        if node.process_id in _LOADERS:
            arguments["spatial_extent"] = box
        done[id(node)] = PGNode(node.process_id, arguments, namespace=node.namespace)
    return done[id(node)]


def _copied(value: Any, box: BoundingBox, done: dict[int, PGNode]) -> Any:
    if isinstance(value, PGNode):
        return _copy(value, box, done)
    if isinstance(value, dict) and "process_graph" not in value:
        return {key: _copied(inner, box, done) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner, box, done) for inner in value]
    return value
