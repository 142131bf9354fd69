"""Where a STAC Item keeps its bands, and what their numbers mean; STAC 1.0 and 1.1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloudmask.bands import as_preset, canonical
from cloudmask.errors import BandError, CubeError
from cloudmask.local.readers.meaning import own_preset
from cloudmask.local.readers.stack import BandFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudmask.bands import Preset

NO_BANDS = {"visual", "overview", "thumbnail", "metadata", "cloud", "snow-ice", "data-mask"}
"""Roles of assets that show something else."""

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")

OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Earth Search takes the offset of baseline 04.00 off the numbers and still lists it."""

BASELINES = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline")
"""Where Items say their processing baseline."""

MEANINGFUL = ("updated", *BASELINES, *OFFSET_APPLIED)
"""Properties by which what the numbers mean may change."""

FIRST_WITH_OFFSET = 4.0
"""Processing baseline."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A band of an Item."""

    band: str
    key: str
    """Of its asset."""
    file: BandFile
    scale: float | None
    offset: float | None
    nodata: tuple[float, ...]
    rank: tuple[bool, bool, float]
    """Among several layers of one band the least is taken."""


def gdal_path(href: str) -> str:
    """Give what GDAL opens for an address."""
    for scheme, system in (("s3://", "/vsis3/"), ("gs://", "/vsigs/"), ("az://", "/vsiaz/")):
        if href.startswith(scheme):
            return system + href.removeprefix(scheme)
    if href.lower().startswith(("http://", "https://")):
        return f"/vsicurl/{href}"
    return href.removeprefix("file://")


def layers_of(assets: Mapping[str, Mapping[str, Any]]) -> dict[str, Layer]:
    """Find the bands among assets with absolute addresses: band -> layer.

    Of several assets of one band (10, 20 and 60 m; a cloud-optimised copy), the finest one is
    taken.
    """
    found = sorted(
        (layer for key, asset in assets.items() for layer in _layers(key, asset)),
        key=lambda layer: layer.rank,
    )
    best: dict[str, Layer] = {}
    for layer in found:
        best.setdefault(layer.band, layer)
    return best


def _layers(key: str, asset: Mapping[str, Any]) -> Iterable[Layer]:
    roles, href = set(asset.get("roles") or ()), str(asset.get("href", ""))
    if roles & NO_BANDS and "reflectance" not in roles:
        return
    if PurePosixPath(urlsplit(href).path).suffix.lower() not in SUFFIXES:
        return
    bands = _bands(asset) or [{}]
    for number, band in enumerate(bands, 1):
        names = ([key] if len(bands) == 1 else []) + [
            str(band.get(name, "")) for name in ("name", "eo:common_name", "common_name")
        ]
        label = next((found for name in names if (found := canonical(name))), None)
        if label:
            rank = (canonical(key) is None, "data" not in roles, _metres(key, asset, band))
            yield Layer(
                band=label,
                key=key,
                file=BandFile(gdal_path(href), number),
                scale=_first(band, asset, "raster:scale", "scale"),
                offset=_first(band, asset, "raster:offset", "offset"),
                nodata=_numbers(_first(band, asset, "nodata")),
                rank=rank,
            )


def _bands(asset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give what is said of each band, in STAC 1.1 or by the extensions before it."""
    if asset.get("bands"):
        return [dict(band) for band in asset["bands"]]
    pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]] = zip_longest(
        asset.get("raster:bands") or [], asset.get("eo:bands") or [], fillvalue={}
    )
    return [{**raster, **eo} for raster, eo in pairs]


def _first(band: Mapping[str, Any], asset: Mapping[str, Any], *names: str) -> Any:
    """Give what is said of a band, else of its asset (STAC 1.1 lets bands inherit)."""
    said = (place[name] for place in (band, asset) for name in names if name in place)
    return next((value for value in said if value is not None), None)


def _numbers(value: Any) -> tuple[float, ...]:
    """Read a no-data value; "nan" and the infinities always mean it."""
    return (float(value),) if isinstance(value, (int, float)) and math.isfinite(value) else ()


def _metres(key: str, asset: Mapping[str, Any], band: Mapping[str, Any]) -> float:
    for name in ("raster:spatial_resolution", "spatial_resolution", "gsd"):
        value = _first(band, asset, name)
        if isinstance(value, (int, float)):
            return float(value)
    tail = key.rpartition("_")[2].removesuffix("m")
    return float(tail) if tail.isdecimal() else 0.0


def meaning(place: str, properties: Mapping[str, Any], layers: Sequence[Layer]) -> Preset:
    """Say what the numbers of an Item mean.

    Raises:
        CubeError: The bands differ; or nothing is said, but the processing baseline is one whose
            numbers may or may not have their offset.
    """
    bands = [layer.band for layer in layers]
    applied = any(properties.get(name) is True for name in OFFSET_APPLIED)
    offsets = [None if applied else layer.offset for layer in layers]
    # Products of Sentinel-2 have 0 where nothing is, whether the Item says so or not.
    nodata = sorted({value for layer in layers for value in layer.nodata}) or [0.0]
    own = own_preset(place, bands, [layer.scale for layer in layers], offsets, nodata)
    if own is None and not applied and _baseline(properties) >= FIRST_WITH_OFFSET:
        raise CubeError(
            f"{place}: has processing baseline {_said_baseline(properties)}, but no scale and "
            "offset: say what its numbers mean, --preset dn_n0400 (the offset is still in them) "
            "or --preset dn (it has been taken off)"
        )
    return as_preset(own or "dn", nodata)


def _said_baseline(properties: Mapping[str, Any]) -> str:
    return next((str(properties[name]) for name in BASELINES if properties.get(name)), "")


def _baseline(properties: Mapping[str, Any]) -> float:
    try:
        return float(_said_baseline(properties))
    except ValueError:
        return 0.0


def check_sensor(place: str, properties: Mapping[str, Any]) -> None:
    """Refuse what another satellite has seen.

    Raises:
        CubeError: It is another's.
    """
    platform = str(properties.get("platform") or properties.get("constellation") or "")
    if platform and not platform.lower().replace("_", "-").startswith("sentinel-2"):
        raise CubeError(f"{place}: was seen by {platform}; Sentinel-2 can be masked")


def check_bands(place: str, there: Mapping[str, Layer], keys: Iterable[str]) -> None:
    """Refuse an Item without a single band.

    Raises:
        BandError: There is none.
    """
    if not there:
        raise BandError(
            f"{place}: no asset is a band of Sentinel-2; its assets are "
            f"{', '.join(keys) or 'none'}"
        )
