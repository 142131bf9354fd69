"""A UDF worker: a process that lives on between chunks and jobs, and that may die alone."""

from __future__ import annotations

import copy
import json
import logging
import os
import resource
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from standin.dependencies import HidingFinder, place_archives, unpacked_for_one_call
from standin.protocol import Answer, MetadataCall, Tiles, UdfCall, WorkerSettings, receive, send

if TYPE_CHECKING:
    import xarray as xr

TAIL = "\n\nassert __import__('os').environ['UDF_WORKER'], 'UDFs run in workers only'\n"
"""The real back-end adds such a line; hence `apply_metadata` lives in a module of its own."""
USER_LOG = "openeo.udf.debug.user"
UNDATED = "2020-01-01"
"""Date of a result without t where the UDF got all dates."""


def main() -> None:
    """Answer what arrives on stdin until it ends."""
    # What a UDF prints is lost, it must not get between the answers.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="udf-worker-") as folder:
        os.chdir(folder)
        settings: WorkerSettings = receive(requests)
        send(answers, _guarded(lambda: _prepare(settings, Path(folder)), []))
        _serve(requests, answers)


def _prepare(settings: WorkerSettings, folder: Path) -> None:
    place_archives(settings.archives, folder)
    HidingFinder.install(settings.hidden)
    if settings.memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (settings.memory, settings.memory))


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    session = Session()
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        send(answers, session.answer(request))


class Session:
    """What a worker keeps from call to call."""

    def __init__(self) -> None:
        self.run = ""
        self.context: dict[str, Any] = {}
        self.untouched: dict[str, Any] = {}
        self.logs: list[dict[str, Any]] = []
        logger = logging.getLogger(USER_LOG)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(_Collector(self.logs))

    def answer(self, request: UdfCall | MetadataCall) -> Answer:
        """Do what is asked for; an exception of the UDF becomes part of the answer."""
        self.logs.clear()
        if isinstance(request, MetadataCall):
            return _guarded(lambda: relabel(request), self.logs)
        if request.run != self.run:
            self.run, self.context = request.run, request.context
            self.untouched = copy.deepcopy(request.context)
        answer = _guarded(lambda: run(request, self.context), self.logs)
        if self.context == self.untouched:
            return answer
        self.untouched = copy.deepcopy(self.context)
        return replace(answer, context_changed=True)


def run(call: UdfCall, context: dict[str, Any]) -> Tiles:
    """Run a UDF on a chunk."""
    import xarray as xr
    from openeo.udf.run_code import run_udf_code
    from openeo.udf.udf_data import UdfData
    from openeo.udf.xarraydatacube import XarrayDataCube

    chunk = xr.DataArray(
        call.cells, call.coords, call.dims, name="openEODataChunk", attrs=call.attrs
    )
    data = UdfData({"EPSG": 900913}, [XarrayDataCube(chunk)], user_context=context)
    with unpacked_for_one_call(call.dependencies_zip):
        cubes = run_udf_code(call.code + TAIL, data).get_datacube_list() or []
        if len(cubes) != 1:
            raise ValueError(f"a UDF returns one cube, this one returned {len(cubes)}")
        result = cubes[0].get_array()
        return _by_name(result) if chunk.ndim == 4 else _as_it_lies(result)


def _by_name(result: xr.DataArray) -> Tiles:
    import numpy as np

    if "t" not in result.dims:
        result = result.expand_dims(t=np.array([UNDATED], "datetime64[ns]"))
    ordered = result.transpose("t", "bands", "y", "x")
    return Tiles(ordered.values.astype("float32"), ordered["t"].values)


def _as_it_lies(result: xr.DataArray) -> Tiles:
    # Date by date, the back-end takes the numbers and never looks at the names of dimensions.
    return Tiles(result.values.astype("float32"))


def relabel(call: MetadataCall) -> Any:
    """Run `apply_metadata`, outside of the dependencies and in a module without the tail.

    Raises:
        ValueError: the word is in the code, the function is not, or it loses bands.
        TypeError: it returns something else.
    """
    from openeo.udf.run_code import load_module_from_string

    function = load_module_from_string(call.code).get("apply_metadata")
    if function is None:
        raise ValueError("the UDF speaks of 'apply_metadata' but defines no such function")
    result = function(call.metadata, call.context)
    if type(result) is not type(call.metadata):
        raise TypeError(f"apply_metadata returned {type(result)}, not {type(call.metadata)}")
    if not result.has_band_dimension():
        raise ValueError("apply_metadata dropped the dimension of bands")
    return result


class _Collector(logging.Handler):
    """Keep what `openeo.udf.inspect` logs."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        super().__init__()
        self.entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        """Add an entry that JSON can hold."""
        data = json.loads(json.dumps(getattr(record, "data", None), default=repr))
        self.entries.append(
            {
                "level": record.levelname.lower(),
                "message": record.getMessage(),
                "data": data,
                "code": getattr(record, "code", None),
            }
        )


def _guarded(work: Any, logs: list[dict[str, Any]]) -> Answer:
    try:
        value = work()
    except Exception as error:  # noqa: BLE001 - whatever a UDF raises belongs into the job's log
        line = f"{type(error).__name__}: {error}"
        return Answer(error=line, traceback=traceback.format_exc(), logs=tuple(logs))
    return Answer(value, logs=tuple(logs))


if __name__ == "__main__":
    main()
