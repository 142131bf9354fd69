"""Reading a changelog in the format of Keep a Changelog (keepachangelog.com, 1.1.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from packaging.version import InvalidVersion, Version

from tools.checks import CheckError

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
_HEAD = re.compile(r"^## \[?([^\]\s]+)\]?(?: - (\S+))?( \[YANKED\])?$")


@dataclass(frozen=True, slots=True)
class Entry:
    """What changed in a version."""

    version: str
    """As it is written; "Unreleased" for what is not yet in one."""
    day: date | None
    kinds: tuple[str, ...]
    """Which of `KINDS` it has, in order."""
    lines: int
    """Bullets."""


def parse(text: str) -> tuple[Entry, ...]:
    """Read the entries, newest first.

    Raises:
        CheckError: It is not in the format: a heading of another shape or kind, a version without
            a date, an order that is not newest first, an entry without a line.
    """
    if not text.startswith("# Changelog\n"):
        raise CheckError("CHANGELOG.md: the first line must be '# Changelog'")
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    entries = tuple(map(_entry, parts))
    _check_order(entries)
    return entries


def _entry(part: str) -> Entry:
    title, _, body = part.partition("\n")
    head = _HEAD.match(title)
    if head is None:
        raise CheckError(f"CHANGELOG.md: {title!r}: write '## X.Y.Z - YYYY-MM-DD'")
    kinds = tuple(re.findall(r"^### (.*)$", body, re.MULTILINE))
    strange = [kind for kind in kinds if kind not in KINDS]
    if strange or len(set(kinds)) != len(kinds):
        raise CheckError(f"CHANGELOG.md: {title!r} has {kinds}: each of {KINDS}, at most once")
    lines = len(re.findall(r"^- \S", body, re.MULTILINE))
    if head[1] != "Unreleased" and not lines:
        raise CheckError(f"CHANGELOG.md: {title!r} says nothing; give it a line '- ...'")
    return Entry(head[1], _day(head[1], head[2]), kinds, lines)


def _day(version: str, text: str | None) -> date | None:
    if version == "Unreleased":
        return None
    try:
        Version(version)
        return date.fromisoformat(text or "")
    except (InvalidVersion, ValueError) as error:
        raise CheckError(
            f"CHANGELOG.md: {version} - {text}: {error}; write '## X.Y.Z - YYYY-MM-DD'"
        ) from None


def _check_order(entries: tuple[Entry, ...]) -> None:
    names = [each.version for each in entries]
    if "Unreleased" in names[1:]:
        raise CheckError("CHANGELOG.md: Unreleased must stand first, and once")
    versions = [Version(name) for name in names if name != "Unreleased"]
    if sorted(set(versions), reverse=True) != versions:
        raise CheckError(f"CHANGELOG.md: {names}: newest first, and each once")


def entry_for(entries: tuple[Entry, ...], version: str) -> Entry:
    """Find what is to be said of a version: Unreleased, where it is none of a release.

    Raises:
        CheckError: It is not there.
    """
    wanted = Version(version)
    released = not wanted.is_devrelease and wanted.local is None
    for each in entries:
        if each.version == "Unreleased":
            if not released and each.lines:
                return each
        elif released and Version(each.version) == wanted:
            return each
    missing = f"'## {version} - YYYY-MM-DD'" if released else "'## Unreleased' with a line"
    raise CheckError(f"CHANGELOG.md has no {missing}")
