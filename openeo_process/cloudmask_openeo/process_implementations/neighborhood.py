"""Sizes and overlaps of neighbourhoods, as openEO's `apply_neighborhood` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudmask.checks import whole
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudmask_openeo.process_implementations.dimensions import Dimensions

    Entries = Sequence[Mapping[str, Any]]

ONE_DATE = "P1D"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a chunk goes along one axis, in pixels."""

    size: int | None
    """Pixels the chunk answers for; None stands for the whole axis."""
    overlap: int = 0
    """Pixels seen beyond them, at each side."""

    def on(self, length: int) -> Reach:
        """Put a number in place of "the whole axis"."""
        return self if self.size is not None else Reach(length, self.overlap)


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """What one call of a UDF sees of a cube."""

    y: Reach
    x: Reach
    each_date: bool = False
    """True: one date a chunk, which then has no time; False: all dates in one chunk."""

    @classmethod
    def of(cls, size: Entries, overlap: Entries | None, dimensions: Dimensions) -> Neighborhood:
        """Read the arguments of `apply_neighborhood`.

        Args:
            size: One object a dimension with dimension, value and unit. Dimensions that are not
                named, or have the value null, are taken whole.
            overlap: The same for the pixels beyond; none if not given.
            dimensions: The cube's.

        Raises:
            OptionError: A unit, value or dimension cannot be had.
        """
        sizes = _by_role("size", size, dimensions)
        overlaps = _by_role("overlap", overlap or (), dimensions)
        if overlaps.get("time", {}).get("value") not in (None, 0):
            raise OptionError(
                f"overlap along {dimensions.time}: dates cannot overlap; leave it out, a chunk "
                "with all dates has size null along time"
            )
        reaches = {role: _reach(role, sizes.get(role), overlaps.get(role)) for role in ("y", "x")}
        return cls(reaches["y"], reaches["x"], _each_date(sizes.get("time")))


def _by_role(name: str, entries: Entries, dimensions: Dimensions) -> dict[str, Mapping[str, Any]]:
    """Find out which axis each object is about."""
    # openeo-pg-parser-networkx takes an empty list for an empty list of time intervals.
    entries = getattr(entries, "root", entries)
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(entry, Mapping) and isinstance(entry.get("dimension"), str) for entry in entries
    ):
        raise OptionError(
            f'{name}={entries!r}: must be a list of objects as {{"dimension": "x", "value": 192, '
            '"unit": "px"}'
        )
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        role = dimensions.role(entry["dimension"])
        if role is None:
            raise OptionError(
                f"{name}: the cube has no dimension {entry['dimension']!r}; it has "
                f"{', '.join(map(str, dimensions.names))}"
            )
        if role in found:
            raise OptionError(f"{name}: dimension {entry['dimension']!r} is named twice")
        if role == "band" and entry.get("value") is not None:
            raise OptionError(
                f"{name}: a chunk always has all bands; give the value null along "
                f"{entry['dimension']}, or leave it out"
            )
        found[role] = entry
    return found


def _reach(axis: str, size: Mapping[str, Any] | None, overlap: Mapping[str, Any] | None) -> Reach:
    pixels = _pixels(f"size along {axis}", size, least=1)
    beyond = _pixels(f"overlap along {axis}", overlap, least=0) or 0
    if pixels is not None and beyond > pixels:
        raise OptionError(
            f"overlap along {axis}: {beyond} px with size {pixels} px; the overlap must not be "
            "larger than the size (back-ends shift the result silently), enlarge the size"
        )
    return Reach(pixels, beyond)


def _pixels(what: str, entry: Mapping[str, Any] | None, *, least: int) -> int | None:
    """Read a number of pixels; None if there is none."""
    if entry is None or entry.get("value") is None:
        return None
    value, unit = entry["value"], entry.get("unit")
    if unit != "px":
        raise OptionError(
            f"{what}: {value!r} in unit {unit!r}; only pixels are possible, give the unit 'px'"
        )
    if isinstance(value, float) and value.is_integer():  # JSON makes no difference
        value = int(value)
    return whole(what, value, least=least)


def _each_date(entry: Mapping[str, Any] | None) -> bool:
    value = None if entry is None else entry.get("value")
    if value not in (None, ONE_DATE):
        raise OptionError(
            f"size along time: {value!r}; possible are null, all dates in one chunk, and "
            f"'{ONE_DATE}', one date a chunk"
        )
    return value == ONE_DATE
