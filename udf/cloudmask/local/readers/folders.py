"""Folders: one file a band, and what openEO's jobs leave behind."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from cloudmask.bands import canonical
from cloudmask.errors import CubeError
from cloudmask.local.product import Facts
from cloudmask.local.readers.cubes import SUFFIXES as CUBES
from cloudmask.local.readers.cubes import cube_scenes
from cloudmask.local.readers.files import RasterScene, product_of
from cloudmask.local.readers.identity import stamped
from cloudmask.local.readers.jp2 import torn
from cloudmask.local.readers.rasters import gdal
from cloudmask.local.readers.stack import BandFile, Plan, planned, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloudmask.local.product import Product, Scene, Wanted

RASTERS = (".tif", ".tiff", ".jp2", ".vrt", ".img")

# T31TCJ_20200101T105441_B04_10m: what comes before the band is the scene.
BAND_AT_END = re.compile(
    r"(?P<scene>.*?)[_.-]?(?P<band>b\d\d?a?)(?:_(?P<metres>\d\d)m)?", re.IGNORECASE
)
LANDSAT = re.compile(r"L[COTEM]\d\d_.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BandFolder:
    """A scene whose bands are files of one folder."""

    place: str
    name: str
    files: tuple[tuple[str, Path], ...]
    """(label, file) of each band."""

    def identity(self) -> str:
        """See `Scene`."""
        return stamped(path for _, path in self.files)

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return [path for _, path in self.files]

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`; the bands are named by their files, `wanted.names` plays no part."""
        with gdal(), stacked(self.place, self.planned(wanted.bands).text) as dataset:
            yield product_of(dataset, replace(wanted, names=None), self.place)

    def planned(self, bands: Sequence[str] | None = None) -> Plan:
        """Plan the files as one raster; all bands by default.

        Raises:
            BandError: A band is missing.
            CubeError: A file is damaged, or the files do not fit each other.
        """
        needed = [label for label, _ in self.files] if bands is None else list(bands)
        for label, path in self.files:
            if path.suffix.lower() == ".jp2" and canonical(label) in needed:
                _check_whole(self.place, label, path)
        files = {label: BandFile(str(path)) for label, path in self.files}
        return Plan(tuple(needed), planned(self.place, files, needed), None)


def _check_whole(place: str, label: str, path: Path) -> None:
    with path.open("rb") as stream:
        if why := torn(stream, path.stat().st_size):
            raise CubeError(f"{place}: band {label} is incomplete ({path.name}: {why})")


def band_folders(folder: Path) -> list[BandFolder]:
    """Find the scenes in a folder of single-band files, told apart by what precedes the band.

    Raises:
        CubeError: No file is named after a band, or they are of another sensor.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in RASTERS)
    if any(LANDSAT.fullmatch(path.stem) for path in files):
        raise CubeError(
            f"{folder}: holds {files[0].name}, a product of Landsat; Sentinel-2 can be masked"
        )
    groups: dict[str, dict[str, Path]] = {}
    for path in sorted(files, key=_metres, reverse=True):  # the finest goes over the others
        scene, band = _named(path.stem)
        if band:
            groups.setdefault(scene, {})[band] = path
    if not groups:
        there = ", ".join(path.name for path in files[:5]) or "no rasters"
        raise CubeError(
            f"{folder}: no file is named after a band (..._B02.tif, B02_10m.jp2); there are "
            f"{there}. Name a single raster, a .SAFE folder or a STAC Item to mask that"
        )
    return [
        BandFolder(
            str(folder), _scene_name(folder, scene, len(groups)), tuple(sorted(found.items()))
        )
        for scene, found in sorted(groups.items())
    ]


def _named(stem: str) -> tuple[str, str | None]:
    """Split a file's name into scene and band; no band if it names none."""
    match = BAND_AT_END.fullmatch(stem)
    if match:
        return match["scene"], canonical(match["band"])
    return "", canonical(stem)


def _metres(path: Path) -> int:
    match = BAND_AT_END.fullmatch(path.stem)
    return int(match["metres"] or 0) if match else 0


def _scene_name(folder: Path, scene: str, count: int) -> str:
    return folder.resolve().name if count == 1 else scene or folder.resolve().name


@dataclass(frozen=True, slots=True)
class ResultScene:
    """A raster of a job's results, whose bands and time the catalogue names."""

    raster: RasterScene
    labels: tuple[str, ...]
    when: datetime | None

    @property
    def name(self) -> str:
        """See `Scene`."""
        return self.raster.name

    @property
    def place(self) -> str:
        """See `Scene`."""
        return self.raster.place

    def identity(self) -> str:
        """See `Scene`."""
        return "\n".join((self.raster.identity(), *self.labels, str(self.when)))

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return self.raster.sources()

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`."""
        names = wanted.names or self.labels or None
        with self.raster.opened(replace(wanted, names=names)) as product:
            facts = product.facts if product.facts.when else Facts(when=self.when)
            yield replace(product, facts=facts)


CATALOGUES = ("job-results.json", "collection.json")


def is_results(folder: Path) -> bool:
    """Tell whether a folder holds the results of a job."""
    return any((folder / name).is_file() for name in CATALOGUES)


def result_scenes(folder: Path) -> list[Scene]:
    """Find the scenes of a folder of openEO job results, as `download_files` leaves it.

    Raises:
        CubeError: The catalogue cannot be read, or names no file that is there.
    """
    path = next(folder / name for name in CATALOGUES if (folder / name).is_file())
    assets = _assets(path)
    found: list[Scene] = []
    for key, asset in assets.items():
        file = _local(folder, key, asset)
        if file and file.suffix.lower() in CUBES:
            found += cube_scenes(str(file))
        elif file and file.suffix.lower() in RASTERS:
            labels, when = _labels(asset), _when(asset, file.stem)
            found.append(ResultScene(RasterScene(str(file)), labels, when))
    if not found:
        raise CubeError(
            f"{path}: none of its assets ({', '.join(assets) or 'there are none'}) is a GeoTIFF, "
            "netCDF or Zarr in this folder; download the results first"
        )
    return found


def _assets(path: Path) -> Mapping[str, Any]:
    try:
        assets = json.loads(path.read_text("utf-8")).get("assets", {})
    except (OSError, ValueError, AttributeError) as error:
        raise CubeError(f"{path}: cannot be read as JSON ({error})") from error
    return assets if isinstance(assets, dict) else {}


def _local(folder: Path, key: str, asset: Mapping[str, Any]) -> Path | None:
    """Find an asset's file; its address may be that of the back-end."""
    names = (key, PurePosixPath(unquote(urlsplit(str(asset.get("href", ""))).path)).name)
    root = folder.resolve()
    places = (folder / name for name in names if name)
    return next(
        (each for each in places if root in each.resolve().parents and each.exists()), None
    )


def _labels(asset: Mapping[str, Any]) -> tuple[str, ...]:
    bands: Sequence[Mapping[str, Any]] = asset.get("bands") or asset.get("eo:bands") or ()
    return tuple(str(band.get("name", "")) for band in bands)


def _when(asset: Mapping[str, Any], stem: str) -> datetime | None:
    """Read when; back-ends write it in the asset, or in the file's name (openEO_2020-01-01Z)."""
    dated = re.search(r"\d{4}-\d\d-\d\d", stem)
    for text in (asset.get("datetime"), dated and dated[0]):
        try:
            when = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None
