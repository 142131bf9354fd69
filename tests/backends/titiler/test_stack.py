"""Between titiler's images and labelled cubes, and one request at a time: on fakes of both."""

from __future__ import annotations

import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.errors import CubeError, OptionError
from cloudmask_openeo.titiler import register
from cloudmask_openeo.titiler.filters import filter_bbox
from cloudmask_openeo.titiler.processes import apply_neighborhood, cloud_detection, run_udf
from cloudmask_openeo.titiler.stack import all_dates, cube_of, images_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

JUNE = datetime(2024, 6, 1, 10, tzinfo=UTC)
JULY = datetime(2024, 7, 1, 10, tzinfo=UTC)
TEXT = """
import xarray as xr


def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
    return cube
"""


@dataclass
class Image:
    """What is used of rio-tiler's ImageData."""

    array: Any
    assets: Any = None
    crs: Any = None
    bounds: Any = (0.0, 0.0, 3.0, 2.0)
    band_descriptions: list[str] = field(default_factory=lambda: ["a", "b"])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.array.shape[1])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.array.shape[2])


class Stack(dict[datetime, Image]):
    """What is used of titiler's RasterStack; images are changed when they are asked for."""

    band_names = ("a", "b")

    def get_image_refs(self) -> list[tuple[datetime, Any]]:
        """Say where images lie, none of which has been read."""
        first = {"realized": False, "crs": "EPSG:32632"}
        return [
            (
                key,
                SimpleNamespace(**first, bounds=each.bounds, width=each.width, height=each.height),
            )
            for key, each in self.items()
        ]

    def map_tasks(self, change: Any, **known: Any) -> Any:
        """Change each image later."""
        return [(known, lambda key=key: change(key, lambda: self[key])) for key in self]

    def from_images(self, images: Any) -> Any:
        """Hand on what has been answered."""
        return images


def numbers(*shape: int) -> NDArray[np.float32]:
    return np.ma.masked_array(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_an_answer_in_another_order_is_put_right() -> None:
    images = {JUNE: Image(numbers(2, 2, 3)), JULY: Image(numbers(2, 2, 3) + 100)}
    turned = cube_of(images).transpose("x", "bands", "t", "y")
    back = images_of(turned, images)
    for key, image in images.items():
        np.testing.assert_array_equal(back[key].array, image.array)


def test_dates_of_different_shapes_are_refused() -> None:
    images = {JUNE: Image(numbers(2, 2, 3)), JULY: Image(numbers(2, 3, 3))}
    with pytest.raises(CubeError, match=r"different shapes, \(2, 2, 3\), \(2, 3, 3\)"):
        cube_of(images)


def test_dates_are_in_utc() -> None:
    summer = JUNE.astimezone(timezone(timedelta(hours=2)))
    for key in (JUNE, summer, JUNE.replace(tzinfo=None)):
        cube = cube_of({key: Image(numbers(2, 2, 3))})
        assert cube["t"].values == np.datetime64("2024-06-01T10:00:00")


def test_an_image_without_bounds_gives_a_cube_without_coordinates() -> None:
    cube = cube_of({JUNE: Image(numbers(2, 2, 3), bounds=None)})
    assert set(cube.coords) == {"t", "bands"}


def test_a_cube_of_which_nothing_can_be_read_is_refused() -> None:
    with pytest.raises(CubeError, match="no date can be read"):
        all_dates(Stack(), lambda cube: cube)


def test_a_cube_without_dates_is_refused() -> None:
    with pytest.raises(CubeError, match="no dates"):
        cloud_detection(Stack())


def test_another_language_than_python_is_refused() -> None:
    with pytest.raises(OptionError, match=r"runtime='R': only 'Python'"):
        run_udf(Stack({JUNE: Image(numbers(2, 2, 3))}), TEXT, "R")


def test_after_a_neighbourhood_that_failed_a_cube_is_whole_again() -> None:
    stack = Stack({JUNE: Image(numbers(2, 2, 3))})
    size = [{"dimension": "x", "value": 1, "unit": "px"}]
    seen = TEXT.replace("return cube", "return cube * 0 + cube.sizes['x']")

    def failing(data: Any, **_: Any) -> Any:
        return run_udf(data, seen, "R")

    with pytest.raises(OptionError, match="runtime"):
        apply_neighborhood(stack, failing, size)
    np.testing.assert_array_equal(run_udf(stack, seen, "Python")[JUNE].array, 3)


def test_a_box_may_have_its_edges_on_any_centre() -> None:
    """Also where binary fractions put the edge a hair beyond the centre."""
    width, west = 37, 600_000.1
    east = west + 0.3 * width
    stack = Stack({JUNE: Image(numbers(2, 1, width), bounds=(west, 0, east, 0.3))})
    for column in range(width):
        centre = west + (column + 0.5) * 0.3
        extent = SimpleNamespace(west=centre, east=centre, south=0, north=0.3, crs="EPSG:32632")
        ((known, read),) = filter_bbox(stack, extent)
        assert known["width"] == 1
        np.testing.assert_allclose(known["bounds"], (centre - 0.15, 0, centre + 0.15, 0.3))
        np.testing.assert_array_equal(read().array, stack[JUNE].array[..., [column]])


def test_networks_serve_one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = [0], [0]

    def slow(cube: xr.DataArray, **_: Any) -> xr.DataArray:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        at_once[0] -= 1
        return cube

    monkeypatch.setattr(import_module("cloudmask_openeo.titiler.processes"), "detect", slow)
    stack = Stack({JUNE: Image(numbers(2, 2, 3)), JULY: Image(numbers(2, 2, 3))})
    tasks = [read for _ in range(3) for _, read in cloud_detection(stack)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda read: read(), tasks))
    assert most == [1]


@pytest.mark.parametrize(
    "name", ["apply_neighborhood", "cloud_detection", "filter_bands", "filter_bbox", "run_udf"]
)
def test_descriptions_have_the_parameters_of_the_functions(name: str) -> None:
    registry: dict[Any, Any] = {}
    register(registry, run_udf=True)
    process = registry[name]
    taken = dict(inspect.signature(process.implementation).parameters)
    taken.pop("named_parameters", None)  # titiler's own
    described = {each["name"]: each for each in process.spec["parameters"]}
    assert list(described) == list(taken)
    for parameter in taken.values():
        assert described[parameter.name].get("optional", False) == (
            parameter.default is not inspect.Parameter.empty
        )
