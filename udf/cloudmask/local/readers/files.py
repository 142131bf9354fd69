"""A raster file as a scene."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cloudmask.bands import positions
from cloudmask.errors import CubeError
from cloudmask.local.addresses import file_name
from cloudmask.local.product import Facts, Grid, Product
from cloudmask.local.readers.identity import naming, stamped
from cloudmask.local.readers.meaning import own_preset
from cloudmask.local.readers.rasters import (
    Raster,
    band_labels,
    choose,
    gdal,
    opened,
    true_colour,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask.bands import Preset
    from cloudmask.local.product import Wanted

ADDRESSES = ("http://", "https://", "s3://", "gs://", "az://", "/vsi")
"""How a source begins that is no path of this machine."""


NOT_PIXELS = (".aux.xml", ".ovr")
"""Files that viewers write beside a raster."""


@dataclass(frozen=True, slots=True)
class RasterScene:
    """One raster: GeoTIFF, VRT, COG or whatever else GDAL opens."""

    place: str
    """Path or address."""

    @property
    def name(self) -> str:
        """See `Scene`."""
        return PurePosixPath(file_name(self.place)).stem

    def identity(self) -> str:
        """See `Scene`; the files that a VRT is made of count as well."""
        return stamped(_files(self.place))

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return [Path(file) for file in _files(self.place)]

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`."""
        with gdal(), opened(self.place) as dataset:
            yield product_of(dataset, wanted, self.place)


def _files(place: str) -> set[str]:
    """Find what a raster is made of: the files of a VRT, and of those in it, and so on."""
    found, left = {place}, [place]
    while left:
        try:
            with gdal(), opened(left.pop()) as dataset:
                inside = {file for file in dataset.files if not file.endswith(NOT_PIXELS)}
        except CubeError:
            continue
        left += [file for file in inside - found if file.lower().endswith(".vrt")]
        found |= inside
    return found


def product_of(
    dataset: Any,
    wanted: Wanted,
    place: str,
    facts: Facts | None = None,
    preset: Preset | None = None,
) -> Product:
    """Choose the wanted bands of an open dataset.

    Args:
        dataset: Open rasterio dataset.
        wanted: What the network wants; its preset goes before all others.
        place: What to call it in messages.
        facts: What is known of it; read off the dataset by default.
        preset: What a catalogue or metadata say of its numbers; by default what the file says.

    Raises:
        BandError: A band is missing.
        CubeError: The numbers are complex, or are stored with several scales.
    """
    with naming(place):
        meaning = wanted.preset or preset or _stored_with(dataset, wanted, place)
        raster, full = choose(dataset, wanted.bands, meaning, wanted.names)
    colours = true_colour(dataset, wanted.names)
    return Product(
        raster=Raster(dataset, raster.indexes, raster.absent, place),
        colours=Raster(dataset, colours, raster.absent, place),
        grid=Grid.of(dataset),
        preset=full,
        facts=facts or _facts(dataset),
    )


def _stored_with(dataset: Any, wanted: Wanted, place: str) -> Preset | str:
    """Give the preset that the file's own scales and offsets say, else "dn"."""
    found = positions(band_labels(dataset, wanted.names), wanted.bands)
    scales = [dataset.scales[index] for index in found]
    offsets = [dataset.offsets[index] for index in found]
    said = {dataset.nodatavals[index] for index in found}
    nodata = sorted(value for value in said if value is not None and math.isfinite(value))
    return own_preset(place, wanted.bands, scales, offsets, nodata) or "dn"


def _facts(dataset: Any) -> Facts:
    """Read what GDAL's metadata domain for images says."""
    said = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")
    try:
        when = datetime.fromisoformat(said) if said else None
    except ValueError:
        when = None
    return Facts(when=when.replace(tzinfo=when.tzinfo or UTC) if when else None)
