"""Results as files: netCDF with a variable for each band, GeoTIFF with a file for each date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from standin.files import NETCDF

if TYPE_CHECKING:
    from standin.cube import XarrayCube


class SavingError(ValueError):
    """A format that is not known, or that cannot hold the cube."""


def write_one(cube: XarrayCube, filename: str, format: str) -> Path:  # noqa: A002
    """Write a cube into one file."""
    path = Path(filename)
    if _is_netcdf(format):
        _netcdf(cube, path)
    elif cube.array.sizes.get("t", 1) > 1:
        raise SavingError("a GeoTIFF holds a single date; use netCDF or a batch job")
    else:
        _geotiff(cube, cube.array.squeeze("t") if "t" in cube.array.dims else cube.array, path)
    return path


def write_all(cube: XarrayCube, folder: Path, format: str) -> dict[str, dict[str, Any]]:  # noqa: A002
    """Write a cube into files, and describe each by its name."""
    if _is_netcdf(format):
        return {"openEO.nc": _asset(write_one(cube, str(folder / "openEO.nc"), format), cube)}
    if "t" not in cube.array.dims:
        return {"openEO.tif": _asset(write_one(cube, str(folder / "openEO.tif"), format), cube)}
    assets = {}
    for date in cube.array["t"].to_numpy():
        name = f"openEO_{pd.Timestamp(date):%Y-%m-%d}Z.tif"
        _geotiff(cube, cube.array.sel(t=date), folder / name)
        assets[name] = _asset(folder / name, cube)
    return assets


def _is_netcdf(format: str) -> bool:  # noqa: A002
    if format.lower() not in {"netcdf", "gtiff"}:
        raise SavingError(f"the format {format!r} is not netCDF or GTiff")
    return format.lower() == "netcdf"


def _asset(path: Path, cube: XarrayCube) -> dict[str, Any]:
    kind = "application/x-netcdf" if path.suffix == ".nc" else "image/tiff; application=geotiff"
    return {
        "href": str(path),
        "output_dir": str(path.parent),
        "type": kind,
        "roles": ["data"],
        "bands": [{"name": name} for name in labels(cube)],
    }


def labels(cube: XarrayCube) -> list[str]:
    """Name the bands; bands that the metadata does not speak of are unknown."""
    count = cube.array.sizes.get("bands")
    if count is None:
        return ["var"]
    names: list[str] = cube.metadata.band_names
    return names if len(names) == count else [f"unknown_band_{i}" for i in range(count)]


def _netcdf(cube: XarrayCube, path: Path) -> None:
    array = cube.array.assign_coords(x=cube.grid.x, y=cube.grid.y)
    bands = array if "bands" in array.dims else array.expand_dims("bands")
    crs = xr.DataArray(np.int8(0), attrs=pyproj.CRS.from_epsg(cube.grid.epsg).to_cf())
    variables = {
        name: bands.isel(bands=i, drop=True).assign_attrs(grid_mapping="crs")
        for i, name in enumerate(labels(cube))
    }
    data = xr.Dataset({"crs": crs, **variables}, attrs={"Conventions": "CF-1.9"})
    encoding = {name: {"zlib": True, "_FillValue": np.float32(np.nan)} for name in variables}
    with NETCDF:
        data.to_netcdf(path, engine="netcdf4", encoding=encoding)


def _geotiff(cube: XarrayCube, array: xr.DataArray, path: Path) -> None:
    bands = array if "bands" in array.dims else array.expand_dims("bands")
    count, height, width = bands.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="float32",
        count=count,
        height=height,
        width=width,
        nodata=np.nan,
        crs=f"EPSG:{cube.grid.epsg}",
        transform=from_origin(cube.grid.west, cube.grid.north, cube.grid.step, cube.grid.step),
    ) as file:
        file.write(bands.values)
        file.descriptions = labels(cube)
