"""xarray in, xarray out: the only place that knows dimensions and coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from cloudmask.bands import as_preset, check_dtype, positions
from cloudmask.default import default_model
from cloudmask.errors import CubeError, OptionError
from cloudmask.job import Extent, Job
from cloudmask.options import Options
from cloudmask.sizing import sized

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from cloudmask.bands import Preset
    from cloudmask.options import SomeModels

DIMENSIONS = {
    "time": ("t", "time"),
    "band": ("bands", "band", "spectral"),
    "y": ("y", "latitude", "lat"),
    "x": ("x", "longitude", "lon"),
}
"""What dimensions may be called."""

_KEPT_ATTRIBUTES = ("grid_mapping", "crs", "transform", "res")


def mask_clouds(
    cube: xr.DataArray | xr.Dataset,
    model: SomeModels | None = None,
    *,
    preset: str | Preset = "dn",
    bands: Sequence[str] | None = None,
    options: Options = Options(),
) -> xr.DataArray:
    """Mask clouds and cloud shadows in a Sentinel-2 cube.

    Args:
        cube: Dimensions (t or time), bands or band or spectral, y, x in any order; without the
            band dimension for a network of one band. A Dataset with a variable a band will do.
            Any real dtype, numpy or dask; with dask the answer is lazy, and a dask Client that
            is active when this is called has the networks brought to its workers.
        model: Name of a network (`cloudmask.models()` lists them), path of an `.onnx` file, an
            opened network, or several of them: an ensemble. By default the network that comes
            with this package for the bands that are there: `cloudmask-s2-small` for all 13 of
            L1C, else `cloudmask-s2-small-4b` for B02, B03, B04 and B08.
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
        ClusterError: Workers of the active dask Client cannot run this package.
        CubeError: Dimensions, sizes or dtype cannot be masked.
        ModelError: The network is unknown, not installed or damaged.
        OptionError: An option cannot work.

    Warns:
        PresetWarning: The values cannot be what the preset says; once a call (with dask: once a
            call and process, where the chunk is computed).
        UserWarning: The workers of a cluster have too little memory for their tasks.
    """
    _check(options)
    if model is None:
        model = default_model(band_labels(cube, bands))
    specs, known = options.specs(model), as_preset(preset)
    if isinstance(cube, xr.Dataset):
        cube, bands = _stacked(cube, specs[0].bands, bands), None
    size = extent(cube)
    options = sized(options, specs, size)
    options = options.fitted(specs, size.work(options, specs[0]))
    job = Job(options.ensemble(model), known, options, str(uuid4()))
    return answered(cube, bands, job, job.run)


def answered(
    cube: xr.DataArray, bands: Sequence[str] | None, job: Job, run: Callable[[Any], Any]
) -> xr.DataArray:
    """Put the numbers of a cube through `run` and dress the answer as the cube was.

    Args:
        cube: See `mask_clouds`.
        bands: See `mask_clouds`.
        job: Names the bands that are needed and those that are answered.
        run: Takes and gives an array (time, band, y, x), without time if the cube has none.

    Raises:
        BandError: A band that the network needs is missing.
        CubeError: Dimensions, sizes or dtype cannot be masked.
    """
    axes = _Axes.of(cube)
    answer = run(_selected(cube, axes, job.ensemble.spec.bands, bands).data)
    return _labelled(answer, cube, axes, job)


def extent(cube: xr.DataArray) -> Extent:
    """Tell how large a cube is.

    Raises:
        CubeError: Dimensions or sizes cannot be masked.
    """
    axes = _Axes.of(cube)
    dates = 1 if axes.time is None else cube.sizes[axes.time]
    shape = cube.sizes[axes.y], cube.sizes[axes.x]
    return Extent(dates, shape, cube.dtype.itemsize, lazy=cube.chunks is not None)


def band_labels(cube: xr.DataArray | xr.Dataset, bands: Sequence[str] | None) -> list[object]:
    """Name a cube's bands: as the caller does, else as the cube does; none if nobody does.

    Args:
        cube: See `mask_clouds`.
        bands: See `mask_clouds`.

    Raises:
        CubeError: Dimensions or sizes cannot be masked, or the names are too many or too few.
    """
    if isinstance(cube, xr.Dataset):
        return list(_given(bands, len(cube.data_vars)) or cube.data_vars)
    axes = _Axes.of(cube)
    if axes.band in cube.dims:
        return list(_given(bands, cube.sizes[axes.band]) or _band_labels(cube, axes.band))
    return [cube[name].item() for name in DIMENSIONS["band"] if name in cube.coords]


def in_standard_order(array: xr.DataArray) -> xr.DataArray:
    """Transpose to (time, band, y, x), whatever these are called; without time if there is none.

    Raises:
        CubeError: A dimension is not known.
    """
    axes = _Axes.of(array)
    return array.transpose(*(dim for dim in axes.ordered if dim in array.dims))


def _check(options: Options) -> None:
    """Refuse what would silently mean something else."""
    if not isinstance(options, Options):
        raise OptionError(f"options={options!r}: must be cloudmask.Options(...)")
    if options.output.dilate and options.pixel_size is None:
        raise OptionError(
            f"dilate={options.output.dilate:g}: how many metres is a pixel of the cube? Its "
            "coordinates are not relied on; say so with Options(pixel_size=10, ...)"
        )


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
        if not isinstance(array, xr.DataArray):
            raise CubeError(
                f"{type(array).__name__}: an xarray DataArray or Dataset is needed (openEO's "
                "cubes are masked by cloudmask_openeo.mask_clouds)"
            )
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
    stacked = chosen.to_dataarray(dim=dim).assign_coords({dim: list(wanted)})
    first = next(iter(chosen.data_vars.values()))
    stacked.attrs = {key: first.attrs[key] for key in _KEPT_ATTRIBUTES if key in first.attrs}
    stacked.encoding = {k: v for k, v in first.encoding.items() if k == "grid_mapping"}
    leading = [name for name in DIMENSIONS["time"] if name in stacked.dims]
    return stacked.transpose(*leading, dim, ...)


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
    chosen = {axes.band: positions(labels, wanted)}
    if 0 in (lengths := array.chunksizes.get(axes.band, ())):
        # dask fails to choose among chunks many of which are empty.
        array = array.chunk({axes.band: tuple(filter(None, lengths))})
    return array.isel(chosen).transpose(*axes.ordered)


def _labelled(answer: Any, array: xr.DataArray, axes: _Axes, job: Job) -> xr.DataArray:
    """Dress the answer (time, band, y, x) in the cube's own dimensions and coordinates."""
    band = axes.band
    of_bands = [name for name, coord in array.coords.items() if band in coord.dims or name == band]
    # With their indexes, whatever kind of index that is.
    coords = array.coords.to_dataset().drop_vars(of_bands).coords
    made = xr.DataArray(answer, coords, axes.ordered, name="cloudmask")
    made = made.assign_coords({band: list(job.options.output.bands)})
    made.attrs = {key: array.attrs[key] for key in _KEPT_ATTRIBUTES if key in array.attrs}
    made.attrs["cloudmask_model"] = job.ensemble.name
    if "grid_mapping" in array.encoding:
        made.encoding["grid_mapping"] = array.encoding["grid_mapping"]
    # A coordinate of two dimensions stays as it is.
    return made.transpose(*_dims_of_answer(array, axes), transpose_coords=False)


def _dims_of_answer(array: xr.DataArray, axes: _Axes) -> list[Hashable]:
    """List the cube's dimensions in their order; bands that it lacks come before the image."""
    dims = list(array.dims)
    if axes.band not in dims:
        dims.insert(min(dims.index(axes.y), dims.index(axes.x)), axes.band)
    return dims
