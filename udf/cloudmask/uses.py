"""What a mask is for: cubes without clouds, shares of clear pixels, composites, clear dates.

Everything is lazy on dask but `only_clear`, which must know the shares. A mask is laid over a cube
pixel by pixel: coordinates may be absent or inexact, as openEO's are, sizes may not differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import xarray as xr

from cloudmask.classes import CLASSES, Output
from cloudmask.cube import DIMENSIONS
from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    SomeCube = TypeVar("SomeCube", xr.DataArray, xr.Dataset)


def cloud_free(
    cube: SomeCube,
    mask: xr.DataArray,
    *,
    masked: Sequence[int] | None = None,
    fill: float | None = None,
) -> SomeCube:
    """Take clouds, shadows and no data out of a cube.

    Args:
        cube: Any cube of the mask's pixels and dates, or a Dataset with a variable a band; need
            not be the one that was masked.
        mask: What `mask_clouds` gives (layout "mask" or "probabilities"), or class codes alone.
        masked: Class codes to hide (1 thick cloud, 2 thin cloud, 3 cloud shadow). Default: what
            the mask itself hides, for class codes alone all three.
        fill: What hidden pixels become. Default NaN, for which whole numbers become floats.

    Raises:
        CubeError: The mask is of other pixels or dates, or has no such band.
        OptionError: `masked` has other numbers than 1, 2, 3.
    """
    usable = _onto(cube, _usable(mask, masked))
    return cube.where(usable) if fill is None else cube.where(usable, fill)


def clear_share(
    mask: xr.DataArray, dims: Sequence[str] = ("y", "x"), *, masked: Sequence[int] | None = None
) -> xr.DataArray:
    """Tell which share (0..1) of the pixels that exist is usable; NaN where none exists.

    Args:
        mask: See `cloud_free`.
        dims: Dimensions to count along, by any of their names ("y" stands for "latitude", too).
        masked: See `cloud_free`.

    Raises:
        CubeError: A dimension or the band "class" is missing.
        OptionError: See `cloud_free`.
    """
    along = [_called(mask, dim) for dim in dims]
    valid = _valid(mask).sum(along)
    return (_usable(mask, masked).sum(along) / valid.where(valid > 0)).rename("clear_share")


def valid_share(mask: xr.DataArray, dims: Sequence[str] = ("y", "x")) -> xr.DataArray:
    """Tell which share (0..1) of all pixels exists, clouded or not.

    Args:
        mask: See `cloud_free`.
        dims: See `clear_share`.

    Raises:
        CubeError: See `clear_share`.
    """
    return _valid(mask).mean([_called(mask, dim) for dim in dims]).rename("valid_share")


def composite(
    cube: SomeCube, mask: xr.DataArray, time: str = "t", *, masked: Sequence[int] | None = None
) -> SomeCube:
    """Take the median of the usable observations of each pixel.

    Args:
        cube: See `cloud_free`; with time.
        mask: See `cloud_free`; with time.
        time: The dimension to go along, by any of its names ("t" stands for "time", too).
        masked: See `cloud_free`.

    Returns:
        The cube without time, NaN where nothing is usable; its coordinate `observations` (y, x)
        says how many the mask leaves of each pixel.

    Raises:
        CubeError: See `cloud_free`; or there is no date.
        OptionError: See `cloud_free`.
    """
    usable = _onto(cube, _usable(mask, masked))
    dim = _called(cube, time)
    if not usable.sizes.get(dim):
        raise CubeError(f"composite: the mask has no date along {dim}; one at least is needed")
    clear = cube.where(usable)
    if clear.chunks:
        # All dates of a pixel in one chunk, and no more pixels than dask finds fitting.
        clear = clear.chunk({dim: -1, _called(cube, "y"): "auto", _called(cube, "x"): "auto"})
    median: SomeCube = xr.apply_ufunc(
        _median, clear, input_core_dims=[[dim]], dask="parallelized", keep_attrs=True
    )
    return median.assign_coords(observations=usable.sum([dim]))


def only_clear(
    cube: SomeCube,
    mask: xr.DataArray,
    least: float = 0.8,
    *,
    least_valid: float = 0.0,
    masked: Sequence[int] | None = None,
    time: str = "t",
) -> SomeCube:
    """Keep the dates that are clear enough; the shares are computed, the cube is not.

    Args:
        cube: See `composite`.
        mask: See `composite`.
        least: The share of usable pixels (0..1) among those that exist that a date must have.
        least_valid: The share of pixels that must exist; dates without any are never kept.
        masked: See `cloud_free`.
        time: See `composite`.

    Raises:
        CubeError: See `cloud_free`.
        OptionError: See `cloud_free`.
    """
    dim = _called(mask, time)
    both = {"clear": clear_share(mask, masked=masked), "valid": valid_share(mask)}
    shares = xr.Dataset(both).compute()
    kept = _onto(cube, (shares["clear"] >= least) & (shares["valid"] >= least_valid))
    return cube.isel({_called(cube, str(dim)): np.flatnonzero(kept)})


def _usable(mask: xr.DataArray, masked: Sequence[int] | None) -> xr.DataArray:
    """Tell which pixels exist and are not hidden, without the band dimension."""
    if masked is None:
        hides = _band(mask, "mask")
        if hides is not None:
            return hides == 0
        masked = Output().masked
    hidden = Output(masked=tuple(np.atleast_1d(masked).tolist())).masked
    # What is none of these codes, NaN too, is no data.
    return _classes(mask).isin([each.code for each in CLASSES if each.code not in hidden])


def _valid(mask: xr.DataArray) -> xr.DataArray:
    return _classes(mask).isin([each.code for each in CLASSES])


def _classes(mask: xr.DataArray) -> xr.DataArray:
    found = _band(mask, "class")
    if found is not None:
        return found
    dim, labels = _labels(mask)
    alone = len(labels) <= 1 and "mask" not in labels
    if not alone:
        raise CubeError(
            f"mask with bands {', '.join(map(str, labels))}: the band 'class' is needed to tell "
            "cloud from no data; give what mask_clouds gives, or class codes alone"
        )
    return mask if dim not in mask.dims else mask.isel({dim: 0}, drop=True)


def _band(mask: xr.DataArray, label: str) -> xr.DataArray | None:
    """Give one band of a mask; None if it has none of that name."""
    dim, labels = _labels(mask)
    if label not in labels:
        return None
    if dim not in mask.dims:
        return mask.drop_vars(str(dim))
    return mask.isel({dim: labels.index(label)}, drop=True)


def _labels(mask: xr.DataArray) -> tuple[Hashable | None, list[object]]:
    """Name the band dimension, or the scalar coordinate that a choice of one band leaves."""
    if not isinstance(mask, xr.DataArray):
        raise CubeError(f"mask is a {type(mask).__name__}: give the DataArray of mask_clouds")
    for dim in DIMENSIONS["band"]:
        if dim in mask.dims or dim in mask.coords:
            return dim, np.atleast_1d(mask[dim].values).tolist()
    return None, []


def _called(cube: xr.DataArray | xr.Dataset, name: str) -> Hashable:
    """Find a dimension by any of the names that it may have."""
    alike = next((names for names in DIMENSIONS.values() if name in names), ())
    found = [dim for dim in (name, *alike) if dim in cube.dims]
    if not found:
        names = ", ".join(map(str, cube.dims))
        raise CubeError(f"dimension {name} is missing; there are {names}")
    return found[0]


def _onto(cube: xr.DataArray | xr.Dataset, over: xr.DataArray) -> xr.DataArray:
    """Lay pixels over those of a cube: its names of dimensions, no coordinates to compare."""
    laid = over.rename({dim: _called(cube, str(dim)) for dim in over.dims})
    for dim in laid.dims:
        if laid.sizes[dim] != cube.sizes[dim]:
            raise CubeError(
                f"mask and cube differ in {dim}: {laid.sizes[dim]} and {cube.sizes[dim]}; "
                "resample or select, so that both have the same pixels and dates"
            )
        if dim in laid.coords and dim in cube.coords:
            _check_alike(str(dim), laid[dim].values, cube[dim].values)
    return xr.DataArray(laid.variable)


def _check_alike(dim: str, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """Refuse coordinates that are further apart than float32 explains."""
    if ours.dtype.kind in "iuf" and theirs.dtype.kind in "iuf" and len(ours) > 1:
        pixel = abs(float(theirs[1]) - float(theirs[0]))
        alike = float(np.abs(ours.astype(float) - theirs.astype(float)).max()) <= pixel / 2
    else:
        alike = np.array_equal(ours, theirs)
    if not alike:
        raise CubeError(
            f"mask and cube differ in {dim}: {ours[0]} to {ours[-1]} and {theirs[0]} to "
            f"{theirs[-1]}; resample or select, so that both have the same pixels and dates"
        )


def _median(values: NDArray[Any]) -> NDArray[Any]:
    """Take the median along the last axis of what is not NaN; NaN, unwarned, if all is."""
    ordered = np.sort(values, axis=-1)  # NaN go last
    count = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    middle = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[-1] - 1)
    low, high = (np.take_along_axis(ordered, place, axis=-1)[..., 0] for place in middle)
    return low + (high - low) / 2
