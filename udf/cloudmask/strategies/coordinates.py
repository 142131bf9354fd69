"""The coordinates of a made-up cube, and what may be odd about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.cube import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Oddity = Callable[[xr.DataArray, Mapping[str, str]], xr.DataArray]
    """Takes a cube and what it calls its roles ("time", "band", "y", "x"); gives it with other
    coordinates."""


def roles_of(dims: Sequence[object]) -> dict[str, str]:
    """Give role -> dimension, for the roles that a cube has."""
    known = {name: role for role, names in DIMENSIONS.items() for name in names}
    return {known[str(dim)]: str(dim) for dim in dims}


def usual(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    """Give the coordinates that a product on a grid of 10 m has, y downwards."""
    place: dict[str, Any] = {}
    for role, first, step in (("y", 5_000_000.0, -10.0), ("x", 300_000.0, 10.0)):
        place[roles[role]] = first + step * np.arange(cube.sizes[roles[role]])
    if "time" in roles:
        days = np.arange(cube.sizes[roles["time"]]) * np.timedelta64(5, "D")
        place[roles["time"]] = np.datetime64("2024-01-01T10:30", "ns") + days
    return cube.assign_coords(place)


def _bare(cube: xr.DataArray, dim: str) -> xr.DataArray:
    """Take the index of a dimension away, with all its levels."""
    return cube.drop_vars(cube.xindexes.get_all_coords(dim, errors="ignore"))


def _without(role: str) -> Oddity:
    def drop(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
        return _bare(cube, roles[role]) if role in roles else cube

    return drop


def _along(role: str, make: Callable[[int], Any]) -> Oddity:
    def put(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
        if role not in roles:
            return cube
        dim = roles[role]
        return _bare(cube, dim).assign_coords({dim: make(cube.sizes[dim])})

    return put


def _float32(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    dims = [roles[role] for role in ("y", "x") if roles[role] in cube.coords]
    return cube.assign_coords({dim: cube[dim].values.astype(np.float32) for dim in dims})


def _not_a_time(count: int) -> Any:
    times = np.full(count, "2024-01-01", "M8[ns]")
    times[:1] = np.datetime64("NaT")
    return times


def _same(count: int) -> Any:
    return np.full(count, "2024-01-01", "M8[ns]")


def _texts(count: int) -> Any:
    return [f"2024-01-{day + 1:02d}" for day in range(count)]


def _downwards(count: int) -> Any:
    return 3e5 - 10.0 * np.arange(count)


def _upwards(count: int) -> Any:
    return 5e6 + 10.0 * np.arange(count)


def _with_nan(count: int) -> Any:
    return np.where(np.arange(count) == count // 2, np.nan, np.arange(count))


def _crs(cube: xr.DataArray, _: Mapping[str, str]) -> xr.DataArray:
    cube = cube.assign_coords(spatial_ref=0)
    cube.spatial_ref.attrs["crs_wkt"] = "PROJCRS[...]"
    return cube.assign_attrs(grid_mapping="spatial_ref", units="1", scale_factor=1e-4)


def _scalars(cube: xr.DataArray, _: Mapping[str, str]) -> xr.DataArray:
    return cube.assign_coords(platform="sentinel-2a", orbit=51, seen=np.datetime64("NaT", "ns"))


def _geographic(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    dims = roles["y"], roles["x"]
    shape = tuple(cube.sizes[dim] for dim in dims)
    places = np.indices(shape, dtype=np.float64)
    # Names that are free, of those that other cubes call their dimensions.
    names = ("lat", "latitude"), ("lon", "longitude")
    free = [next(name for name in pair if name not in dims) for pair in names]
    return cube.assign_coords({name: (dims, at) for name, at in zip(free, places, strict=True)})


def _beside_time(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    if "time" not in roles:
        return cube
    count = cube.sizes[roles["time"]]
    return cube.assign_coords(item=(roles["time"], [f"S2A_{number}" for number in range(count)]))


def _beside_bands(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    if "band" not in roles:
        return cube
    count = cube.sizes[roles["band"]]
    return cube.assign_coords(wavelength=(roles["band"], np.arange(count) * 100.0))


def _two_levels(cube: xr.DataArray, roles: Mapping[str, str]) -> xr.DataArray:
    """Index the dates by tile and day, as `stack` does."""
    if "time" not in roles:
        return cube
    count, dim = cube.sizes[roles["time"]], roles["time"]
    pairs = xr.DataArray(np.zeros((1, count)), dims=("tile", "day"))
    pairs = pairs.assign_coords(tile=["T31TCJ"], day=np.arange(count))
    levels = pairs.stack({dim: ("tile", "day")}).coords
    return _bare(cube, dim).assign_coords(xr.Coordinates(levels))


ODDITIES: Mapping[str, Oddity] = {
    "time missing": _without("time"),
    "time NaT": _along("time", _not_a_time),
    "time twice": _along("time", _same),
    "time as text": _along("time", _texts),
    "time of two levels": _two_levels,
    "y missing": _without("y"),
    "x missing": _without("x"),
    "y upwards": _along("y", _upwards),
    "x downwards": _along("x", _downwards),
    "y with NaN": _along("y", _with_nan),
    "float32": _float32,
    "crs": _crs,
    "scalars": _scalars,
    "geographic": _geographic,
    "beside time": _beside_time,
    "beside bands": _beside_bands,
}
"""Name -> what makes a cube's coordinates so."""
