"""Collections: netCDF files in a folder, which may come while the server runs."""

# mypy: disallow-subclassing-any=False
# (openeo_driver is not installed where types are checked)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import xarray as xr
from openeo.metadata import CollectionMetadata
from openeo_driver.backend import AbstractCollectionCatalog
from openeo_driver.errors import CollectionNotFoundException

from standin.cube import XarrayCube
from standin.files import NETCDF
from standin.grid import Grid

if TYPE_CHECKING:
    from pathlib import Path

    from openeo_driver.backend import LoadParameters
    from openeo_driver.utils import EvalEnv


class FolderCatalog(AbstractCollectionCatalog):
    """Each `<COLLECTION_ID>.nc` holds one variable (t, bands, y, x) or (bands, y, x).

    Its attributes: `epsg`, and `nodata` if a number stands for no data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_all_metadata(self) -> list[dict[str, Any]]:
        """List the collections."""
        return [self.get_collection_metadata(p.stem) for p in sorted(self._folder.glob("*.nc"))]

    def get_collection_metadata(self, collection_id: str) -> dict[str, Any]:
        """Describe a collection."""
        array = self._open(collection_id)
        return describe(collection_id, array, grid_of(array))

    def load_collection(
        self, collection_id: str, load_params: LoadParameters, env: EvalEnv
    ) -> XarrayCube:
        """Load what was asked for, as float32 with NaN for no data."""
        array = self._open(collection_id)
        grid = grid_of(array)
        metadata = CollectionMetadata(describe(collection_id, array, grid))
        cube = XarrayCube(harmonised(array), grid, metadata)
        if load_params.bands:
            cube = cube.filter_bands(load_params.bands)
        if "t" in array.dims:
            cube = cube.filter_temporal(*load_params.temporal_extent)
        if load_params.spatial_extent:
            cube = cube.filter_bbox(**load_params.spatial_extent)
        return cube

    def _open(self, collection_id: str) -> xr.DataArray:
        path = self._folder / f"{collection_id}.nc"
        if not path.exists():
            raise CollectionNotFoundException(collection_id)
        with NETCDF, xr.open_dataset(path, mask_and_scale=False, engine="netcdf4") as data:
            return next(iter(data.data_vars.values())).load()


def harmonised(array: xr.DataArray) -> xr.DataArray:
    """Turn numbers into float32, no data into NaN, and drop all labels but dates."""
    values = array.values.astype(np.float32)
    if "nodata" in array.attrs:
        values = np.where(array.values == array.attrs["nodata"], np.float32(np.nan), values)
    coords = {"t": array["t"].values} if "t" in array.dims else {}
    return xr.DataArray(values, coords, array.dims)


def grid_of(array: xr.DataArray) -> Grid:
    """Read the grid of a collection."""
    x, y = array["x"].values, array["y"].values
    step = float(x[1] - x[0])
    return Grid(
        west=float(x[0]) - step / 2,
        north=float(y[0]) + step / 2,
        step=step,
        shape=(len(y), len(x)),
        epsg=int(array.attrs["epsg"]),
    )


def describe(collection_id: str, array: xr.DataArray, grid: Grid) -> dict[str, Any]:
    """Write a STAC collection."""
    west, south, east, north = grid.bounds
    bands = [str(band) for band in array["bands"].values]
    spatial = {"type": "spatial", "reference_system": grid.epsg, "step": grid.step}
    dimensions: dict[str, Any] = {
        "x": spatial | {"axis": "x", "extent": [west, east]},
        "y": spatial | {"axis": "y", "extent": [south, north]},
        "bands": {"type": "bands", "values": bands},
    }
    interval: list[str | None] = [None, None]
    if "t" in array.dims:
        interval = [f"{np.datetime_as_string(t, 's')}Z" for t in array["t"].values[[0, -1]]]
        dimensions["t"] = {"type": "temporal", "extent": interval}
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": collection_id,
        "description": f"Pixels of the tests, {dict(array.sizes)}",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [_lonlat(grid)]},
            "temporal": {"interval": [interval]},
        },
        "cube:dimensions": dimensions,
        "summaries": {"eo:bands": [{"name": band} for band in bands]},
        "links": [],
    }


def _lonlat(grid: Grid) -> list[float]:
    change = pyproj.Transformer.from_crs(f"EPSG:{grid.epsg}", "EPSG:4326", always_xy=True)
    return list(change.transform_bounds(*grid.bounds))
