"""What the product metadata of Sentinel-2 say (MTD_MSIL1C.xml, MTD_MSIL2A.xml)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from cloudmask.bands import SENTINEL2
from cloudmask.errors import CubeError
from cloudmask.local.product import Facts
from cloudmask.local.readers.meaning import check_alike, preset_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudmask.bands import Preset

QUANTIFICATIONS = (
    "QUANTIFICATION_VALUE",
    "BOA_QUANTIFICATION_VALUE",
    "L2A_BOA_QUANTIFICATION_VALUE",
)
OFFSETS = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")
IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Band of each band_id, 0 to 12."""

_NUMBERS = tuple(map(str, range(len(IDS))))

Elements = dict[str, list[ET.Element]]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is needed of them."""

    facts: Facts
    quantification: float
    offsets: Mapping[str, float]
    """Band -> number to add before dividing; empty before baseline 04.00."""
    nodata: tuple[float, ...]

    def preset(self, place: str, bands: Sequence[str]) -> Preset:
        """Say what the numbers of some bands mean.

        Raises:
            CubeError: Their offsets differ.
        """
        scale = 1 / self.quantification
        said = [(scale, self.offsets.get(band, 0.0)) for band in bands]
        check_alike(place, bands, said)
        return preset_of(place, *said[0], self.nodata)


class _NoDoctype(ET.TreeBuilder):
    """Refuses what could define entities, which can grow to any size."""

    def doctype(self, name: str, *_: object) -> None:
        """Take a DOCTYPE.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"it has a DOCTYPE ({name}), which no product has")


def parse(place: str, text: bytes) -> ET.Element:
    """Parse XML that is not trusted.

    Raises:
        CubeError: It is no XML, or has a DOCTYPE.
    """
    try:
        # No entity can be defined without a DOCTYPE, which the builder refuses.
        parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314
        return ET.fromstring(text, parser)  # noqa: S314
    except (ET.ParseError, ValueError, LookupError) as error:  # no such encoding
        raise CubeError(f"{place}: cannot be read as XML ({error}); it is damaged") from error


def read_metadata(place: str, text: bytes, product: str) -> Metadata:
    """Read the product metadata.

    Args:
        place: The file, for messages.
        text: The file.
        product: The product's name, if the file says none.

    Raises:
        CubeError: It is no such file, or lacks what is needed.
    """
    root = parse(place, text)
    found = _by_name(root)
    platform = _text(found, "SPACECRAFT_NAME").lower()
    if not platform.startswith("sentinel-2"):
        raise CubeError(
            f"{place}: is a product of {platform or 'no spacecraft that it names'}, not of "
            "Sentinel-2"
        )
    quantification = _quantification(place, found)
    facts = Facts(
        when=_when(found),
        platform=platform,
        level=_level(place, root),
        baseline=_text(found, "PROCESSING_BASELINE"),
        product=_text(found, "PRODUCT_URI").removesuffix(".SAFE") or product,
    )
    return Metadata(facts, quantification, _offsets(place, found), _nodata(place, found))


def _by_name(root: ET.Element) -> Elements:
    """Gather elements by their names without name spaces, which changed over the years."""
    found: Elements = {}
    for element in root.iter():
        found.setdefault(element.tag.rpartition("}")[2], []).append(element)
    return found


def _text(found: Elements, name: str) -> str:
    elements = found.get(name)
    return (elements[0].text or "").strip() if elements else ""


def _level(place: str, root: ET.Element) -> Literal["L1C", "L2A"]:
    name = root.tag.rpartition("}")[2]
    if name.startswith("Level-1C"):
        return "L1C"
    if name.startswith("Level-2A"):
        return "L2A"
    raise CubeError(f"{place}: describes {name}; Level-1C and Level-2A products can be masked")


def _quantification(place: str, found: Elements) -> float:
    said = next((text for name in QUANTIFICATIONS if (text := _text(found, name))), "")
    value = _number(place, "QUANTIFICATION_VALUE", said or "nothing")
    if value <= 0:
        raise CubeError(f"{place}: QUANTIFICATION_VALUE is {said}; it must be greater than 0")
    return value


def _offsets(place: str, found: Elements) -> dict[str, float]:
    """Read the offset of each band; their ids count the bands of the instrument."""
    assert tuple(SENTINEL2) == IDS, "one order of bands"
    offsets = {}
    for name in OFFSETS:
        for element in found.get(name, ()):
            number = element.get("band_id", "")
            if number not in _NUMBERS:
                raise CubeError(f"{place}: {name} has band_id {number!r}; 0 to 12 are known")
            offsets[IDS[_NUMBERS.index(number)]] = _number(
                place, name, (element.text or "").strip()
            )
    return offsets


def _number(place: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise CubeError(f"{place}: {name} is {text!r}, but a number is needed") from error


def _nodata(place: str, found: Elements) -> tuple[float, ...]:
    """Read which number means no data; saturated pixels are data."""
    texts, numbers = found.get("SPECIAL_VALUE_TEXT", []), found.get("SPECIAL_VALUE_INDEX", [])
    said = [
        _number(place, "SPECIAL_VALUE_INDEX", number.text or "0")
        for text, number in zip(texts, numbers, strict=False)
        if (text.text or "").strip().upper() == "NODATA"
    ]
    return tuple(said) or (0.0,)


def _when(found: Elements) -> datetime | None:
    for name in ("PRODUCT_START_TIME", "DATATAKE_SENSING_START"):
        try:
            when = datetime.fromisoformat(_text(found, name))
        except ValueError:
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None
