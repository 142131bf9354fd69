"""For operators of back-ends: our processes in their registry."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from cloudmask_openeo import process_implementations, specs

if TYPE_CHECKING:
    from openeo_pg_parser_networkx import ProcessRegistry

PROCESSES = tuple(process_implementations.__all__)
"""Ids of the processes that `register` adds."""


def register(process_registry: ProcessRegistry) -> None:
    """Add `apply_neighborhood`, `run_udf` and `cloud_detection` to a back-end's processes.

    `run_udf` takes the place of one that is there: outside `apply_neighborhood` it does the same
    as that of openeo-processes-dask. Registering again changes nothing.

    `resample_spatial` of openeo-processes-dask adds a border of one pixel, also to cubes that have
    the wanted resolution already; chunks then begin a pixel off, and the mask is another one than
    the whole scene's. Users of such a back-end load the network's pixel size and give
    `chunks=Chunks(resample=None)` to `cloudmask_openeo.mask_clouds`.

    Args:
        process_registry: A registry of openeo-pg-parser-networkx whose processes take
            `xarray.DataArray`, as those of openeo-processes-dask. Its own decorators
            (`wrap_funcs`) resolve parameters.
    """
    from openeo_pg_parser_networkx.process_registry import Process

    for process_id in PROCESSES:
        process_registry[process_id] = Process(
            spec=deepcopy(getattr(specs, process_id)),
            implementation=getattr(process_implementations, process_id),
        )
