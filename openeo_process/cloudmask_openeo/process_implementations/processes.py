"""The openEO processes, as graphs call them."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from cloudmask.errors import OptionError
from cloudmask_openeo.process_implementations.detection import detect
from cloudmask_openeo.process_implementations.dimensions import Dimensions
from cloudmask_openeo.process_implementations.neighborhood import Neighborhood
from cloudmask_openeo.process_implementations.text import (
    check_runtime,
    checked_text,
    run_text,
)
from cloudmask_openeo.process_implementations.udf import run_in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(slots=True)
class _Request:
    """What `apply_neighborhood` wants of the `run_udf` that it calls."""

    neighborhood: Neighborhood
    served: bool = False

    def serve(self) -> Neighborhood:
        """Hand the neighbourhood out, once."""
        if self.served:
            raise OptionError(
                "apply_neighborhood: its process runs more than one UDF; the second would see no "
                "overlap. Run one UDF in each apply_neighborhood"
            )
        self.served = True
        return self.neighborhood


_request: ContextVar[_Request | None] = ContextVar("neighborhood", default=None)


def apply_neighborhood(
    data: xr.DataArray,
    process: Callable[..., Any],
    size: Sequence[Mapping[str, Any]],
    overlap: Sequence[Mapping[str, Any]] | None = None,
    context: Any = None,
) -> xr.DataArray:
    """Run a UDF on overlapping chunks of a cube.

    The engine that runs graphs remembers the result of each node, so a callback that is called
    for every chunk would give the first chunk's result for all. It is therefore called once,
    with the whole cube; the cutting is done by `run_udf`, which learns here how.

    Args:
        data: The cube; see `udf.run_in_chunks`.
        process: The callback; it must run a UDF.
        size: Pixels a chunk answers for, an object for each dimension; see
            `neighborhood.Neighborhood.of`.
        overlap: Pixels seen beyond them.
        context: Available to the callback as the parameter "context".

    Returns:
        The cube's dimensions and coordinates with the bands of the UDF's answer; lazy if the cube
        is.

    Raises:
        CubeError: The cube is none.
        OptionError: Sizes cannot be had, or the callback does not run exactly one UDF.
    """
    request = _Request(Neighborhood.of(size, overlap, Dimensions.of(data)))
    token = _request.set(request)
    try:
        result = process(
            data, positional_parameters={"data": 0}, named_parameters={"context": context}
        )
    finally:
        _request.reset(token)
    if not request.served:
        raise OptionError(
            "apply_neighborhood: its process runs no UDF, and nothing else is possible on "
            "neighbourhoods; give it run_udf, or use apply or apply_kernel"
        )
    return result


def run_udf(
    data: Any,
    udf: str,
    runtime: str,
    version: str | None = None,  # noqa: ARG001 - graphs may give it
    context: Any = None,
) -> Any:
    """Run a UDF: on chunks inside `apply_neighborhood`, else on the data as they are.

    Args:
        data: Inside `apply_neighborhood` a cube, else anything that an array can be made of.
        udf: Source text.
        runtime: "Python", in any case and with any ending.
        version: Ignored; there is one Python.
        context: Given to the UDF.

    Returns:
        The UDF's answer.

    Raises:
        CubeError: The UDF's answer does not fit its chunk.
        OptionError: The runtime is another, or `udf` is no source text.
    """
    check_runtime(runtime)
    request = _request.get()
    if request is not None:
        return run_in_chunks(data, request.serve(), udf, _as_object(context))
    return _run_whole(data, checked_text(udf), _as_object(context))


def _as_object(context: Any) -> Mapping[str, Any]:
    """Refuse what no UDF can read.

    Raises:
        OptionError: It is no object, or holds a parameter that nobody has put a value for.
    """
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise OptionError(f"context={context!r}: must be an object of names and values")
    open_ones = sorted(set(_open_parameters(context)))
    if open_ones:
        raise OptionError(
            f"context: nobody put a value for the parameter {', '.join(open_ones)}; only the "
            "context as a whole can be a parameter here"
        )
    return context


def _open_parameters(value: Any) -> Iterator[str]:
    """Find parameters that have been left in a nested value."""
    if hasattr(value, "from_parameter"):
        yield value.from_parameter
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _open_parameters(inner)


def _run_whole(data: Any, code: str, context: Mapping[str, Any]) -> Any:
    """Run a UDF without neighbourhoods, on arrays and cubes."""
    given = data if isinstance(data, xr.DataArray) else xr.DataArray(data)
    answer = run_text(code, given, context)
    if not isinstance(data, xr.DataArray):
        return answer
    lost = {
        name: coord
        for name, coord in data.coords.items()
        if name not in answer.coords
        and all(answer.sizes.get(dim) == data.sizes[dim] for dim in coord.dims)
    }
    return answer.assign_coords(lost)


def cloud_detection(
    data: xr.DataArray, method: str | None = None, options: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """Detect clouds, cloud shadows and haze; see `detection.detect`."""
    return detect(data, method, options)
