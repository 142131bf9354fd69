"""A UDF on every neighbourhood of a cube, by the contract of openEO's back-ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.errors import CubeError
from cloudmask_openeo.process_implementations.chunks import (
    Answer,
    Cutting,
    Place,
    run_lazily,
    run_now,
)
from cloudmask_openeo.process_implementations.dimensions import ROLES, Dimensions, Labels
from cloudmask_openeo.process_implementations.text import (
    checked_text,
    promised_bands,
    run_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudmask_openeo.process_implementations.chunks import Block
    from cloudmask_openeo.process_implementations.neighborhood import Neighborhood


def run_in_chunks(
    cube: xr.DataArray,
    neighborhood: Neighborhood,
    udf: str,
    context: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Run a UDF on every neighbourhood of a cube.

    The UDF gets float32 numpy chunks, dimensions (t,) bands, y, x, of exactly size + 2 x overlap
    pixels, NaN where the cube has ended. Their x and y are inexact (float32) or absent; a chunk
    of one date has no t, but its date in `attrs["t"]`. With dask's threads several chunks are run
    at the same time, by one module: what a UDF keeps between chunks must bear that.

    Args:
        cube: Dimensions t or time, bands, y, x in any order, the first two if there are any; any
            real dtype, numpy or dask.
        neighborhood: What the UDF sees at once.
        udf: Its source text.
        context: Given to the UDF, a copy with each chunk.

    Returns:
        The cube's dimensions and coordinates with the bands of the UDF's answer, float32; lazy
        if the cube is. Bands are labelled by `apply_metadata` if the text has it, else by the
        UDF's answer, else as in the cube if there are as many.

    Raises:
        CubeError: The cube is none, or the UDF's answer has another shape than its chunk.
        OptionError: `udf` is no source text.
    """
    dimensions = Dimensions.of(cube)
    numbers = dimensions.stacked(cube)
    job = UdfJob(
        checked_text(udf),
        context or {},
        Labels.of(cube, dimensions),
        Cutting.of(numbers.shape, neighborhood),
        dated=dimensions.time is not None and not neighborhood.each_date,
    )
    answer = job.run(numbers)
    return dimensions.dressed(answer.values, answer.bands, cube)


@dataclass(frozen=True, slots=True)
class UdfJob:
    """One run of a UDF over a cube; sent to workers with every chunk."""

    code: str
    context: Mapping[str, Any]
    labels: Labels
    cutting: Cutting
    dated: bool
    """Whether chunks have a time dimension."""
    bands: int | None = None
    """How many the UDF has announced to answer, if it has."""

    def run(self, numbers: Any) -> Answer:
        """Answer (time, band, y, x), numpy or dask as it is given."""
        promised: Sequence[Any] | None = promised_bands(
            self.code, self.context, self.labels.bands, self.cutting.shape[1]
        )
        job = self if promised is None else replace(self, bands=len(promised))
        if not hasattr(numbers, "dask"):
            answer = run_now(np.asarray(numbers), self.cutting, job)
            return answer if promised is None else Answer(answer.values, promised)
        if promised is None:
            tried = self._tried()
            job, promised = replace(self, bands=tried.values.shape[1]), tried.bands
        assert job.bands is not None
        return Answer(run_lazily(numbers, self.cutting, job, job.bands), promised)

    def _tried(self) -> Answer:
        """Run the UDF on a chunk without data, to learn which bands it answers."""
        try:
            return self(np.full(self.cutting.chunk_shape, np.nan, np.float32), Place(0, 0, 0))
        except Exception as error:
            error.add_note(
                "The UDF got a chunk without data (all NaN), to learn which bands it answers; "
                "give it a function apply_metadata(metadata, context) that says so."
            )
            raise

    def __call__(self, chunk: Block, place: Place, /) -> Answer:
        """Run the UDF on one chunk, (time, band, y, x) float32."""
        given = self._dressed(chunk, place)
        answer = _checked(run_text(self.code, given, self.context), given)
        count = answer.sizes["bands"]
        if self.bands not in (None, count):
            raise CubeError(
                f"the UDF answers {count} bands for {place}, but {self.bands} were announced (by "
                "its apply_metadata, or by its answer to a chunk without data)"
            )
        values = answer.values.astype(np.float32, copy=False)
        return Answer(values if self.dated else values[None], _labels(answer, given))

    def _dressed(self, chunk: Block, place: Place) -> xr.DataArray:
        """Make the cube that the UDF sees."""
        labels, cutting = self.labels, self.cutting
        coords: dict[str, Any] = {} if labels.bands is None else {"bands": labels.bands}
        spans = cutting.spans(place)
        for name, spacing, span in zip("yx", (labels.y, labels.x), spans, strict=True):
            if spacing is not None:
                coords[name] = spacing.centres(span)
        dates = None if labels.time is None else labels.time[cutting.times(place)]
        dims = tuple(ROLES.values())
        if not self.dated:
            attrs = {} if dates is None else {"t": dates[0]}
            return xr.DataArray(chunk[0], coords, dims[1:], attrs=attrs)
        return xr.DataArray(chunk, coords if dates is None else coords | {"t": dates}, dims)


def _checked(answer: xr.DataArray, given: xr.DataArray) -> xr.DataArray:
    """Compare a UDF's answer with what it was given; give it the same order of dimensions."""
    if set(answer.dims) != set(given.dims):
        raise CubeError(
            f"the UDF answers dimensions {', '.join(map(str, answer.dims))}; it must answer "
            f"those of its chunk: {', '.join(map(str, given.dims))}"
        )
    wrong = [
        f"{answer.sizes[name]} along {name} in place of {length}"
        for name, length in given.sizes.items()
        if name != "bands" and answer.sizes[name] != length
    ]
    if wrong:
        raise CubeError(
            f"the UDF answers {' and '.join(wrong)}; it must keep the pixels and dates of its "
            "chunk, also in the overlap, which is cut off afterwards"
        )
    return answer.transpose(*given.dims)


def _labels(answer: xr.DataArray, given: xr.DataArray) -> Sequence[Any] | None:
    """Find labels for the bands of a UDF's answer: its own, else those it was given."""
    for source in (answer, given):
        if "bands" in source.coords and source.sizes["bands"] == answer.sizes["bands"]:
            return list(source["bands"].values)
    return None
