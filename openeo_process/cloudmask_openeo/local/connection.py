"""A local connection of openEO's client that runs graphs as back-ends do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openeo_processes_dask.specs
from openeo.internal.graph_building import as_flat_graph
from openeo.internal.jupyter import VisualDict, VisualList
from openeo.local import LocalConnection
from openeo.local.processing import PROCESS_REGISTRY
from openeo.rest.datacube import DataCube
from openeo_pg_parser_networkx import ProcessRegistry
from openeo_pg_parser_networkx.graph import OpenEOProcessGraph
from openeo_pg_parser_networkx.process_registry import Process

from cloudmask_openeo.local.resampling import resample_spatial
from cloudmask_openeo.plugin import register

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from cloudmask_openeo.local.catalogue import Catalogue


FORMATS = ("GTiff", "netCDF", "PNG", "ZARR")
NAMED = 3
"""Collections that a connection names when it is shown."""


class NoEndpoints:
    """The capabilities of what is no server."""

    def supports_endpoint(self, path: str, method: str = "GET") -> bool:  # noqa: ARG002
        """Tell whether something can be asked: never."""
        return False


class FileConnection(LocalConnection):
    """openEO's local connection on a catalogue of files, with processes of its own."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__([folder.as_posix() for folder in catalogue.folders])
        self._catalogue = catalogue
        self._processes = _own_registry(catalogue)

    def __repr__(self) -> str:
        """Name the collections, the first ones if there are many."""
        ids = self._catalogue.ids
        more = [f"{len(ids) - NAMED} more"] if len(ids) > NAMED else []
        return f"<FileConnection: {', '.join([*ids[:NAMED], *more]) or 'no collections'}>"

    def list_collections(self) -> list[dict[str, Any]]:
        """Describe all collections."""
        every = [self._catalogue.describe(name) for name in self._catalogue.ids]
        return VisualList("collections", data=every)

    def describe_collection(self, collection_id: str) -> dict[str, Any]:
        """Describe one collection as STAC."""
        return VisualDict("collection", data=self._catalogue.describe(collection_id))

    def load_collection(self, collection_id: str, *extents: Any, **others: Any) -> DataCube:
        """Start a graph with a collection, as a connection to a back-end does.

        Args:
            collection_id: Of a file.
            extents: spatial_extent, temporal_extent, bands and properties, in this order.
            others: These and max_cloud_cover by name. Files do not have the properties of a
                catalogue: properties and max_cloud_cover stay in the graph, but choose nothing.
        """
        names = ("spatial_extent", "temporal_extent", "bands", "properties")
        given = dict(zip(names, extents, strict=False)) | others
        here: Any = self
        return DataCube.load_collection(collection_id, connection=here, **given)

    def capabilities(self) -> NoEndpoints:
        """Say what can be asked; the client wants to know when there are `properties`."""
        return NoEndpoints()

    def list_output_formats(self) -> dict[str, Any]:
        """List what `save_result` may be asked for; nothing is written, `execute` gives a cube."""
        return {name: {"gis_data_types": ["raster"], "parameters": {}} for name in FORMATS}

    def execute(
        self,
        process_graph: dict[str, Any] | str | Path,
        *,
        validate: bool | None = None,
        auto_decode: bool = True,
    ) -> xr.DataArray:
        """Run a graph.

        Args:
            process_graph: As a dictionary or JSON.
            validate: Not possible here.
            auto_decode: Always done here.

        Returns:
            Its result; lazy as far as its processes are.

        Raises:
            ValueError: Something else is wanted than can be had.
        """
        if validate:
            raise ValueError("validate=True: a local connection cannot validate graphs")
        if auto_decode is not True:
            raise ValueError("auto_decode=False: a local connection has nothing encoded to give")
        graph = OpenEOProcessGraph(as_flat_graph(process_graph))
        return graph.to_callable(self._processes)()


def _own_registry(catalogue: Catalogue) -> ProcessRegistry:
    """Copy the client's registry, so that other connections keep theirs, and add to it."""
    own = ProcessRegistry()
    own.store = {name: dict(processes) for name, processes in PROCESS_REGISTRY.store.items()}
    own.aliases = {name: dict(aliases) for name, aliases in PROCESS_REGISTRY.aliases.items()}
    own.wrap_funcs = list(PROCESS_REGISTRY.wrap_funcs)
    register(own)
    described = vars(openeo_processes_dask.specs)
    for function in (catalogue.load_collection, resample_spatial, save_result):
        process = Process(spec=described[function.__name__], implementation=function)
        own[function.__name__] = process
    return own


def save_result(
    data: xr.DataArray,
    format: str,  # noqa: A002, ARG001 - openEO's names
    options: dict[str, Any] | None = None,  # noqa: ARG001
) -> xr.DataArray:
    """Hand a cube through: what a back-end would store is what `execute` gives."""
    return data
