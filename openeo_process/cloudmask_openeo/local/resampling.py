"""`resample_spatial` that keeps to the cube's extent, as back-ends do."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.types import resxy_
from openeo_processes_dask.process_implementations import resample_spatial as reproject
from openeo_processes_dask.process_implementations.cubes.resample import resample_methods_list
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning

from cloudmask.errors import CubeError, OptionError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

# rasterio hides this warning of its own while it resamples, by means that other threads may undo.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning, module=r"rasterio\.warp")


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
        The cube itself if it has those pixels already, else resampled from its corner on, unless
        the CRS changes.

    Raises:
        CubeError: Metres are asked of a cube in degrees.
        OptionError: There is no such method.
    """
    own_crs = CRS(data.rio.crs)
    if projection is not None and not CRS.from_user_input(projection).equals(own_crs):
        return reproject(data, projection, _one(resolution), method, align)
    wanted = np.broadcast_to(np.abs(np.asarray(resolution, float)), 2)
    if own_crs.is_geographic and wanted.max() >= 1:
        raise CubeError(
            f"resolution={_one(resolution):g}: the cube's pixels are in degrees ({own_crs.name}); "
            "load it in metres, such as UTM, or leave its pixels as they are "
            "(mask_clouds(..., chunks=Chunks(resample=None)))"
        )
    own = np.abs(data.rio.resolution())
    if np.all((wanted == 0) | np.isclose(wanted, own, rtol=1e-6)):
        return data
    return _on_own_extent(data, np.where(wanted == 0, own, wanted), method)


def _on_own_extent(data: xr.DataArray, pixel: NDArray[np.float64], method: str) -> xr.DataArray:
    """Lay pixels of another size from the cube's own corner on; edge along x and y."""
    if method not in resample_methods_list:
        raise OptionError(f"method={method!r}: choose one of {', '.join(resample_methods_list)}")
    box = GeoBox.from_bbox(
        data.rio.bounds(), data.rio.crs, resolution=resxy_(pixel[0], -pixel[1]), tight=True
    )
    plain = data.transpose(..., "y", "x")
    how = {"near": "nearest", "cubicspline": "cubic_spline"}.get(method, method)
    resampled: xr.DataArray = plain.odc.reproject(how=box, resampling=how)
    return resampled.transpose(*data.dims)


def _one(resolution: Any) -> Any:
    """Give square pixels as one number, which is all that openeo-processes-dask takes."""
    values = set(np.atleast_1d(resolution).tolist())
    return values.pop() if len(values) == 1 else resolution
