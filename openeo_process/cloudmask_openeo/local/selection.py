"""The arguments of `load_collection` that choose a part of a cube."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import rioxarray  # noqa: F401 - gives cubes their CRS
from pyproj import Transformer

from cloudmask.errors import BandError, CubeError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

EDGE_POINTS = 21
"""Points along each edge of a bounding box that are transformed, since edges become curves."""


def with_bands(cube: xr.DataArray, bands: Sequence[str] | None) -> xr.DataArray:
    """Choose bands, in the order in which they are named.

    Raises:
        BandError: One is missing.
    """
    if bands is None:
        return cube
    there = [str(name) for name in cube["bands"].values] if "bands" in cube.coords else []
    missing = [name for name in bands if name not in there]
    if missing:
        raise BandError(f"bands {', '.join(missing)} are missing; there are {', '.join(there)}")
    return cube.sel(bands=list(bands))


def within(cube: xr.DataArray, extent: Any) -> xr.DataArray:
    """Choose the pixels whose centres lie in a bounding box.

    Args:
        cube: With coordinates and a CRS.
        extent: The box of openEO, as an object or a dictionary: west, south, east, north, crs
            (default EPSG:4326). None for all pixels.

    Raises:
        CubeError: None lies there, or the cube has no CRS.
        OptionError: The extent is no box.
    """
    if extent is None:
        return cube
    west, south, east, north = _box(cube, extent)
    inside = {
        "y": np.flatnonzero((cube["y"].values >= south) & (cube["y"].values <= north)),
        "x": np.flatnonzero((cube["x"].values >= west) & (cube["x"].values <= east)),
    }
    if any(len(pixels) == 0 for pixels in inside.values()):
        raise CubeError(
            f"spatial_extent: no pixel lies in x {west:.8g} to {east:.8g}, y {south:.8g} to "
            f"{north:.8g}; the file has x {cube['x'].values.min():.8g} to "
            f"{cube['x'].values.max():.8g}, y {cube['y'].values.min():.8g} to "
            f"{cube['y'].values.max():.8g}"
        )
    return cube.isel({name: slice(index[0], index[-1] + 1) for name, index in inside.items()})


def _box(cube: xr.DataArray, extent: Any) -> tuple[float, float, float, float]:
    """Express a box in the cube's CRS."""
    given = dict(extent) if isinstance(extent, dict) else vars(extent)
    if not {"west", "south", "east", "north"} <= set(given):
        raise OptionError(
            "spatial_extent: only a bounding box (west, south, east, north, crs) can be had from "
            "files; use mask_polygon for polygons"
        )
    crs = cube.rio.crs
    if crs is None:
        raise CubeError(
            "spatial_extent: the file does not say its CRS; write it (cube.rio.write_crs) or "
            "leave spatial_extent out"
        )
    edges = [float(given[name]) for name in ("west", "south", "east", "north")]
    transformer = Transformer.from_crs(given.get("crs") or 4326, crs, always_xy=True)
    west, south, east, north = edges
    return transformer.transform_bounds(west, south, east, north, EDGE_POINTS)


def between(cube: xr.DataArray, extent: Any) -> xr.DataArray:
    """Choose the dates in an interval, its start included and its end not.

    Args:
        cube: Without dates along t it is answered as it is: files often do not know theirs.
        extent: Start and end, either may be None; None for all dates.

    Raises:
        CubeError: No date lies there.
    """
    if extent is None or "t" not in cube.indexes:
        return cube
    start, end = (_instant(moment) for moment in extent)
    dates = cube["t"].values
    chosen = np.ones(dates.shape, bool)
    if start is not None:
        chosen &= dates >= start
    if end is not None:
        chosen &= dates < end
    if not chosen.any():
        raise CubeError(
            f"temporal_extent: no date lies from {start} to before {end}; the file has "
            f"{dates.min()} to {dates.max()}"
        )
    return cube.isel(t=np.flatnonzero(chosen))


def _instant(moment: Any) -> np.datetime64 | None:
    """Read a date, as text or as the graph's parser gives it; UTC."""
    value = getattr(moment, "root", moment)
    if value is None:
        return None
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return np.datetime64(utc.replace(tzinfo=None).isoformat())
    return np.datetime64(str(value).removesuffix("Z"))
