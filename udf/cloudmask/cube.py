"""xarray in, xarray out: the only place that knows dimensions, time and dask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from cloudmask.bands import as_preset, check_dtype, misfit, positions, warn_once
from cloudmask.classes import NO_DATA, arrange, by_class, dilate
from cloudmask.errors import CubeError
from cloudmask.options import Options
from cloudmask.scene import ArraySource, Plan, predict_rows
from cloudmask.windows import Span, chunk_lengths, plan_axis

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.ensemble import Ensemble
    from cloudmask.options import SomeModels
    from cloudmask.windows import AxisPlan

DIMENSIONS = {
    "time": ("t", "time"),
    "band": ("bands", "band", "spectral"),
    "y": ("y", "latitude", "lat"),
    "x": ("x", "longitude", "lon"),
}
"""What dimensions may be called."""

DEFAULT_MODEL = "ukis-4b-l1c"

_KEPT_ATTRIBUTES = ("grid_mapping", "crs", "transform", "res")


def mask_clouds(
    cube: xr.DataArray | xr.Dataset,
    model: SomeModels = DEFAULT_MODEL,
    *,
    preset: str | Preset = "dn",
    bands: Sequence[str] | None = None,
    options: Options = Options(),
) -> xr.DataArray:
    """Mask clouds and cloud shadows in a Sentinel-2 cube.

    Args:
        cube: Dimensions (t or time), bands or band or spectral, y, x in any order; without the
            band dimension for a network of one band. A Dataset with a variable a band will do.
            Any real dtype, numpy or dask; with dask the answer is lazy.
        model: Name of a network (`cloudmask.models()` lists them), path of an `.onnx` file, an
            opened network, or several of them: an ensemble.
        preset: What the numbers mean: "dn" (x 10000, before processing baseline 04.00, 0 = no
            data), "dn_n0400" (the same from baseline 04.00 on), "cdse" (offset already applied,
            NaN = no data), "reflectance", or a `Preset`.
        bands: Names of the cube's bands in their order, if the cube does not say.
        options: Tiling, augmentation, output layout and threads.

    Returns:
        The cube's own dimensions, coordinates and CRS, with the bands of the layout in place of
        the cube's: by default "mask" (1 = cloud, shadow or no data, 0 = usable) and "class"
        (0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data) as uint8. See
        `cloudmask.classes.LAYOUT_BANDS`; layouts with probabilities are float32.

    Raises:
        BandError: A band that the network needs is missing.
        CubeError: Dimensions, sizes or dtype cannot be masked.
        ModelError: The network is unknown, not installed or damaged.
        OptionError: An option cannot work.

    Warns:
        PresetWarning: The values cannot be what the preset says; once a call.
    """
    job = _Job(options.ensemble(model), as_preset(preset), options, str(uuid4()))
    wanted = job.ensemble.spec.bands
    if isinstance(cube, xr.Dataset):
        cube, bands = _stacked(cube, wanted, bands), None
    if not isinstance(cube, xr.DataArray):
        raise CubeError(f"{type(cube).__name__}: an xarray DataArray or Dataset is needed")
    axes = _Axes.of(cube)
    answer = job.run(_selected(cube, axes, wanted, bands).data)
    return _labelled(answer, cube, axes, job)


@dataclass(frozen=True, slots=True)
class _Axes:
    """What the cube calls its dimensions."""

    time: Hashable | None
    """None if the cube has no time."""
    band: Hashable
    """The answer has it even if the cube lacks it."""
    y: Hashable
    x: Hashable

    @classmethod
    def of(cls, array: xr.DataArray) -> _Axes:
        """Recognise dimensions by name."""
        found = {role: _one_of(array, role) for role in DIMENSIONS}
        strange = [str(dim) for dim in array.dims if dim not in found.values()]
        lacking = [role for role in ("y", "x") if found[role] is None]
        if strange or lacking:
            names = "; ".join(f"{role}: {', '.join(names)}" for role, names in DIMENSIONS.items())
            problem = [f"dimension {dim!r} is not known" for dim in strange]
            problem += [f"dimension {role} is missing" for role in lacking]
            raise CubeError(
                f"{' and '.join(problem)}; the cube has {array.dims}. Rename to one of {names}"
            )
        for role in ("y", "x"):
            if array.sizes[found[role]] == 0:
                raise CubeError(f"dimension {role} has length 0: there is nothing to mask")
        band = "bands" if found["band"] is None else found["band"]
        return cls(found["time"], band, found["y"], found["x"])

    @property
    def ordered(self) -> list[Hashable]:
        """The cube's dimensions in the order time, band, y, x."""
        return [*([] if self.time is None else [self.time]), self.band, self.y, self.x]


def _one_of(array: xr.DataArray, role: str) -> Hashable | None:
    present = [name for name in DIMENSIONS[role] if name in array.dims]
    if len(present) > 1:
        raise CubeError(f"dimensions {' and '.join(present)} both mean {role}; drop one of them")
    return present[0] if present else None


def _stacked(cube: xr.Dataset, wanted: Sequence[str], bands: Sequence[str] | None) -> xr.DataArray:
    """Stack the variables of a Dataset that the network needs, in its order."""
    variables = list(cube.data_vars)
    labels = _given(bands, len(variables)) or variables
    chosen = cube[[variables[number] for number in positions(labels, wanted)]]
    dim = next(name for name in DIMENSIONS["band"] if name not in chosen.dims)
    return chosen.to_dataarray(dim=dim).assign_coords({dim: list(wanted)})


def _given(bands: Sequence[str] | None, count: int) -> list[str] | None:
    """Check the names that the caller gives."""
    if bands is None:
        return None
    if len(bands) != count:
        raise CubeError(
            f"bands={', '.join(map(str, bands))}: {len(bands)} names for {count} "
            f"band{'s' if count > 1 else ''}; name every band of the cube in its order"
        )
    return list(bands)


def _band_labels(array: xr.DataArray, band: Hashable) -> list[object]:
    """List the names of the bands, as openEO, odc-stac or rioxarray give them."""
    labels: list[object] = list(array[band].values) if band in array.coords else []
    names = array.attrs.get("long_name")
    numbered = all(isinstance(label, (int, np.integer)) for label in labels)
    if numbered and isinstance(names, (str, tuple, list)):
        # rioxarray numbers the bands and puts their names there; the one of a single band bare.
        return [names] if isinstance(names, str) else list(names)
    return labels


def _with_band_dimension(array: xr.DataArray, axes: _Axes, wanted: Sequence[str]) -> xr.DataArray:
    """Give a cube of one band the dimension it lacks.

    The name of that band is a scalar coordinate (`cube.sel(bands="B04")` leaves one); without
    one it is the network's, if that takes a single band.
    """
    scalars = [name for name in DIMENSIONS["band"] if name in array.coords]
    label = array[scalars[0]].item() if scalars else wanted[0]
    return array.drop_vars(scalars).expand_dims({axes.band: [label]})


def _selected(
    array: xr.DataArray, axes: _Axes, wanted: Sequence[str], bands: Sequence[str] | None
) -> xr.DataArray:
    """Give the network's bands in its order, dimensions as (time, band, y, x)."""
    check_dtype(array.dtype)
    if axes.band not in array.dims:
        array = _with_band_dimension(array, axes, wanted)
    labels = _given(bands, array.sizes[axes.band]) or _band_labels(array, axes.band)
    chosen = array.isel({axes.band: positions(labels, wanted)})
    return chosen.transpose(*axes.ordered)


def _labelled(answer: Any, array: xr.DataArray, axes: _Axes, job: _Job) -> xr.DataArray:
    """Dress the answer (time, band, y, x) in the cube's own dimensions and coordinates."""
    band = axes.band
    coords = {
        name: coord
        for name, coord in array.coords.items()
        if band not in coord.dims and name != band
    }
    made = xr.DataArray(answer, coords, axes.ordered, name="cloudmask")
    made = made.assign_coords({band: list(job.options.output.bands)})
    made.attrs = {key: array.attrs[key] for key in _KEPT_ATTRIBUTES if key in array.attrs}
    made.attrs["cloudmask_model"] = job.ensemble.name
    if "grid_mapping" in array.encoding:
        made.encoding["grid_mapping"] = array.encoding["grid_mapping"]
    return made.transpose(*array.dims) if band in array.dims else made


@dataclass(frozen=True, slots=True)
class _Job:
    """One call, as it is sent to workers."""

    ensemble: Ensemble
    preset: Preset
    options: Options
    call: str
    """Names the call, so that its chunks warn once."""

    def run(self, data: Any) -> Any:
        """Answer (time, band, y, x) or (band, y, x), numpy or dask."""
        lazy = not isinstance(data, np.ndarray) and hasattr(data, "dask")
        stack = data if data.ndim == 4 else data[None]  # noqa: PLR2004 - time, band, y, x
        answer = self._lazily(stack) if lazy else self._now(np.asarray(stack))
        return answer if data.ndim == 4 else answer[0]  # noqa: PLR2004

    def _now(self, stack: NDArray[np.generic]) -> NDArray[np.generic]:
        tiling = self.options.tiling(self.ensemble.spec)
        axes = [plan_axis(size, tiling, self.options.stitch) for size in stack.shape[2:]]
        bands = len(self.options.output.bands)
        answer = np.empty((len(stack), bands, *stack.shape[2:]), self._dtype)
        for number, step in enumerate(stack):
            packed = self._packed(step, axes[0], axes[1])
            answer[number] = self._arranged(packed)
        return answer

    @property
    def _dtype(self) -> type[np.generic]:
        return np.uint8 if self.options.output.layout == "mask" else np.float32

    def _packed(self, step: NDArray[np.generic], y: AxisPlan, x: AxisPlan) -> NDArray[np.generic]:
        """Run the networks over (band, y, x).

        Returns:
            (1, y, x) class codes for the layout "mask", else (5, y, x) class codes and the
            probabilities of the four classes.
        """
        self._warn(step)
        codes = self.ensemble.spec.classes
        plan = Plan(y, x, self.options.tiling(self.ensemble.spec), self.options.batch)
        only_codes = self.options.output.layout == "mask"
        packed = np.empty((1 if only_codes else 5, y.out.size, x.out.size), self._dtype)
        for rows in predict_rows(ArraySource(step), plan, self.ensemble, self.preset):
            there = rows.y.within(y.out).slice
            packed[0, there] = rows.classes(codes)
            if not only_codes:
                packed[1:, there] = by_class(rows.probabilities, codes, rows.valid)
        return packed

    def _arranged(self, packed: NDArray[np.generic]) -> NDArray[np.generic]:
        """Grow masked classes and put (1 or 5, y, x) into the layout."""
        output = self.options.output
        radius = self.options.dilation(self.ensemble.spec)
        classes = dilate(packed[0].astype(np.uint8), output.masked, radius)
        spread = packed[1:].astype(np.float32, copy=False) if len(packed) > 1 else None
        return arrange(classes, spread, output)

    def _warn(self, step: NDArray[np.generic]) -> None:
        every = [slice(None, None, max(1, size // 128)) for size in step.shape[1:]]
        sample = step[:, every[0], every[1]]
        if sample.size:
            warn_once(self.call, misfit(sample, self.preset))

    # -- dask -------------------------------------------------------------------------------

    def _lazily(self, stack: Any) -> Any:
        """Answer chunk by chunk; a task sees its chunk and the halo, never the scene."""
        import dask.array as da

        if any(math.isnan(size) for size in stack.shape):
            raise CubeError(
                f"shape {stack.shape}: sizes of chunks are not known; call compute_chunk_sizes() "
                "on the dask array first"
            )
        grid = _Grid.of(stack.shape[2:], self)
        if 0 in stack.shape:
            shape = (len(stack), len(self.options.output.bands), *stack.shape[2:])
            return da.zeros(shape, dtype=self._dtype)
        chunked = stack.rechunk((1, stack.shape[1], *grid.lengths))
        # With one chunk along an axis there is no neighbour to look at.
        depth = [grid.halo if len(lengths) > 1 else 0 for lengths in grid.lengths]
        seen = da.overlap.overlap(
            chunked, dict(enumerate((0, 0, *depth))), boundary="none", allow_rechunk=False
        )
        channels = 1 if self.options.output.layout == "mask" else 5
        packed = seen.map_blocks(
            partial(_packed_block, self, grid),
            dtype=self._dtype,
            chunks=(chunked.chunks[0], (channels,), *grid.lengths),
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
class _Grid:
    """Where chunks lie in the scene."""

    lengths: tuple[tuple[int, ...], ...]
    """Chunk lengths along y and along x."""
    halo: int
    """Pixels of its neighbours that a chunk must see to answer as the whole scene would."""

    @classmethod
    def of(cls, shape: tuple[int, ...], job: _Job) -> _Grid:
        """Cut (y, x) into chunks on which the job's answer does not depend."""
        tiling, options = job.options.tiling(job.ensemble.spec), job.options
        halo = tiling.margin if options.stitch == "crop" else tiling.tile + 2 * tiling.overlap
        cut = (chunk_lengths(size, options.chunk, tiling.stride, max(halo, 1)) for size in shape)
        return cls(tuple(cut), halo)

    def plan(self, axis: int, number: int, job: _Job) -> AxisPlan:
        """Plan the tiles of chunk `number` in the frame of the chunk with its halo."""
        lengths = self.lengths[axis]
        start = sum(lengths[:number])
        out = Span(start, start + lengths[number])
        tiling = job.options.tiling(job.ensemble.spec)
        whole = plan_axis(sum(lengths), tiling, job.options.stitch)
        return whole.part(out).moved(-max(0, start - self.halo))


def _packed_block(
    job: _Job, grid: _Grid, block: NDArray[np.generic], block_info: Any = None
) -> NDArray[np.generic]:
    *_, row, column = block_info[0]["chunk-location"]
    packed = job._packed(block[0], grid.plan(0, row, job), grid.plan(1, column, job))  # noqa: SLF001
    return packed[None]


def _arranged_block(
    job: _Job, depth: tuple[int, ...], block: NDArray[np.generic]
) -> NDArray[np.generic]:
    rows, columns = (slice(by, -by or None) for by in depth)
    return job._arranged(block[0])[None, :, rows, columns]  # noqa: SLF001
