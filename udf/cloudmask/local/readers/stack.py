"""Single-band files as one raster: GDAL's virtual format, kept in memory.

Bands of 10, 20 and 60 m come to the grid of the finest one that is wanted. Each of its pixels
takes the value of the coarser pixel that holds it (nearest neighbour), as the authors of
CloudS2Mask do.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError

from cloudmask.bands import canonical, positions
from cloudmask.errors import CubeError
from cloudmask.local.product import Grid
from cloudmask.local.readers.drivers import open_raster
from cloudmask.local.readers.identity import naming
from cloudmask.local.readers.rasters import TRUE_COLOUR, cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloudmask.bands import Preset
    from cloudmask.local.product import Facts

GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
    "complex64": "CFloat32",
    "complex128": "CFloat64",
}

APART = 0.01
"""Pixels by which the corners of two bands may differ; more is another extent."""


@dataclass(frozen=True, slots=True)
class BandFile:
    """Where a band is stored."""

    path: str
    """What GDAL opens."""
    number: int = 1
    """1-based band of it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A band file that has been looked at."""

    band: str
    file: BandFile
    grid: Grid
    dtype: str
    nodata: float | None
    scale: float
    offset: float
    masked: bool
    """Whether the file has a mask or alpha band of its own."""

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Three corners in the CRS, which fix a parallelogram."""
        place = self.grid.transform
        ends = ((0, 0), (self.grid.width, 0), (0, self.grid.height))
        # Written out, as affine changed its operator.
        return tuple(
            (place.a * x + place.b * y + place.c, place.d * x + place.e * y + place.f)
            for x, y in ends
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A scene as a virtual raster, and what is known of it."""

    bands: tuple[str, ...]
    """The bands that were asked for; the raster may have more."""
    text: str
    """What GDAL opens."""
    preset: Preset | None
    """What its numbers mean; None if nothing says so, or the caller knows."""
    facts: Facts | None = None


def planned(place: str, files: Mapping[str, BandFile], wanted: Sequence[str]) -> str:
    """Plan band files as one raster.

    Args:
        place: The scene, for messages.
        files: Band label -> where it is.
        wanted: The network's bands; the bands of a true-colour picture are added.

    Returns:
        Text of a virtual raster on the grid of the finest wanted band, bands described by label.

    Raises:
        BandError: A wanted band is missing.
        CubeError: A file cannot be opened, or the files do not fit each other.
    """
    with naming(place):
        labels = [list(files)[number] for number in positions(list(files), wanted)]
    sheets = [_looked_at(place, label, files[label]) for label in dict.fromkeys(labels)]
    finest = max(sheets, key=lambda sheet: sheet.grid.height * sheet.grid.width)
    for sheet in sheets:
        if why := _misfit(sheet, finest):
            raise CubeError(
                f"{place}: bands {finest.band} and {sheet.band} do not fit: {why}; all bands must "
                "show the same area in the same coordinate reference system"
            )
    sheets += _of_picture(place, files, sheets, finest)
    return virtual(sheets, finest.grid)


@contextmanager
def stacked(place: str, text: str) -> Iterator[Any]:
    """Open what `planned` gave as a rasterio dataset.

    Raises:
        CubeError: GDAL cannot.
    """
    try:
        dataset = rasterio.open(text, driver="VRT")
    except RasterioIOError as error:
        raise CubeError(f"{place}: its bands cannot be put together ({cause(error)})") from error
    with dataset:
        yield dataset


def _of_picture(
    place: str, files: Mapping[str, BandFile], sheets: Sequence[Sheet], finest: Sheet
) -> list[Sheet]:
    """Add what a true-colour picture lacks; that must not keep a network from its work."""
    there = {canonical(sheet.band) for sheet in sheets}
    lacking = [
        label
        for label in files
        if canonical(label) in TRUE_COLOUR and canonical(label) not in there
    ]
    try:
        found = [_looked_at(place, label, files[label]) for label in lacking]
    except CubeError:
        return []
    return [sheet for sheet in found if not _misfit(sheet, finest)]


def _looked_at(place: str, band: str, file: BandFile) -> Sheet:
    try:
        with open_raster(file.path) as dataset:
            at = file.number - 1
            return Sheet(
                band=band,
                file=file,
                grid=Grid.of(dataset),
                dtype=dataset.dtypes[at],
                nodata=dataset.nodatavals[at],
                scale=dataset.scales[at],
                offset=dataset.offsets[at],
                masked=MaskFlags.per_dataset in dataset.mask_flag_enums[at],
            )
    except (RasterioIOError, IndexError) as error:
        why = cause(error).removeprefix(f"{file.path}: ")
        raise CubeError(
            f"{place}: band {band} cannot be opened ({file.path}: {why}); the file is missing, "
            "damaged or incomplete"
        ) from error


def _misfit(sheet: Sheet, finest: Sheet) -> str:
    """Say why two bands cannot lie on one grid; nothing if they can."""
    if sheet.grid.crs != finest.grid.crs:
        return f"their CRS are {_crs(finest.grid)} and {_crs(sheet.grid)}"
    if sheet.grid.shape == finest.grid.shape and sheet.grid.transform == finest.grid.transform:
        return ""
    least = abs(finest.grid.transform.a) + abs(finest.grid.transform.b)
    pairs = zip(sheet.corners, finest.corners, strict=True)
    if any(
        abs(a - b) > APART * least for one, two in pairs for a, b in zip(one, two, strict=True)
    ):
        return f"their corners are {_corners(finest)} and {_corners(sheet)}"
    sizes = zip(finest.grid.shape, sheet.grid.shape, strict=True)
    if any(max(pair) % min(pair) for pair in sizes):
        return (
            f"they have {finest.grid.width} x {finest.grid.height} and {sheet.grid.width} x "
            f"{sheet.grid.height} pixels, no whole number of one in the other"
        )
    return ""


def _crs(grid: Grid) -> str:
    return grid.crs.to_string() if grid.crs else "unknown"


def _corners(sheet: Sheet) -> str:
    (left, top), (right, _), (_, bottom) = sheet.corners
    return f"({left:g}, {top:g}) to ({right:g}, {bottom:g})"


def virtual(sheets: Sequence[Sheet], grid: Grid) -> str:
    """Write the text of a GDAL virtual raster (VRT).

    Args:
        sheets: The bands, in order.
        grid: Where they go.
    """
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.crs:
        ET.SubElement(root, "SRS").text = grid.crs.to_wkt()
    terms = ", ".join(repr(float(term)) for term in grid.transform.to_gdal())
    ET.SubElement(root, "GeoTransform").text = terms
    for number, sheet in enumerate(sheets, 1):
        _band(root, number, sheet, grid)
    masked = next((sheet for sheet in sheets if sheet.masked), None)
    if masked:
        mask = ET.SubElement(root, "MaskBand")
        band = ET.SubElement(mask, "VRTRasterBand", dataType="Byte")
        _source(band, masked, grid, f"mask,{masked.file.number}")
    return ET.tostring(root, encoding="unicode")


def _band(root: ET.Element, number: int, sheet: Sheet, grid: Grid) -> None:
    band = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[sheet.dtype], band=str(number))
    ET.SubElement(band, "Description").text = sheet.band
    if sheet.nodata is not None:
        ET.SubElement(band, "NoDataValue").text = repr(float(sheet.nodata))
    ET.SubElement(band, "Offset").text = repr(float(sheet.offset))
    ET.SubElement(band, "Scale").text = repr(float(sheet.scale))
    _source(band, sheet, grid, str(sheet.file.number))


def _source(band: ET.Element, sheet: Sheet, grid: Grid, number: str) -> None:
    source = ET.SubElement(band, "SimpleSource", resampling="nearest")
    # Not shared: datasets must not be handed from one thread to another.
    name = ET.SubElement(source, "SourceFilename", relativeToVRT="0", shared="0")
    name.text = sheet.file.path
    ET.SubElement(source, "SourceBand").text = number
    for rect, (height, width) in (("SrcRect", sheet.grid.shape), ("DstRect", grid.shape)):
        ET.SubElement(source, rect, xOff="0", yOff="0", xSize=str(width), ySize=str(height))
