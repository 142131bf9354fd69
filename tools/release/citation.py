"""Checking CITATION.cff (Citation File Format 1.2.0): what of it this project uses."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import yaml

from tools.checks import CheckError

if TYPE_CHECKING:
    from tools.release.changelog import Entry

NEEDED = ("cff-version", "message", "title", "authors")
KNOWN = frozenset({
    *NEEDED, "abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords",
    "license", "license-url", "preferred-citation", "references", "repository",
    "repository-artifact", "repository-code", "type", "url", "version",
})  # fmt: skip
"""Keys that the format has; it allows no others."""
_PERSON = frozenset({
    "address", "affiliation", "alias", "city", "country", "email", "family-names", "fax",
    "given-names", "name-particle", "name-suffix", "orcid", "post-code", "region", "tel",
    "website",
})  # fmt: skip


def check(text: str, project: dict[str, Any], entry: Entry) -> str:
    """Check the file on its own, against pyproject.toml's `project`, and against the changelog.

    Raises:
        CheckError: It is not of the format, or contradicts them.
    """
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise CheckError("CITATION.cff: must be a mapping")
    _check_format(found)
    _agree("title", found["title"], project["name"])
    _agree("license", found.get("license"), project["license"])
    _agree("abstract", found.get("abstract"), project["description"])
    return _check_release(found, entry)


def _check_format(found: dict[str, Any]) -> None:
    missing = [key for key in NEEDED if not found.get(key)]
    strange = sorted(set(found) - KNOWN)
    if missing or strange:
        raise CheckError(f"CITATION.cff: missing {missing}, unknown {strange}")
    _agree("cff-version", found["cff-version"], "1.2.0")
    _agree("type", found.get("type", "software"), "software")
    for author in found["authors"]:
        if not isinstance(author, dict) or not ("name" in author or set(author) <= _PERSON):
            raise CheckError(
                f"CITATION.cff: author {author}: give name, or family-names and so on"
            )
    words = found.get("keywords", [])
    if len(set(words)) != len(words) or not all(isinstance(word, str) for word in words):
        raise CheckError(f"CITATION.cff: keywords {words}: different words")


def _check_release(found: dict[str, Any], entry: Entry) -> str:
    """Between releases neither version nor date is known, so neither is said."""
    if entry.day is None:
        said = [key for key in ("version", "date-released") if key in found]
        if said:
            raise CheckError(f"CITATION.cff: {said} is of a release, and this is none")
        return "valid; no version, as this is no release"
    _agree("version", str(found.get("version")), entry.version)
    day = found.get("date-released")
    day = date.fromisoformat(day) if isinstance(day, str) else day
    _agree("date-released", day, entry.day)
    return f"valid; {entry.version} of {entry.day}"


def _agree(key: str, said: object, right: object) -> None:
    if said != right:
        raise CheckError(f"CITATION.cff: {key}: {said!r}, but elsewhere it is {right!r}")
