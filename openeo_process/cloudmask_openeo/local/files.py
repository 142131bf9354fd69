"""Raster files as openEO cubes: dimensions (t, bands, y, x), lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rioxarray
import xarray as xr

from cloudmask.bands import SENTINEL2, canonical
from cloudmask.cube import DIMENSIONS
from cloudmask.errors import CubeError
from cloudmask_openeo.process_implementations.dimensions import ROLES, Dimensions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from pathlib import Path


CHUNKS = {"band": 1, "y": 2048, "x": 2048}
"""Of GeoTIFF; netCDF and Zarr bring their own."""


def open_cube(path: Path) -> xr.DataArray:
    """Open a raster file.

    Args:
        path: netCDF or Zarr with a variable a band, or one variable with a dimension of bands;
            or GeoTIFF, whose bands are called by their descriptions, else band_1, band_2, ...

    Returns:
        Dimensions (t,) bands, y, x, dask. Where the file declares a no-data value there is NaN,
        as from back-ends, and the numbers are floating point. The CRS is found by rioxarray.

    Raises:
        CubeError: The format is not known, or the file holds no raster with y and x.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise CubeError(f"{path}: cannot be opened, the name must end in {', '.join(READERS)}")
    if not path.exists():
        raise CubeError(f"{path}: there is no such file")
    return _as_openeo(reader(path))


def _netcdf(path: Path) -> xr.DataArray:
    return _stacked(xr.open_dataset(path, chunks={}, decode_coords="all"), path)


def _zarr(path: Path) -> xr.DataArray:
    dataset = xr.open_dataset(path, engine="zarr", chunks={}, decode_coords="all")
    names = {name: canonical(name) for name in dataset.data_vars}
    # Zarr lists variables by the alphabet, B8A behind B12; the instrument's order is meant.
    order = list(SENTINEL2)
    known = [name for name, band in names.items() if band is not None]
    known.sort(key=lambda name: order.index(names[name] or ""))
    others = [name for name in names if names[name] is None]
    return _stacked(dataset[[*known, *others]], path)


def _geotiff(path: Path) -> xr.DataArray:
    cube: Any = rioxarray.open_rasterio(path, chunks=CHUNKS)
    if cube.rio.nodata is not None:
        cube = rioxarray.open_rasterio(path, chunks=CHUNKS, masked=True)
    described = cube.attrs.pop("long_name", ())
    names = [described] if isinstance(described, str) else list(described)
    numbered = [f"band_{number}" for number in range(1, cube.sizes["band"] + 1)]
    labels = [name or number for name, number in zip(names or numbered, numbered, strict=True)]
    return cube.assign_coords(band=labels)


READERS: Mapping[str, Callable[[Path], xr.DataArray]] = {
    ".nc": _netcdf,
    ".zarr": _zarr,
    ".tif": _geotiff,
    ".tiff": _geotiff,
}
"""Ending of a file's name -> what opens it."""


def _stacked(dataset: xr.Dataset, path: Path) -> xr.DataArray:
    """Make one array of a Dataset's rasters, and keep its CRS."""
    rasters = [name for name, array in dataset.data_vars.items() if _is_raster(array)]
    if not rasters:
        raise CubeError(
            f"{path}: no variable has dimensions y and x; there are "
            f"{', '.join(map(str, dataset.data_vars)) or 'none'}"
        )
    own_bands = [name for name in rasters if _dimension(dataset[name], "band") is not None]
    if own_bands and len(rasters) > 1:
        raise CubeError(
            f"{path}: {own_bands[0]} has bands of its own beside other variables "
            f"({', '.join(map(str, rasters))}); keep one variable in the file"
        )
    cube = dataset[own_bands[0]] if own_bands else dataset[rasters].to_dataarray("bands")
    crs = _crs(dataset)
    return cube if crs is None else cube.rio.write_crs(crs)


def _is_raster(array: xr.DataArray) -> bool:
    return all(_dimension(array, role) is not None for role in ("y", "x"))


def _dimension(array: xr.DataArray, role: str) -> Hashable | None:
    return next((name for name in DIMENSIONS[role] if name in array.dims), None)


def _crs(dataset: xr.Dataset) -> Any:
    """Find the CRS, also where no variable refers to it; None if there is none."""
    for variable in dataset.variables.values():
        text = variable.attrs.get("crs_wkt") or variable.attrs.get("spatial_ref")
        if variable.ndim == 0 and text:
            return text
    degrees = any(name in dataset.dims for name in ("lon", "longitude"))
    return dataset.rio.crs or ("EPSG:4326" if degrees else None)


def _as_openeo(cube: xr.DataArray) -> xr.DataArray:
    """Call dimensions as back-ends do, and put them into their order."""
    dimensions = Dimensions.of(cube)
    names = {getattr(dimensions, role): name for role, name in ROLES.items()}
    renamed = cube.rename({own: name for own, name in names.items() if own not in (None, name)})
    ordered = renamed.transpose(*[name for name in ROLES.values() if name in renamed.dims])
    return ordered.reset_coords([name for name in ordered.coords if name == "variable"], drop=True)
