"""The STAC Item of a masked scene: what was made, of what, by which networks and options.

It is written last, so that a scene with a fitting Item and the files it names is complete
(STAC 1.1; `EXTENSIONS` are named as far as their fields are used).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.classes import CLASSES, NO_DATA, NO_DATA_CLASS, PROBABILITY_STEPS
from cloudmask.errors import CubeError
from cloudmask.local.beside import beside
from cloudmask.local.footprint import bounds, footprint
from cloudmask.spec import SHA256_MULTIHASH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudmask.local.product import Facts, Grid
    from cloudmask.spec import ModelSpec

CONFIDENCE_BINS = 20
"""Equal bins of 0..1 in which the probabilities of the chosen classes are counted."""

EXTENSIONS = {
    prefix: f"https://stac-extensions.github.io/{name}/schema.json"
    for prefix, name in {
        "classification": "classification/v2.0.0",
        "eo": "eo/v2.0.0",
        "file": "file/v2.1.0",
        "proj": "projection/v2.0.0",
        "processing": "processing/v1.2.0",
        "raster": "raster/v2.0.0",
    }.items()
}
"""Prefix of fields -> the STAC extension that defines them."""

_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".tiff": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".nc": "application/x-netcdf",
    ".zarr": "application/vnd+zarr",
    ".png": "image/png",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All that is said of a masked scene."""

    name: str
    """Of the scene; the Item's identifier."""
    facts: Facts
    grid: Grid
    source: Path | None = None
    """The input, if it is a file or folder: its age stands in for an unknown time."""
    mask: Path
    """Relative to the Item, as the other files are."""
    thumbnail: Path | None = None
    probabilities: Path | None = None
    """May be the mask's own path, for a cube that holds both."""
    models: tuple[ModelSpec, ...]
    options: Mapping[str, Any]
    """Name and JSON value of each option that the mask depends on."""
    shares: Mapping[str, float]
    """Percentage of each class that the networks know among valid pixels; `no_data` among all."""
    confidence: tuple[int, ...] = ()
    """Valid pixels by the probability of their class, in `CONFIDENCE_BINS`; empty if not known."""
    fingerprint: str
    """Hexadecimal; differs if the input, a network or an option differs."""
    seconds: float


def write_item(path: Path, made: Made) -> None:
    """Write the Item, whole or not at all; the files it names must be there.

    Args:
        path: JSON file; the files' paths are relative to its folder.
        made: What to say.

    Raises:
        OSError: A file is missing or cannot be read, or the Item cannot be written.
    """
    text = json.dumps(_item(path.parent, made), indent=2, ensure_ascii=False, allow_nan=False)
    with beside(path) as partial:
        partial.write_text(text + "\n", "utf-8")


def read_item(path: Path) -> dict[str, Any]:
    """Read an Item that `write_item` wrote.

    Raises:
        CubeError: It cannot be read, or is no such Item.
    """
    try:
        item = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CubeError(
            f"{path}: cannot be read as JSON ({error}); mask its scene again"
        ) from None
    if not is_ours(item):
        raise CubeError(f"{path}: is no STAC Item of a mask, as it has no cloudmask:fingerprint")
    return item


def is_ours(item: Any) -> bool:
    """Tell whether parsed JSON is an Item that `write_item` wrote."""
    try:
        return item["type"] == "Feature" and isinstance(
            item["properties"]["cloudmask:fingerprint"], str
        )
    except (KeyError, TypeError):
        return False


def complete(path: Path, fingerprint: str) -> bool:
    """Tell whether a scene is done: its Item is there and fits, and so do the files' sizes.

    The files are not read; `file:checksum` in the Item is for who wants to be sure.

    Args:
        path: The Item.
        fingerprint: What it must say.
    """
    try:
        item = read_item(path)
        sizes = {each["href"]: each["file:size"] for each in item["assets"].values()}
        there = all(_size(path.parent / href) == size for href, size in sizes.items())
    except (CubeError, OSError, KeyError, TypeError, AttributeError):
        return False
    return there and item["properties"]["cloudmask:fingerprint"] == fingerprint


def _item(folder: Path, made: Made) -> dict[str, Any]:
    geometry = footprint(made.grid)
    properties = dict(_properties(folder, made))
    assets = {key: _asset(folder, made, key) for key in _files(made)}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _extensions(properties, *assets.values()),
        "id": made.name,
        "geometry": geometry,
        # STAC wants no bbox where there is no geometry.
        **({"bbox": bounds(geometry)} if geometry else {}),
        "properties": properties,
        "links": [],
        "assets": assets,
    }


def _extensions(*parts: Mapping[str, Any]) -> list[str]:
    """Name the extensions whose fields are used; some want to be named only then."""
    used = {key.split(":")[0] for part in parts for key in part}
    return [place for prefix, place in EXTENSIONS.items() if prefix in used]


def _files(made: Made) -> dict[str, Path]:
    """Give the files by asset key."""
    named = {"mask": made.mask, "thumbnail": made.thumbnail, "probabilities": made.probabilities}
    return {key: path for key, path in named.items() if path is not None}


def _properties(folder: Path, made: Made) -> Iterator[tuple[str, Any]]:
    yield from _of_scene(folder, made)
    yield from _of_grid(made.grid)
    cover = sum(made.shares.get(name, 0.0) for name in ("thick_cloud", "thin_cloud"))
    if made.shares.get("no_data") != 100:  # noqa: PLR2004  # nothing was seen: no cover is known
        yield "eo:cloud_cover", min(100.0, round(cover, 4))
    yield from _of_models(made.models)
    yield "cloudmask:options", dict(made.options)
    yield "cloudmask:shares", dict(made.shares)
    yield "cloudmask:confidence", list(made.confidence)
    yield "cloudmask:fingerprint", made.fingerprint
    yield "cloudmask:seconds", round(made.seconds, 3)


def _of_scene(folder: Path, made: Made) -> Iterator[tuple[str, Any]]:
    from cloudmask import __version__

    facts = made.facts
    yield "datetime", _written(facts.when or _changed(made.source or folder / made.mask))
    yield "cloudmask:sensed", facts.when is not None
    yield "processing:software", {"openeo-cloudmask": __version__}
    known = {
        "platform": facts.platform,
        "processing:level": facts.level,
        "cloudmask:baseline": facts.baseline,
        "cloudmask:product": facts.product,
    }
    yield from ((key, value) for key, value in known.items() if value)


def _of_grid(grid: Grid) -> Iterator[tuple[str, Any]]:
    yield "proj:shape", list(grid.shape)
    if grid.transform is not None:
        yield "proj:transform", [float(each) for each in grid.transform[:6]]
    authority = grid.crs.to_authority() if grid.crs else None
    yield "proj:code", ":".join(authority) if authority else None
    if grid.crs and not authority:
        yield "proj:wkt2", grid.crs.to_wkt(version="WKT2_2019")


def _of_models(models: tuple[ModelSpec, ...]) -> Iterator[tuple[str, Any]]:
    yield "cloudmask:model", [each.name for each in models]
    yield "cloudmask:model_version", [each.version for each in models]
    yield "cloudmask:model_sha256", [each.sha256 for each in models]
    yield "cloudmask:licence", [each.licence for each in models]


def _asset(folder: Path, made: Made, key: str) -> dict[str, Any]:
    path = _files(made)[key]
    asset = {"href": path.as_posix(), "type": _MEDIA[path.suffix.lower()], **_ABOUT[key]}
    if (folder / path).is_file():
        asset["file:checksum"] = SHA256_MULTIHASH + _sha256(folder / path)
    return asset | {"file:size": _size(folder / path)}


def _classes() -> list[dict[str, Any]]:
    """Describe the class codes (STAC classification extension)."""
    return [
        {
            "value": each.code,
            "name": each.name,
            "title": each.title,
            "description": each.title,
            "color_hint": bytes(each.colour).hex().upper(),
            **({"nodata": True} if each.code == NO_DATA else {}),
        }
        for each in (*CLASSES, NO_DATA_CLASS)
    ]


_ABOUT: Mapping[str, Mapping[str, Any]] = {
    "mask": {
        "title": "Cloud and cloud-shadow classes",
        "roles": ["data", "cloud", "cloud-shadow"],
        "data_type": "uint8",
        "nodata": NO_DATA,
        "classification:classes": _classes(),
    },
    "thumbnail": {"title": "The scene in true colour", "roles": ["thumbnail"]},
    "probabilities": {
        "title": "Probability of each class",
        "roles": ["data"],
        "bands": [{"name": each.name, "description": each.title} for each in CLASSES],
        "data_type": "uint8",
        "nodata": NO_DATA,
        "raster:scale": 1 / PROBABILITY_STEPS,
    },
}


def _written(when: datetime) -> str:
    """Write a time as RFC 3339 wants it; a time without a zone is taken for UTC."""
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return utc.isoformat().replace("+00:00", "Z")


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    """Give the bytes of a file, or of all files of a folder (Zarr)."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        (Path(place) / name).stat().st_size for place, _, names in os.walk(path) for name in names
    )
