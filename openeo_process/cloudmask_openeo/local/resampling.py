"""`resample_spatial` that keeps to the cube's extent, as back-ends do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from openeo_processes_dask.process_implementations import resample_spatial as reproject
from pyproj import CRS

if TYPE_CHECKING:
    import xarray as xr


def resample_spatial(
    data: xr.DataArray,
    projection: Any = None,
    resolution: Any = 0,
    method: str = "near",
    align: str = "upper-left",
) -> xr.DataArray:
    """Give a cube other pixels.

    openeo-processes-dask adds a border of pixels that lie outside the cube, even where nothing is
    to be done; chunks would then start one pixel off, and give another mask than the scene.

    Args:
        data: Dimensions t, bands, y, x with coordinates and a CRS.
        projection: EPSG code or WKT; None keeps the CRS.
        resolution: Edge of a pixel in units of the CRS, or those along x and y; 0 keeps it.
        method: Of resampling, as openEO names them.
        align: Handed on.

    Returns:
        The cube itself if it has those pixels already, else resampled; without pixels whose
        centres lie outside the given cube, unless the CRS changes.
    """
    if projection is not None and not CRS.from_user_input(projection).equals(CRS(data.rio.crs)):
        return reproject(data, projection, _one(resolution), method, align)
    wanted = np.broadcast_to(np.abs(np.asarray(resolution, float)), 2)
    own = np.abs(data.rio.resolution())
    if np.all((wanted == 0) | np.isclose(wanted, own, rtol=1e-6)):
        return data
    resampled = reproject(data, None, _one(resolution), method, align)
    west, south, east, north = data.rio.bounds()
    inside_y = (resampled["y"] > south) & (resampled["y"] < north)
    inside_x = (resampled["x"] > west) & (resampled["x"] < east)
    return resampled.isel(y=np.flatnonzero(inside_y), x=np.flatnonzero(inside_x))


def _one(resolution: Any) -> Any:
    """Give square pixels as one number, which is all that openeo-processes-dask takes."""
    values = set(np.atleast_1d(resolution).tolist())
    return values.pop() if len(values) == 1 else resolution
