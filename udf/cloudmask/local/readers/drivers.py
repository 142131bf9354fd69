"""Opening rasters as what their names say they are.

GDAL looks at a file's content and not at its name, so an image from somebody else may turn out to
be a list of other files, of this machine or of the web. Only what is called .vrt may be one.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import rasterio
from rasterio.errors import RasterioIOError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DRIVERS: Mapping[str, tuple[str, ...]] = {
    ".tif": ("GTiff",),
    ".tiff": ("GTiff",),
    ".img": ("HFA",),
    # Which of them there is depends on how GDAL was built.
    ".jp2": ("JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "JP2Lura"),
    ".vrt": ("VRT",),
}
"""Ending of a name -> GDAL's drivers for it."""

REFERRING = frozenset(
    {"VRT", "DERIVED", "GDALG", "GTI", "STACIT", "STACTA", "WMS", "WMTS", "WCS", "HTTP", "DAAS",
     "EEDAI", "PLMOSAIC", "OGCAPI", "NGW", "MRF", "KMLSUPEROVERLAY", "ESRIC", "Rasterlite"}
)  # fmt: skip
"""Drivers of what only names other files or servers."""


def ending(place: Path | str) -> str:
    """Give the ending of a path or address, in small letters, without what follows a `?`."""
    return PurePosixPath(urlsplit(str(place)).path).suffix.lower()


def open_raster(place: Path | str) -> Any:
    """Open a raster as a rasterio dataset.

    Args:
        place: Path or address.

    Raises:
        RasterioIOError: GDAL cannot, or not with a driver that fits the name.
    """
    kinds = DRIVERS.get(ending(place))
    if kinds is None:
        return _any_but_referring(place)
    errors = []
    for driver in kinds:
        try:
            return rasterio.open(place, driver=driver)
        except RasterioIOError as error:
            errors.append(error)
    raise errors[0]


def _any_but_referring(place: Path | str) -> Any:
    dataset = rasterio.open(place)
    if dataset.driver not in REFERRING:
        return dataset
    dataset.close()
    raise RasterioIOError(
        f"it is of kind {dataset.driver}, which names other files; name it .vrt if it is meant"
    )
