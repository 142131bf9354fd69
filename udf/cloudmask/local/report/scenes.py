"""What the page knows of a scene: its Item, read with suspicion, as anybody may write one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import unquote, urlsplit

from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.errors import CubeError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXPECTED = "make some with `cloudmask mask SCENE... -o FOLDER`, which writes NAME.json last"

SHARES = "cloudmask:shares"
"""Property that tells our Items from others'."""

ALL, ROUNDING = 100.0, 0.01
"""Percent."""

ENDLESS = 1e18
"""No count of pixels or seconds is as large; NaN is not smaller either."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network that took part."""

    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A scene that was masked, as its Item says."""

    name: str
    item: Path
    mask: Path
    thumbnail: Path | None
    files: tuple[tuple[str, Path], ...]
    """(asset, file) of everything that lies beside the Item."""
    when: datetime | None
    facts: Mapping[str, str]
    """Heading -> text, as far as known: platform, level, baseline, product."""
    shares: Mapping[str, float]
    """Class -> percent of the valid pixels; "no_data" -> percent of all."""
    confidence: tuple[float, ...]
    """Valid pixels in equal bins of the probability of their class, 0..1; empty if unknown."""
    networks: tuple[Network, ...]
    options: Mapping[str, str]
    seconds: float | None
    software: str

    @property
    def clear(self) -> float | None:
        """Percent of the valid pixels that are clear; None if no pixel is valid."""
        return None if self.shares[NO_DATA_CLASS.name] >= ALL else self.shares.get("clear")

    @property
    def order(self) -> tuple[datetime, str]:
        """By time, then by name; those without a time last."""
        return self.when or datetime.max.replace(tzinfo=UTC), self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is no scene of this page."""

    name: str
    reason: str


def find(folder: Path) -> tuple[list[Masked], list[Problem]]:
    """Read the Items of a folder.

    Returns:
        Scenes in the order of time, and the .json files that are none, with the reason.

    Raises:
        OptionError: There is no such folder, or no scene in it.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder}: there is no such folder; {EXPECTED}")
    scenes, problems = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            scenes.append(read(path))
        except CubeError as error:
            problems.append(Problem(path.name, str(error)))
    if not scenes:
        raise OptionError(f"{folder}: {_why_empty(problems)}; {EXPECTED}")
    return sorted(scenes, key=lambda scene: scene.order), problems


def _why_empty(problems: list[Problem]) -> str:
    if not problems:
        return "holds no masks (no NAME.json)"
    first = problems[0]
    return f"holds no masks: of {len(problems)} .json none is one ({first.name}: {first.reason})"


def read(path: Path) -> Masked:
    """Read one Item.

    Raises:
        CubeError: It is not ours or damaged, or the mask it speaks of is not there.
    """
    item = _item(path)
    properties = item["properties"]
    files = _files(path.parent, item.get("assets"))
    if "mask" not in files:
        raise CubeError("its mask is not there: the asset 'mask' names no file beside it")
    return Masked(
        name=_text(item.get("id")) or path.stem,
        item=path,
        mask=files["mask"],
        thumbnail=files.get("thumbnail"),
        files=tuple(files.items()),
        when=_when(properties),
        facts=_facts(properties),
        shares=_shares(properties[SHARES]),
        confidence=_counts(properties.get("cloudmask:confidence", [])),
        networks=_networks(properties),
        options=_options(properties.get("cloudmask:options", {})),
        seconds=_optional_number(properties, "cloudmask:seconds"),
        software=_text(_mapping(properties, "processing:software").get("openeo-cloudmask")),
    )


def _item(path: Path) -> dict[str, Any]:
    try:
        item = json.loads(path.read_bytes())
    except OSError as error:
        raise CubeError(f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise CubeError("is no JSON, or a damaged one") from error
    properties = item.get("properties") if isinstance(item, dict) else None
    if not isinstance(properties, dict) or SHARES not in properties:
        raise CubeError(f"is no Item of a mask (no property {SHARES})")
    return item


def _files(folder: Path, assets: object) -> dict[str, Path]:
    """Find the files beside an Item; what it says of other places is not followed."""
    found = {}
    for name, asset in assets.items() if isinstance(assets, dict) else ():
        href = asset.get("href") if isinstance(asset, dict) else None
        path = _beside(folder, href) if isinstance(href, str) else None
        if path:
            found[str(name)] = path
    return found


def _beside(folder: Path, href: str) -> Path | None:
    """Find a file by its name as it is, or as an address writes it."""
    address = urlsplit(href)
    names = [href] if address.scheme or address.netloc else [href, unquote(address.path)]
    return next((folder / name for name in names if _is_inside(folder, folder / name)), None)


def _is_inside(folder: Path, path: Path) -> bool:
    try:
        return folder.resolve() in path.resolve().parents and path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _when(properties: Mapping[str, Any]) -> datetime | None:
    text = properties.get("datetime") or properties.get("start_datetime")
    # Else it is when the mask was written, which says nothing of the scene.
    if text is None or properties.get("cloudmask:sensed") is False:
        return None
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise CubeError(f"datetime {text!r}: is no time as RFC 3339 writes it") from error


_FACTS = {
    "platform": "platform",
    "level": "processing:level",
    "baseline": "cloudmask:baseline",
    "product": "cloudmask:product",
}


def _facts(properties: Mapping[str, Any]) -> dict[str, str]:
    found = {heading: _text(properties.get(key)) for heading, key in _FACTS.items()}
    return {heading: text for heading, text in found.items() if text}


def _shares(given: object) -> dict[str, float]:
    names = [each.name for each in (*CLASSES, NO_DATA_CLASS)]
    if not isinstance(given, dict):
        raise CubeError(f"{SHARES}: must be an object of class names and percentages")
    found = {name: _share(name, given[name]) for name in names if given.get(name) is not None}
    if NO_DATA_CLASS.name not in found:
        raise CubeError(f"{SHARES}: says nothing of {NO_DATA_CLASS.name}")
    return found


def _share(name: str, value: object) -> float:
    if not _is_number(value) or not -ROUNDING <= value <= ALL + ROUNDING:
        raise CubeError(f"{SHARES}: {name} is {value!r}; must be a percentage, 0 to 100")
    return min(ALL, max(0.0, float(value)))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < ENDLESS


MOST_BINS = 200


def _counts(given: object) -> tuple[float, ...]:
    counts = given if isinstance(given, list) and len(given) <= MOST_BINS else [None]
    if not all(_is_number(count) and count >= 0 for count in counts):
        raise CubeError(f"cloudmask:confidence: must be a list of at most {MOST_BINS} counts")
    return tuple(map(float, counts))


def _networks(properties: Mapping[str, Any]) -> tuple[Network, ...]:
    names = _texts(properties, "cloudmask:model")
    versions, hashes, licences = (
        _as_many(_texts(properties, f"cloudmask:{key}"), len(names))
        for key in ("model_version", "model_sha256", "licence")
    )
    return tuple(map(Network, names, versions, hashes, licences))


def _as_many(texts: list[str], count: int) -> list[str]:
    """Give one text a network; where they are fewer all are said of each."""
    return texts if len(texts) == count else [", ".join(texts)] * count


def _texts(properties: Mapping[str, Any], key: str) -> list[str]:
    value = properties.get(key, [])
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _options(given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        raise CubeError("cloudmask:options: must be an object of names and values")
    return {str(name): _text(value) for name, value in given.items()}


def _mapping(properties: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = properties.get(key)
    return value if isinstance(value, dict) else {}


def _optional_number(properties: Mapping[str, Any], key: str) -> float | None:
    value = properties.get(key)
    return float(value) if _is_number(value) else None


def _text(value: object) -> str:
    """Write a JSON value as people would; nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
