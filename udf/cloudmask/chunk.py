"""One chunk of an openEO back-end: what the UDF's text calls.

A worker process meets many chunks. It reads the context and opens the networks at the first one
and keeps them, so that neither is needed again: some back-ends delete a job's dependencies after
each call. Whatever is wrong is told in one line.
"""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass, field, replace
from errno import EMFILE, ENFILE
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.context import parse_context
from cloudmask.cube import answered, band_labels, extent, in_standard_order
from cloudmask.default import default_model
from cloudmask.errors import CloudmaskError, ModelError, OptionError
from cloudmask.job import Job
from cloudmask.memory import mib
from cloudmask.process import address_space
from cloudmask.registry import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from cloudmask.context import Context
    from cloudmask.job import Extent
    from cloudmask.memory import Work
    from cloudmask.spec import ModelSpec


class WorkerError(CloudmaskError):
    """The worker, not the graph, lacks something: memory, or a package."""


def mask_chunk(cube: xr.DataArray, context: Mapping[str, Any] | None = None) -> xr.DataArray:
    """Mask one chunk as the whole scene would be masked.

    Args:
        cube: Dimensions (t or time), bands, y, x in any order, numpy or dask. Coordinates of y
            and x may be missing or inexact; they are passed through.
        context: See `cloudmask.context.Context`; not changed.

    Returns:
        float32, dimensions (t,) bands, y, x, with the bands of the layout. With a chunk overlap
        numpy, and no data where the pixels are the neighbours'; without one lazy if the cube is.

    Raises:
        CloudmaskError: With a message of one line that says what to change.

    Warns:
        In the log of the user's job, once a process, of values that the preset cannot mean.
    """
    asked = dict(context or {})
    try:
        parse_context(asked)  # what is no JSON could not be written as such
        asked = _named(cube, asked)
        return _masked(cube, json.dumps(asked, sort_keys=True, default=_plain))
    except Exception as error:
        told = _explained(error, lambda: _estimate(cube, asked))
        if told is None:
            raise
        # Back-ends write the message into the job's log, and the causes with it.
        raise type(told)(" ".join(str(told).split())) from None


def _named(cube: xr.DataArray, context: dict[str, Any]) -> dict[str, Any]:
    """Name the network in a context that leaves it to the bands of the cube."""
    if context.get("model") is not None:
        return context
    return {**context, "model": default_model(band_labels(cube, parse_context(context).bands))}


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into JSON's; a parameter that no one resolved is none."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise OptionError(
        f"context: {value!r} is no JSON value; give numbers, words and lists of them (a parameter "
        "of a process is to be resolved by the back-end)"
    )


def _masked(cube: xr.DataArray, context: str) -> xr.DataArray:
    size = extent(cube)
    asked, job = _prepared(_First(context, size))
    if asked.memory_mb is not None:  # another chunk may be larger than the first
        specs = [model.spec for model in job.ensemble.models]
        if not job.options.fits(specs, _work(asked, size, specs[0])):
            # What it then needs, it cannot have beside what is open.
            _prepared.cache_clear()
            forget()
            asked, job = _prepared(_First(context, size))
    run = partial(_run_carried, job, asked.carried) if any(asked.carried) else job.run
    answer = answered(cube, asked.bands, job, run)
    return in_standard_order(answer).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _First:
    """A context, and the size of the first chunk that came with it."""

    context: str
    size: Extent = field(compare=False)


@lru_cache(maxsize=8)
def _prepared(first: _First) -> tuple[Context, Job]:
    """Read the context and open its networks, once a process."""
    asked = parse_context(json.loads(first.context))
    specs = asked.options.specs(asked.models)
    options = asked.options.fitted(specs, _work(asked, first.size, specs[0]))
    return asked, Job(options.ensemble(asked.models), asked.numbers, options, first.context, _warn)


def _work(asked: Context, size: Extent, spec: ModelSpec) -> Work:
    """Say how much is done at once, for a plan of memory."""
    if not any(asked.carried):
        return size.work(asked.options, spec, more=4 * len(asked.options.output.bands))
    # Never lazy; packed in float32, and the answer as float32 twice.
    output = asked.options.output
    packed = 4 if output.layout == "mask" else 5 * 4
    more = packed + 2 * 4 * len(output.bands)
    return replace(size, lazy=False).work(asked.options, spec, more)


def _run_carried(job: Job, carried: tuple[int, int], data: Any) -> NDArray[np.generic]:
    """Answer (time, band, y, x) or (band, y, x) that carries pixels of its neighbours."""
    numbers = np.asarray(data)
    if numbers.ndim == 3:  # noqa: PLR2004 - band, y, x
        return job.run_chunk(numbers, carried)
    steps = [job.run_chunk(step, carried).astype(np.float32) for step in numbers]
    empty = np.empty((0, len(job.options.output.bands), *numbers.shape[2:]), np.float32)
    return np.stack(steps) if steps else empty


def _explained(error: Exception, estimate: Callable[[], str]) -> CloudmaskError | None:
    """Say what to change; None if the error is no one's fault but ours."""
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return WorkerError(
            f"out of memory ({_memory()}{estimate()}): raise the job option python-memory (3g is "
            "enough for two networks on chunks of 1024 pixels), set executor-cores to 1, or "
            f"choose smaller chunks. First cause: {type(error).__name__} {error}"
        )
    if getattr(error, "errno", 0) in _FILES_SPENT or os.strerror(EMFILE) in str(error):
        return WorkerError(
            "the worker has too many files open, its limit leaves none for a network: raise it "
            f"(`ulimit -n`, RLIMIT_NOFILE; 64 are enough). First cause: {error}"
        )
    if isinstance(error, ImportError):
        return WorkerError(
            f"{error}: the worker cannot import it; give the archive of `cloudmask bundle` in the "
            "job option udf-dependency-archives. Too little python-memory shows like this, too "
            f"({_memory()})"
        )
    if isinstance(error, ModelError) and _ABSENT.search(str(error)):
        return ModelError(
            f"{error}. A back-end's worker finds networks in the archive: put it there with "
            "`cloudmask bundle -m NAME`, and say chunks=Chunks(delivery='archive')"
        )
    return error if isinstance(error, CloudmaskError) else None


def _estimate(cube: xr.DataArray, context: Mapping[str, Any]) -> str:
    """Say how much resident memory the chunk was expected to take; nothing if that fails, too."""
    try:
        asked = parse_context(context)
        specs = asked.options.specs(asked.models)
        needs = asked.options.needs(specs, _work(asked, extent(cube), specs[0]))
    except (CloudmaskError, MemoryError):
        return ""
    return f", about {mib(needs.total)} of memory were expected for this chunk"


_FILES_SPENT = (EMFILE, ENFILE)

_ABSENT = re.compile("unknown model|is known but not installed|there is no such file")

_OUT_OF_MEMORY = re.compile(
    "bad_alloc|failed to allocate|cannot allocate memory|failed to map segment|"
    "available memory of", re.IGNORECASE
)  # fmt: skip


def _memory() -> str:
    """Name the limit that this process has."""
    limit = address_space()
    if limit is None:
        return "the worker's address space is not limited"
    return f"the worker's address space is limited to {limit / 2**30:.1f} GiB"


def _warn(_call: str, sentence: str | None) -> None:
    if sentence:
        # The figures differ from chunk to chunk; one warning for a preset is enough.
        _tell_once(sentence, about=sentence.split(" gives ", maxsplit=1)[0])


_told: set[str] = set()


def _tell_once(message: str, about: str) -> None:
    """Put a warning into the log of the user's job; back-ends lose Python's own warnings."""
    if about in _told:
        return
    _told.add(about)
    try:
        from openeo.udf.debug import inspect
    except ImportError:
        logging.getLogger("cloudmask").warning(message)
    else:
        inspect(message=message, code="cloudmask", level="warning")
