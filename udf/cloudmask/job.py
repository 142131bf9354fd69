"""One call as it is sent to workers: arrays in, arrays out, numpy at once or dask by chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import misfit, warn_once
from cloudmask.chunk_plan import ChunkAxis, chunk_lengths
from cloudmask.claims import for_tasks
from cloudmask.classes import NO_DATA, arrange, by_class, dilate
from cloudmask.errors import CubeError
from cloudmask.fill import occupied
from cloudmask.scene import Plan, predict_rows
from cloudmask.source import ArraySource
from cloudmask.windows import Span, plan_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.classes import Output
    from cloudmask.ensemble import Ensemble
    from cloudmask.memory import Work
    from cloudmask.options import Options
    from cloudmask.spec import ModelSpec
    from cloudmask.windows import AxisPlan


@dataclass(frozen=True, slots=True)
class Job:
    """Networks, options and what the numbers mean; pickled with every chunk of a dask cube."""

    ensemble: Ensemble
    preset: Preset
    options: Options
    call: str
    """Names the call, so that its chunks warn once."""
    warn: Callable[[str, str | None], None] = warn_once
    """Told `call` and what is odd about the numbers, for each time step."""

    def run(self, data: Any) -> Any:
        """Answer (time, band, y, x) or (band, y, x), numpy or dask."""
        lazy = not isinstance(data, np.ndarray) and hasattr(data, "dask")
        stack = data if data.ndim == 4 else data[None]  # noqa: PLR2004 - time, band, y, x
        answer = self.for_tasks().lazily(stack) if lazy else self._now(np.asarray(stack))
        return answer if data.ndim == 4 else answer[0]  # noqa: PLR2004

    def _now(self, stack: NDArray[np.generic]) -> NDArray[np.generic]:
        tiling = self.options.tiling(self.ensemble.spec)
        axes = [plan_axis(size, tiling, self.options.stitch) for size in stack.shape[2:]]
        bands = len(self.options.output.bands)
        answer = np.empty((len(stack), bands, *stack.shape[2:]), self._dtype)
        for number, step in enumerate(stack):
            packed = self.packed(step, axes[0], axes[1])
            answer[number] = self.arranged(packed)
        return answer

    def run_chunk(
        self, step: NDArray[np.generic], carried: tuple[int, int]
    ) -> NDArray[np.generic]:
        """Answer one chunk of a scene as the whole scene would be answered.

        Args:
            step: (band, y, x), padded with no data where the scene ends.
            carried: Pixels along y and along x, at both ends, that belong to the neighbours.

        Returns:
            (band, y, x) in the order of the layout, of the step's size; no data where the pixels
            are the neighbours'.
        """
        valid = self.preset.valid(step)
        packed = np.full((self._channels, *valid.shape), np.nan, np.float32)
        packed[0] = NO_DATA
        if not valid.any():
            self._warn(step)  # a wrong preset can make no data of everything
        else:
            axes = map(ChunkAxis, valid.shape, carried, occupied(valid))
            tiling, stitch = self.options.tiling(self.ensemble.spec), self.options.stitch
            grow = math.ceil(self.options.dilation(self.ensemble.spec))
            y, x = (axis.plan(tiling, stitch, grow) for axis in axes)
            packed[:, y.out.slice, x.out.slice] = self.packed(step, y, x)
        return self.arranged(packed)

    @property
    def _channels(self) -> int:
        """Class codes alone, or with the probabilities of the four classes."""
        return 1 if self.options.output.layout == "mask" else 5

    @property
    def _dtype(self) -> type[np.generic]:
        return np.uint8 if self.options.output.layout == "mask" else np.float32

    def packed(self, step: NDArray[np.generic], y: AxisPlan, x: AxisPlan) -> NDArray[np.generic]:
        """Run the networks over (band, y, x).

        Returns:
            (1, y, x) class codes for the layout "mask", else (5, y, x) class codes and the
            probabilities of the four classes.
        """
        self._warn(step)
        codes = self.ensemble.spec.classes
        plan = Plan(y, x, self.options.tiling(self.ensemble.spec), self.options.batch or 1)
        packed = np.empty((self._channels, y.out.size, x.out.size), self._dtype)
        for rows in predict_rows(ArraySource(step), plan, self.ensemble, self.preset):
            there = rows.y.within(y.out).slice
            packed[0, there] = rows.classes(codes)
            if self._channels > 1:
                packed[1:, there] = by_class(rows.probabilities, codes, rows.valid)
        return packed

    def arranged(self, packed: NDArray[np.generic]) -> NDArray[np.generic]:
        """Grow masked classes and put what `packed` gives, (1 or 5, y, x), into the layout."""
        output = self.options.output
        radius = self.options.dilation(self.ensemble.spec)
        classes = dilate(packed[0].astype(np.uint8), output.masked, radius)
        spread = packed[1:].astype(np.float32, copy=False) if len(packed) > 1 else None
        return arrange(classes, spread, output)

    def _warn(self, step: NDArray[np.generic]) -> None:
        every = [slice(None, None, max(1, size // 128)) for size in step.shape[1:]]
        sample = step[:, every[0], every[1]]
        if sample.size:
            self.warn(self.call, misfit(sample, self.preset))

    def for_tasks(self) -> Job:
        """Give the same job as dask's tasks carry it; workers get the networks that they lack.

        Raises:
            ClusterError: The workers cannot run this package.
            ModelError: A network cannot be sent.
        """
        return replace(self, ensemble=for_tasks(self.ensemble))

    def lazily(self, stack: Any) -> Any:
        """Answer (time, band, y, x) of dask by chunks; a task sees its chunk and the halo only."""
        import dask.array as da

        _check_known(stack.shape)
        grid = _Grid.of(stack.shape[2:], self.options, self.ensemble.spec)
        if 0 in stack.shape:
            shape = (len(stack), len(self.options.output.bands), *stack.shape[2:])
            # In one chunk: dask cannot choose chunks for a large image without dates.
            return da.zeros(shape, dtype=self._dtype, chunks=-1)
        chunked = stack.rechunk((1, stack.shape[1], *grid.lengths))
        # With one chunk along an axis there is no neighbour to look at.
        depth = [grid.halo if len(lengths) > 1 else 0 for lengths in grid.lengths]
        seen = da.overlap.overlap(
            chunked, dict(enumerate((0, 0, *depth))), boundary="none", allow_rechunk=False
        )
        packed = seen.map_blocks(
            partial(_packed_block, self, grid),
            dtype=self._dtype,
            chunks=(chunked.chunks[0], (self._channels,), *grid.lengths),
            meta=np.empty((0,) * 4, self._dtype),
        )
        return self._arranged_lazily(packed)

    def _arranged_lazily(self, packed: Any) -> Any:
        """Arrange chunks; growing a class asks for the neighbours' pixels."""
        import dask.array as da

        radius = int(self.options.dilation(self.ensemble.spec))
        depth = tuple(min(radius, size) for size in packed.shape[2:])
        if radius:
            packed = da.overlap.overlap(
                packed, dict(enumerate((0, 0, *depth))), boundary=NO_DATA, allow_rechunk=True
            )
        chunks = [
            tuple(size - 2 * by for size in sizes)
            for sizes, by in zip(packed.chunks[2:], depth, strict=True)
        ]
        return packed.map_blocks(
            partial(_arranged_block, self, depth),
            dtype=self._dtype,
            chunks=(packed.chunks[0], (len(self.options.output.bands),), *chunks),
            meta=np.empty((0,) * 4, self._dtype),
        )


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a cube or chunk is."""

    dates: int
    """1 if it has no time."""
    shape: tuple[int, int]
    """Pixels (y, x)."""
    itemsize: int
    """Bytes of a number."""
    lazy: bool
    """Whether dask cuts it into chunks."""

    def work(self, options: Options, spec: ModelSpec, more: int = 0) -> Work:
        """Say how much is done at once, for a plan of memory.

        Args:
            options: How.
            spec: The network, or the first one.
            more: Bytes a pixel and date that are held besides.

        Raises:
            CubeError: Sizes of chunks are not known.
        """
        _check_known(self.shape)
        beside = self.dates * (answer_bytes(options.output) + more) + _making(options.output)
        shape = self.shape
        if not self.lazy:
            # Chosen bands are copied, and a file that is yet to be read stands beside.
            beside += 2 * self.dates * len(spec.bands) * self.itemsize
        if self.lazy:
            # The largest chunk, as cut anew and with what it sees of its neighbours, counts. Its
            # numbers stand beside, as they were read and as put together with those.
            beside += 2 * len(spec.bands) * self.itemsize
            grid = _Grid.of(shape, options, spec)
            y, x = (max(lengths) + 2 * grid.halo for lengths in grid.lengths)
            shape = min(y, shape[0]), min(x, shape[1])
        fixed = shape[0] * shape[1] * beside
        return options.work(spec, shape, itemsize=self.itemsize, fixed=fixed, per_row=0)


def answer_bytes(output: Output) -> int:
    """Bytes a pixel and date of the answer."""
    return len(output.bands) * (1 if output.layout == "mask" else 4)


def _making(output: Output) -> int:
    """Bytes a pixel that making the answer of one date takes: class codes and their copies."""
    growing = 40 if output.dilate else 0  # distances in float64, and what finds them
    # Packed rows, and the answer before and after it is put into its layout.
    rest = 8 if output.layout == "mask" else 5 * 4 + 2 * answer_bytes(output) + 8
    return rest + growing


def _check_known(shape: tuple[float, ...]) -> None:
    if any(math.isnan(size) for size in shape):
        raise CubeError(
            f"shape {shape}: sizes of chunks are not known; call compute_chunk_sizes() on the "
            "dask array first"
        )


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where chunks lie in the scene."""

    lengths: tuple[tuple[int, ...], ...]
    """Chunk lengths along y and along x."""
    halo: int
    """Pixels of its neighbours that a chunk must see to answer as the whole scene would."""

    @classmethod
    def of(cls, shape: tuple[int, ...], options: Options, spec: ModelSpec) -> _Grid:
        """Cut (y, x) into chunks on which the answer does not depend."""
        tiling = options.tiling(spec)
        halo = tiling.margin if options.stitch == "crop" else tiling.tile + 2 * tiling.overlap
        cut = (chunk_lengths(size, options.chunk, tiling.stride, max(halo, 1)) for size in shape)
        return cls(tuple(cut), halo)

    def plan(self, axis: int, number: int, job: Job) -> AxisPlan:
        """Plan the tiles of chunk `number` in the frame of the chunk with its halo."""
        lengths = self.lengths[axis]
        start = sum(lengths[:number])
        out = Span(start, start + lengths[number])
        tiling = job.options.tiling(job.ensemble.spec)
        whole = plan_axis(sum(lengths), tiling, job.options.stitch)
        return whole.part(out).moved(-max(0, start - self.halo))


def _packed_block(
    job: Job, grid: _Grid, block: NDArray[np.generic], block_info: Any = None
) -> NDArray[np.generic]:
    *_, row, column = block_info[0]["chunk-location"]
    packed = job.packed(block[0], grid.plan(0, row, job), grid.plan(1, column, job))
    return packed[None]


def _arranged_block(
    job: Job, depth: tuple[int, ...], block: NDArray[np.generic]
) -> NDArray[np.generic]:
    rows, columns = (slice(by, -by or None) for by in depth)
    return job.arranged(block[0])[None, :, rows, columns]
