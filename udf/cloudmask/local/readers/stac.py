"""STAC Items, one at a time or found in an API."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

from cloudmask.errors import CubeError, OptionError
from cloudmask.local.addresses import check_encrypted
from cloudmask.local.product import Facts
from cloudmask.local.readers.drivers import ending
from cloudmask.local.readers.files import product_of
from cloudmask.local.readers.identity import stamped
from cloudmask.local.readers.rasters import gdal
from cloudmask.local.readers.stac_bands import (
    MEANINGFUL,
    check_bands,
    check_sensor,
    layers_of,
    meaning,
)
from cloudmask.local.readers.stack import Plan, planned, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pystac

    from cloudmask.bands import Preset
    from cloudmask.local.product import Product, Wanted
    from cloudmask.local.readers.stac_bands import Layer

SEARCH = "stac+"
"""How the address of an API begins that is to be searched."""

REMOTE = {
    # A look for sidecar files would cost a request for each band.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 120,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
}

HINT = "reading STAC needs more: pip install 'openeo-cloudmask[stac]'"


WEB = ("/vsicurl/https://", "/vsicurl/http://", "/vsis3/", "/vsigs/", "/vsiaz/")
"""How what GDAL opens begins if it is on the web."""


@dataclass(frozen=True, slots=True)
class StacScene:
    """A STAC Item."""

    place: str
    item: pystac.Item
    remote: bool = False
    """Whether it comes from the web, whatever it says of itself."""

    @property
    def name(self) -> str:
        """See `Scene`."""
        return "".join(
            letter if letter.isalnum() or letter in "-_." else "_" for letter in self.item.id
        )

    @property
    def assets(self) -> dict[str, Mapping[str, Any]]:
        """The assets with absolute addresses."""
        return {
            key: {**asset.to_dict(), "href": asset.get_absolute_href() or asset.href}
            for key, asset in self.item.assets.items()
        }

    def identity(self) -> str:
        """See `Scene`; signatures in addresses change and tell nothing."""
        hrefs = sorted(str(asset["href"]).partition("?")[0] for asset in self.assets.values())
        said = sorted(f"{name} {self.item.properties.get(name)}" for name in MEANINGFUL)
        layers = layers_of(self.assets).values()
        meant = sorted(f"{e.band} {e.file.number} {e.scale} {e.offset} {e.nodata}" for e in layers)
        files = stamped(each.file.path.partition("?")[0] for each in layers)
        return "\n".join((self.item.id, *said, *hrefs, *meant, files))

    def layers(self) -> dict[str, Layer]:
        """Find the bands.

        Raises:
            BandError: There is none.
            CubeError: The Item is of another sensor; or it names plain http; or it comes from the
                web and names files of this machine.
        """
        check_sensor(self.place, self.item.properties)
        assets = self.assets
        found = layers_of(assets)
        check_bands(self.place, found, assets)
        for layer in found.values():
            self._check_place(layer.file.path)
        return found

    def _check_place(self, path: str) -> None:
        """Refuse what an Item from the web must not make this machine read.

        A virtual raster may name any file in turn.
        """
        check_encrypted(path.removeprefix("/vsicurl/"))
        if self.remote and (not path.startswith(WEB) or ending(path) == ".vrt"):
            raise CubeError(
                f"{self.place}: an Item from the web names files of this machine, or may do so "
                f"({path}); download it and its files if you trust it"
            )

    def preset(self, bands: Sequence[str]) -> Preset:
        """Say what the numbers of bands mean that are there.

        Raises:
            CubeError: Their scales or offsets differ, or are not told.
        """
        found = self.layers()
        return meaning(self.place, self.item.properties, [found[band] for band in bands])

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return [
            path
            for each in layers_of(self.assets).values()
            if (path := Path(each.file.path)).exists()
        ]

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`; the bands are named by the Item, `wanted.names` plays no part."""
        own = replace(wanted, names=None)
        with gdal(**REMOTE):
            plan = self.planned(wanted.bands, explained=wanted.preset is not None)
            with stacked(self.place, plan.text) as dataset:
                yield product_of(dataset, own, self.place, plan.facts, plan.preset)

    def planned(self, bands: Sequence[str] | None = None, *, explained: bool = False) -> Plan:
        """Plan the Item as one raster.

        Args:
            bands: Those needed; all by default.
            explained: Whether the caller knows what the numbers mean.

        Raises:
            BandError: A band is missing.
            CubeError: A file cannot be opened, or nothing says what the numbers mean.
        """
        found = self.layers()
        needed = list(found) if bands is None else list(bands)
        text = planned(self.place, {band: each.file for band, each in found.items()}, needed)
        return Plan(tuple(needed), text, None if explained else self.preset(needed), self.facts)

    @property
    def facts(self) -> Facts:
        """What the Item says besides its bands."""
        properties = self.item.properties
        return Facts(
            when=_aware(self.item.datetime or self.item.common_metadata.start_datetime),
            platform=str(properties.get("platform") or ""),
            level=_level(self.item),
            baseline=str(properties.get("s2:processing_baseline") or ""),
            product=str(properties.get("s2:product_uri") or self.item.id).removesuffix(".SAFE"),
        )


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when and not when.tzinfo else when


def _level(item: pystac.Item) -> Literal["L1C", "L2A", ""]:
    said = item.properties
    words = [said.get("processing:level"), said.get("s2:product_type"), item.collection_id]
    text = " ".join(str(word) for word in words).upper()
    if "L1C" in text or "MSI1C" in text:
        return "L1C"
    return "L2A" if "L2A" in text or "MSI2A" in text else ""


def item_scene(place: str) -> StacScene:
    """Read an Item.

    Args:
        place: Path or http(s) address.

    Raises:
        CubeError: It cannot be read, or is none.
    """
    pystac = _imported("pystac")
    try:
        item = pystac.Item.from_file(place)
    except Exception as error:
        # pystac lets errors of files, addresses, JSON and its own pass.
        why = str(error) or type(error).__name__
        raise CubeError(f"{place}: cannot be read as a STAC Item ({why})") from error
    return StacScene(place, item, remote="://" in place and not place.startswith("file:"))


LISTS = ("collections", "ids")
KNOWN = (*LISTS, "bbox", "datetime", "max_items")


def search_scenes(address: str) -> list[StacScene]:
    """Search an API.

    Args:
        address: `stac+https://host/api?collections=a,b&bbox=w,s,e,n&datetime=..&max_items=..`,
            with `ids` if wanted.

    Returns:
        The Items found, the earliest first.

    Raises:
        CubeError: The API cannot be reached, or finds nothing.
        OptionError: The address asks for something else.
    """
    parts = urlsplit(address.removeprefix(SEARCH))
    api = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    check_encrypted(api)
    asked = _asked(address, parts.query)
    client = _imported("pystac_client")
    try:
        found = list(client.Client.open(api).search(**asked).items())
    except Exception as error:
        # Whatever the network and the API's answers can raise.
        why = str(error) or type(error).__name__
        raise CubeError(f"{api}: cannot be searched ({why})") from error
    if not found:
        raise CubeError(f"{address}: nothing was found")
    found.sort(key=lambda item: (str(item.datetime), item.id))
    return [
        StacScene(item.get_self_href() or f"{api} {item.id}", item, remote=True) for item in found
    ]


def _asked(address: str, query: str) -> dict[str, Any]:
    said = {key: values[-1] for key, values in parse_qs(query).items()}
    strange = sorted(set(said) - set(KNOWN))
    if strange or "collections" not in said:
        problem = f"{', '.join(strange)} is not known" if strange else "no collection is named"
        raise OptionError(
            f"{address}: {problem}; a search is stac+https://host/api?collections=a,b&"
            "bbox=west,south,east,north&datetime=2020-01-01/2020-01-31&max_items=10"
        )
    asked: dict[str, Any] = dict(said)
    for name in LISTS:
        if name in said:
            asked[name] = said[name].split(",")
    try:
        if "bbox" in said:
            asked["bbox"] = [float(part) for part in said["bbox"].split(",")]
        if "max_items" in said:
            asked["max_items"] = int(said["max_items"])
    except ValueError as error:
        raise OptionError(f"{address}: bbox and max_items are numbers ({error})") from error
    return asked


def _imported(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise CubeError(f"{name} is not installed; {HINT}") from error
