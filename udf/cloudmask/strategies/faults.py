"""What can be wrong with a cube, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.bands import canonical
from cloudmask.cube import DIMENSIONS
from cloudmask.errors import AmbiguousBandError, BandError, CloudmaskError, CubeError
from cloudmask.strategies.coordinates import roles_of
from cloudmask.strategies.pixels import in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Spoil = Callable[[xr.DataArray, Sequence[str]], xr.DataArray | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to spoil a cube."""

    name: str
    error: type[CloudmaskError]
    """What `cloudmask.mask_clouds` raises."""
    spoil: Spoil
    """Takes a cube that can be masked and the bands that a network needs; gives one that cannot,
    or None where the cube has nothing to spoil."""


def _band(cube: xr.DataArray) -> str | None:
    return roles_of(cube.dims).get("band")


def _chosen(cube: xr.DataArray, dim: str, numbers: list[int]) -> xr.DataArray:
    # dask fails to choose among chunks many of which are empty.
    whole = cube if cube.chunks is None else cube.chunk({dim: -1})
    return whole.isel({dim: numbers})


def _is(label: object, band: str) -> bool:
    return str(label) == band or canonical(label) == band


def _no_band(cube: xr.DataArray, bands: Sequence[str]) -> xr.DataArray | None:
    dim = _band(cube)
    if dim is None or "long_name" in cube.attrs:
        return None
    kept = [not _is(label, bands[-1]) for label in cube[dim].values]
    return _chosen(cube, dim, np.flatnonzero(kept).tolist())


def _empty_bands(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray | None:
    dim = _band(cube)
    if dim is None or "long_name" in cube.attrs:
        return None
    return cube.isel({dim: slice(0, 0)})


def _nameless(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray | None:
    dim = _band(cube)
    if dim is None:
        return None
    names = [name for name in cube.coords if dim in cube[name].dims]
    bare = cube.drop_vars(names).copy(deep=False)  # else the attributes are the cube's own
    bare.attrs = {name: value for name, value in cube.attrs.items() if name != "long_name"}
    return bare


def _twice(cube: xr.DataArray, bands: Sequence[str]) -> xr.DataArray | None:
    dim = _band(cube)
    if dim is None or "long_name" in cube.attrs:
        return None
    labels = list(cube[dim].values)
    at = next(number for number, label in enumerate(labels) if _is(label, bands[0]))
    # Not by both an alias and its own name, which decides.
    labels[at] = bands[0]
    renamed = cube.assign_coords({dim: labels})
    return _chosen(renamed, dim, [*range(len(labels)), at])


def _another_scalar(cube: xr.DataArray, bands: Sequence[str]) -> xr.DataArray | None:
    if _band(cube) is not None:
        return None
    other = next(band for band in ("B01", "B12") if band not in bands)
    scalars = [name for name in DIMENSIONS["band"] if name in cube.coords]
    return cube.drop_vars(scalars).assign_coords(band=other)


def _empty(role: str) -> Spoil:
    def spoil(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
        return cube.isel({roles_of(cube.dims)[role]: slice(0, 0)})

    return spoil


def _without(role: str) -> Spoil:
    def spoil(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
        return cube.isel({roles_of(cube.dims)[role]: 0})

    return spoil


def _unknown_dimension(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
    return cube.rename({roles_of(cube.dims)["y"]: "row"})


def _fifth_dimension(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
    return cube.expand_dims(member=2)


def _second_time(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray | None:
    own = roles_of(cube.dims).get("time")
    if own is None:
        return None
    return cube.expand_dims({next(name for name in DIMENSIONS["time"] if name != own): 1})


def _scalar(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
    return xr.DataArray(cube.dtype.type(1))


def _as(dtype: str) -> Spoil:
    def spoil(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray:
        zeros = np.zeros(cube.shape, np.int8)
        odd: Any = zeros.astype(dtype)
        if cube.chunks is not None:
            odd = in_chunks(odd, cube.chunks)
        return cube.copy(data=odd)

    return spoil


def _unknown_chunks(cube: xr.DataArray, _: Sequence[str]) -> xr.DataArray | None:
    if cube.chunks is None or 0 in cube.shape:
        return None
    axis = cube.dims.index(roles_of(cube.dims)["y"])
    every = in_chunks(np.ones(cube.shape[axis], bool), (cube.chunks[axis],))
    data = cube.data[(slice(None),) * axis + (every,)]
    coords = {name: each for name, each in cube.coords.items() if each.dims == (_band(cube),)}
    return xr.DataArray(data, coords, cube.dims)


FAULTS = (
    Fault("a band is missing", BandError, _no_band),
    Fault("there are no bands", BandError, _empty_bands),
    Fault("bands have no names", BandError, _nameless),
    Fault("a band is there twice", AmbiguousBandError, _twice),
    Fault("the only band is another", BandError, _another_scalar),
    Fault("y is empty", CubeError, _empty("y")),
    Fault("x is empty", CubeError, _empty("x")),
    Fault("y is missing", CubeError, _without("y")),
    Fault("x is missing", CubeError, _without("x")),
    Fault("a dimension is unknown", CubeError, _unknown_dimension),
    Fault("there is a fifth dimension", CubeError, _fifth_dimension),
    Fault("there are two times", CubeError, _second_time),
    Fault("there are no dimensions", CubeError, _scalar),
    Fault("complex", CubeError, _as("complex64")),
    Fault("text", CubeError, _as("U3")),
    Fault("bytes", CubeError, _as("S3")),
    Fault("objects", CubeError, _as("object")),
    Fault("dates", CubeError, _as("M8[ns]")),
    Fault("durations", CubeError, _as("m8[ns]")),
    Fault("chunks of unknown size", CubeError, _unknown_chunks),
)


def faults(name: str) -> Fault:
    """Look a fault up.

    Raises:
        KeyError: There is none of this name.
    """
    return {fault.name: fault for fault in FAULTS}[name]
