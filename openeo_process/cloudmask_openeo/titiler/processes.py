"""Masking and UDFs on titiler's cubes."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.classes import LAYOUT_BANDS
from cloudmask.errors import OptionError
from cloudmask_openeo.process_implementations.detection import detect
from cloudmask_openeo.process_implementations.dimensions import Dimensions
from cloudmask_openeo.process_implementations.neighborhood import Neighborhood
from cloudmask_openeo.process_implementations.text import (
    check_runtime,
    checked_text,
    promised_bands,
)
from cloudmask_openeo.process_implementations.udf import run_in_chunks
from cloudmask_openeo.titiler.stack import all_dates, checked, each_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from titiler.openeo.processes.implementations.data_model import RasterStack

    from cloudmask_openeo.titiler.stack import Answer

CUBE = Dimensions("t", "bands", "y", "x")
"""What the dimensions of titiler's cubes are called here; "spectral" means the bands, too."""

WHOLE = Neighborhood.of((), None, CUBE)
"""A cube in one chunk, with all dates."""

OPERATORS_OPTIONS = ("batch", "memory_mb", "overlap", "provider", "threads", "tile")
"""Options that a public server must not leave to its users: they decide about its memory, and
what it runs on."""

# titiler reads dates in many threads, of many requests. Networks use all cores already, and a
# UDF's text expects that its process does one thing; neither waits for the other.
_networks, _udfs = Lock(), Lock()

_seen_at_once: ContextVar[Neighborhood | None] = ContextVar("seen_at_once", default=None)


def cloud_detection(
    data: RasterStack,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    preset: str = "reflectance",
) -> RasterStack:
    """Run openEO's `cloud_detection`, each date when it is needed.

    Args:
        data: Reflectance at the top of the atmosphere; bands by name, `B02_b1` will do.
        method: Name of a network; None for the usual one.
        options: See `cloudmask_openeo.process_implementations.detection.detect`; without
            `OPERATORS_OPTIONS`.
        preset: What the numbers mean, unless `options` says so.

    Returns:
        The bands cloud, shadow and haze: probabilities 0..1, masked where there is no data.

    Raises:
        CloudmaskError: Options, bands or numbers cannot work; with the first date that is needed.
        OptionError: An option is the operator's; at once.
    """
    given = dict(options or {})
    refused = sorted(given.keys() & set(OPERATORS_OPTIONS))
    if refused:
        raise OptionError(
            f"options: {', '.join(refused)} cannot be chosen on this back-end; leave them out"
        )
    if not given.keys() & {"preset", "scale", "offset", "nodata"}:
        given["preset"] = preset
    answer = partial(_alone, _networks, partial(detect, method=method, options=given))
    return each_date(checked(data), answer, LAYOUT_BANDS["cloud_detection"])


def apply_neighborhood(
    data: RasterStack,
    process: Callable[..., Any],
    size: Sequence[Mapping[str, Any]],
    overlap: Sequence[Mapping[str, Any]] | None = None,
    context: Any = None,
    named_parameters: Mapping[str, Any] | None = None,
) -> Any:
    """Run openEO's `apply_neighborhood`.

    titiler remembers what a callback answered and gives that at every later call, so it is
    called once, with the whole cube; `run_udf` cuts it.

    Args:
        data: The cube.
        process: A callback that runs a UDF on its parameter `data`.
        size: Pixels along x and y that a chunk answers for; "P1D" along t: one date a chunk.
        overlap: Pixels along x and y beyond, at each side.
        context: What the callback may ask for as its parameter `context`.
        named_parameters: Those of the graph around, which the callback may ask for, too.

    Returns:
        What the callback answers.

    Raises:
        OptionError: Sizes cannot be had, or the callback runs no UDF.
    """
    taken = _seen_at_once.set(Neighborhood.of(size, overlap, CUBE))
    try:
        answer = process(
            checked(data),
            positional_parameters={"data": 0},
            named_parameters={**(named_parameters or {}), "data": data, "context": context},
        )
        if _seen_at_once.get() is not None:
            raise OptionError(
                "apply_neighborhood: the process has no run_udf; only a UDF can be run on "
                "neighbourhoods here, other processes take the cube as it is"
            )
    finally:
        _seen_at_once.reset(taken)
    return answer


def run_udf(
    data: RasterStack,
    udf: str,
    runtime: str,
    version: str | None = None,  # noqa: ARG001 - part of openEO's process
    context: Mapping[str, Any] | None = None,
    named_parameters: Mapping[str, Any] | None = None,
) -> RasterStack:
    """Run openEO's `run_udf`, on chunks if `apply_neighborhood` asks for them.

    With one date a chunk, a date is run when it is needed; else all dates are run now.

    Args:
        data: The cube.
        udf: The UDF's text.
        runtime: "Python".
        version: Not looked at; the server's own Python runs.
        context: Given to the UDF.
        named_parameters: Those of the graph around, which values in `context` may refer to.

    Returns:
        The bands that the UDF answers, masked where they are NaN.

    Raises:
        CubeError: The answer has other dates or another size than the chunk.
        OptionError: It is another language or no text, or a parameter has no value.
    """
    check_runtime(runtime)
    neighborhood, text = _seen_at_once.get() or WHOLE, checked_text(udf)
    _seen_at_once.set(None)
    given = _filled(context or {}, named_parameters or {})
    run = partial(run_in_chunks, neighborhood=neighborhood, udf=text, context=given)
    answer = partial(_alone, _udfs, run)
    if not neighborhood.each_date:
        return all_dates(checked(data), answer)
    known = checked(data).band_names
    bands = promised_bands(text, given, np.asarray(known), len(known)) if known else None
    return each_date(data, answer, bands or ())


def _alone(lock: Lock, answer: Answer, cube: xr.DataArray) -> xr.DataArray:
    """Wait until no one else is at it."""
    with lock:
        return answer(cube)


def _filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Put values in place of references inside a context, which titiler leaves as they are."""
    if isinstance(value, dict):
        return {key: _filled(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, parameters) for inner in value]
    name = getattr(value, "from_parameter", None)
    if name is not None and name not in parameters:
        raise OptionError(
            f"context: the parameter {name} has no value inside a callback; titiler-openeo hands "
            "those of a user-defined process to the arguments of its nodes only: give it to "
            'apply_neighborhood as context, and {"from_parameter": "context"} to run_udf'
        )
    return value if name is None else parameters[name]
