"""At home: the graph that a back-end would run, on files."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from logging import LogRecord
    from pathlib import Path

    from openeo.local import LocalConnection

__all__ = ["local_connection"]


def local_connection(
    collections: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
) -> LocalConnection:
    """Connect to files as to a back-end.

    The connection runs graphs with openeo-processes-dask, and knows besides `apply_neighborhood`,
    a `run_udf` that cuts chunks as back-ends do, `cloud_detection`, and a `save_result` that hands
    the cube through. `load_collection` opens netCDF (.nc), Zarr (.zarr) and GeoTIFF (.tif) lazily,
    with the dimensions (t, bands, y, x), and obeys bands, spatial_extent (a bounding box) and
    temporal_extent. `resample_spatial` adds no border, as that of openeo-processes-dask does, so
    that graphs of `mask_clouds` give the whole scene's mask. Other local connections are not
    changed.

    Args:
        collections: Collection ids and their files, as {"SENTINEL2_L1C": "scene.nc"}, so that a
            graph keeps the id that it has for the back-end; or a folder or several, whose files'
            paths are the ids.

    Returns:
        A connection; `cube.execute()` gives an `xarray.DataArray`.

    Raises:
        CubeError: A file does not exist or has another format.
        ImportError: openeo-processes-dask or what it needs is not installed.
    """
    logging.getLogger("openeo_processes_dask.process_implementations").addFilter(_concerns_users)
    try:
        for name in ("openeo", "openeo_pg_parser_networkx", "openeo_processes_dask", "rioxarray"):
            import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{error}. A local connection needs two steps: `pip install "
            "'openeo-cloudmask[openeo-local]'`, then `pip install --no-deps "
            "openeo-processes-dask` (without its dependency gdal, which it never imports)",
            name=error.name,
        ) from error
    from cloudmask_openeo.local.catalogue import Catalogue
    from cloudmask_openeo.local.connection import FileConnection

    return FileConnection(Catalogue.of(collections))


def _concerns_users(record: LogRecord) -> bool:
    """Leave out that machine learning is not installed: it sounds like a fault and is none."""
    return "machine learning processes" not in record.getMessage()
