"""A user's cube as `load_collection` gives it, without a back-end behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.internal.graph_building import PGNode
from openeo.metadata import CollectionMetadata
from openeo.rest.datacube import DataCube

if TYPE_CHECKING:
    from collections.abc import Sequence

MSI = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


class LoadCollection(Protocol):
    """What the fixture below gives."""

    def __call__(
        self,
        bands: Sequence[str] = MSI,
        extent: Any = None,
        *,
        dated: bool = True,
        told: bool = True,
    ) -> DataCube:
        """Load a collection."""


@pytest.fixture
def load_collection() -> LoadCollection:
    """Make a cube of a collection whose bands and dates are known, or not."""

    def load(
        bands: Sequence[str] = MSI, extent: Any = None, *, dated: bool = True, told: bool = True
    ) -> DataCube:
        arguments = {"id": "SENTINEL2_L1C", "spatial_extent": extent, "bands": list(bands)}
        dimensions = {
            "x": {"type": "spatial", "axis": "x"},
            "y": {"type": "spatial", "axis": "y"},
            **({"t": {"type": "temporal"}} if dated else {}),
            "bands": {"type": "bands", "values": list(bands)},
        }
        metadata = CollectionMetadata({"id": "SENTINEL2_L1C", "cube:dimensions": dimensions})
        node = PGNode("load_collection", arguments)
        return DataCube(graph=node, connection=None, metadata=metadata if told else None)

    return load
