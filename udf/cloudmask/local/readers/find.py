"""From what a person points at to scenes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudmask.errors import CubeError
from cloudmask.local.addresses import check_encrypted
from cloudmask.local.readers.cubes import cube_scenes, is_cube
from cloudmask.local.readers.files import ADDRESSES, RasterScene
from cloudmask.local.readers.folders import RASTERS, band_folders, is_results, result_scenes
from cloudmask.local.readers.safe import METADATA, SafeScene, is_safe
from cloudmask.local.readers.stac import SEARCH, item_scene, search_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudmask.local.product import Scene


def find_scenes(source: str | Path) -> list[Scene]:
    """Find the scenes of a source.

    Args:
        source: A Sentinel-2 product (.SAFE folder or zip of one), a raster, a folder with one
            file a band, a netCDF or Zarr cube (a scene for each moment), a STAC Item (path or
            address), a search of a STAC API (`stac+https://api?collections=...&bbox=...`), or a
            folder of openEO job results.

    Returns:
        At least one; nothing of their pixels has been read.

    Raises:
        CubeError: It is none of these, or at an address of plain http.
        OptionError: A search asks for what is not known.
    """
    place = str(source)
    if place.startswith(SEARCH):
        return [*search_scenes(place)]
    if is_cube(place):
        return [*cube_scenes(place)]
    if place.startswith(ADDRESSES):
        check_encrypted(place)
        raster = PurePosixPath(urlsplit(place).path).suffix.lower() in RASTERS
        return [RasterScene(place) if raster or place.startswith("/vsi") else item_scene(place)]
    return [*_of_path(Path(source))]


def _of_path(path: Path) -> Sequence[Scene]:
    if METADATA.fullmatch(path.name):
        return [SafeScene(path.parent)]
    if is_safe(path):
        return [SafeScene(path)]
    if path.is_dir():
        return result_scenes(path) if is_results(path) else band_folders(path)
    if path.name == "job-results.json":
        return result_scenes(path.parent)
    if path.suffix.lower() in {".json", ".geojson"}:
        return [item_scene(str(path))]
    if not path.exists():
        raise CubeError(f"{path}: there is no such file or folder")
    return [RasterScene(str(path))]
