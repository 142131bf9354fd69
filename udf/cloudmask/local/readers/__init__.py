"""Everything that can be masked, as scenes: `find_scenes`; and as lazy cubes: `open_cube`."""

from cloudmask.local.readers.find import find_scenes
from cloudmask.local.readers.lazy import open_cube
from cloudmask.local.readers.rasters import (
    CACHE_MIB,
    TRUE_COLOUR,
    Raster,
    band_labels,
    choose,
    gdal,
    opened,
    true_colour,
    warn_of_misfit,
)

__all__ = [
    "CACHE_MIB",
    "TRUE_COLOUR",
    "Raster",
    "band_labels",
    "choose",
    "find_scenes",
    "gdal",
    "open_cube",
    "opened",
    "true_colour",
    "warn_of_misfit",
]
