"""Sentinel-2 L1C and L2A products as they are delivered: a .SAFE folder, or a zip of one."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cloudmask.bands import SENTINEL2
from cloudmask.errors import BandError, CubeError
from cloudmask.local.readers.files import product_of
from cloudmask.local.readers.identity import stamped
from cloudmask.local.readers.jp2 import torn
from cloudmask.local.readers.rasters import gdal
from cloudmask.local.readers.safe_metadata import read_metadata
from cloudmask.local.readers.stack import BandFile, Plan, planned, stacked
from cloudmask.local.readers.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudmask.local.product import Product, Wanted
    from cloudmask.local.readers.safe_metadata import Metadata
    from cloudmask.local.readers.tree import Tree

# MTD_MSIL1C.xml; before December 2016 S2A_OPER_MTD_SAFL1C_PDMC_....xml.
METADATA = re.compile(r"(?:.*/)?(?:MTD_MSI|S2._(?:OPER|USER)_MTD_SAF)L(?:1C|2A)(?:_[^/]*)?\.xml")
IMAGE = re.compile(
    r"GRANULE/(?P<granule>[^/]+)/IMG_DATA/(?:R\d\dm/)?"
    r"[^/]*_(?P<band>B\d\d|B8A)(?:_(?P<metres>\d\d)m)?\.jp2"
)


LARGEST_METADATA = 64 * 2**20
"""Bytes; a small zip archive may hold very many."""


@dataclass(frozen=True, slots=True)
class SafeScene:
    """A product in a folder or a zip archive."""

    path: Path

    @property
    def name(self) -> str:
        """See `Scene`."""
        return self.path.resolve().name.removesuffix(".zip").removesuffix(".SAFE")

    @property
    def place(self) -> str:
        """See `Scene`."""
        return str(self.path)

    def identity(self) -> str:
        """See `Scene`."""
        if self.path.is_dir():
            with tree(self.path) as files:
                kept = [name for name in files.names() if name.endswith((".jp2", ".xml"))]
            return stamped(self.path / name for name in kept)
        return stamped([self.path])

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return [self.path]

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`; the bands are named by the product, `wanted.names` plays no part."""
        own = replace(wanted, names=None)
        with gdal():
            plan = self.planned(wanted.bands, explained=wanted.preset is not None)
            with stacked(self.place, plan.text) as dataset:
                yield product_of(dataset, own, self.place, plan.facts, plan.preset)

    def planned(self, bands: Sequence[str] | None = None, *, explained: bool = False) -> Plan:
        """Plan the product as one raster.

        Args:
            bands: Those needed; all by default.
            explained: Whether the caller knows what the numbers mean.

        Raises:
            BandError: A band is missing.
            CubeError: It is no such product, damaged or incomplete.
        """
        with tree(self.path) as files:
            safe = _Safe.of(self.place, files, self.name)
            needed = list(safe.images) if bands is None else bands
            text = planned(self.place, safe.files(needed), needed)
        preset = None if explained else safe.metadata.preset(self.place, needed)
        return Plan(tuple(needed), text, preset, safe.metadata.facts)


@dataclass(frozen=True, slots=True)
class _Safe:
    """A product that has been looked through."""

    place: str
    tree: Tree
    metadata: Metadata
    images: dict[str, str]
    """Band -> name of its image, the finest one if there are several."""

    @classmethod
    def of(cls, place: str, files: Tree, name: str) -> _Safe:
        names = files.names()
        main = _metadata(place, names)
        root = main.rpartition("/")[0]
        inner = f"{root}/" if root else ""
        if files.size(main) > LARGEST_METADATA:
            raise CubeError(f"{place}: {main} has {files.size(main)} bytes; no product's has")
        with files.open(main) as stream:
            text = stream.read(LARGEST_METADATA)
            metadata = read_metadata(f"{place}: {main}", text, name)
        return cls(place, files, metadata, _images(place, names, inner))

    def files(self, wanted: Sequence[str]) -> dict[str, BandFile]:
        """Give what GDAL opens for each band.

        Raises:
            BandError: A wanted band has no image.
            CubeError: The image of a wanted band is cut off.
        """
        for band in wanted:
            if band not in self.images:
                raise BandError(self._absent(band))
            name = self.images[band]
            with self.tree.open(name) as stream:
                if why := torn(stream, self.tree.size(name)):
                    raise CubeError(
                        f"{self.place}: band {band} is incomplete ({name}: {why}); fetch the "
                        "product again"
                    )
        return {band: BandFile(self.tree.gdal(name)) for band, name in self.images.items()}

    def _absent(self, band: str) -> str:
        level = self.metadata.facts.level
        if band == "B10" and level == "L2A":
            return (
                f"{self.place}: L2A products have no band B10 (the atmosphere alone is seen in "
                "it); the network needs an L1C product, or choose a network without B10"
            )
        there = ", ".join(self.images)
        if band in SENTINEL2:
            return (
                f"{self.place}: band {band} is missing from IMG_DATA, where there are {there}; "
                "the product is incomplete, fetch it again"
            )
        return f"{self.place}: there is no band {band} in Sentinel-2, only {there}"


def _metadata(place: str, names: Sequence[str]) -> str:
    """Find the product metadata."""
    found = [name for name in names if METADATA.fullmatch(name)]
    depth = min((name.count("/") for name in found), default=0)
    found = [name for name in found if name.count("/") == depth]
    if len(found) == 1:
        return found[0]
    if found:
        raise CubeError(f"{place}: holds {len(found)} products ({', '.join(found)}); unpack it")
    raise CubeError(
        f"{place}: is no Sentinel-2 L1C or L2A product: it has no MTD_MSIL1C.xml or "
        f"MTD_MSIL2A.xml{_guess(names)}"
    )


OTHERS = {
    r"(?:.*/)?xfdumanifest\.xml": "Sentinel-3",
    r"(?:.*/)?s1[a-d]-.*\.(?:tiff|xml)": "Sentinel-1",
    r"(?:.*/)?L[COTEM]\d\d_.*": "Landsat",
}
"""Names that only products of other sensors have."""


def _guess(names: Sequence[str]) -> str:
    for pattern, sensor in OTHERS.items():
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return f"; its files are those of a {sensor} product"
    return ""


def _images(place: str, names: Sequence[str], inner: str) -> dict[str, str]:
    """Find the image of each band in the one granule."""
    found = {
        name: match
        for name in names
        if name.startswith(inner) and (match := IMAGE.fullmatch(name[len(inner) :]))
    }
    granules = sorted({match["granule"] for match in found.values()})
    if not granules:
        raise CubeError(f"{place}: has no images of bands (GRANULE/*/IMG_DATA/*_B02.jp2)")
    if len(granules) > 1:
        raise CubeError(
            f"{place}: holds {len(granules)} granules ({', '.join(granules)}); one can be masked "
            "at a time: leave one folder in GRANULE"
        )
    coarse_first = sorted(found, key=lambda name: int(found[name]["metres"] or 10), reverse=True)
    images = {found[name]["band"]: name for name in coarse_first}
    return {band: images[band] for band in SENTINEL2 if band in images}


def is_safe(path: Path) -> bool:
    """Tell whether a path is meant as a product: by its name, or its metadata in a folder."""
    if path.is_dir():
        return path.resolve().suffix.upper() in {".SAFE", ".SEN3"} or any(
            METADATA.fullmatch(each.name) for each in path.glob("*.xml")
        )
    return PurePosixPath(path).suffix.lower() == ".zip"
