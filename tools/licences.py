"""What licences allow: which can stand beside MIT, which ask for more, which must not be there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Kind(IntEnum):
    """What a licence asks of a program that uses the package, the worse the greater."""

    FREE = 0
    """Nothing but its text."""
    NOTED = 1
    """Weak copyleft (LGPL, MPL): free to use and ship unchanged; whoever changes it shows that."""
    UNKNOWN = 2
    COPYLEFT = 3
    """The whole program must be under the same licence."""


WEAK = "exception|lesser|\\blgpl|mozilla|\\bmpl\\b|\\bepl\\b|eclipse|\\bcddl\\b"
STRONG = "\\bagpl|affero|\\bgpl|gnu general|\\bsspl|busl|cc-by-(?:nc|sa|nd)|proprietary"
FREE = (
    "\\bmit\\b|\\b0?bsd\\b|apache|\\bisc\\b|\\bpsf\\b|python software|\\bpython-|cnri|zlib|"
    "unlicense|public domain|cc0|\\bhpnd\\b|\\bcmu\\b|boost|\\bbsl-1|ncsa|unicode|libtiff|"
    "\\bcurl\\b|bzip2|blueoak"
)
PATTERNS = ((WEAK, Kind.NOTED), (STRONG, Kind.COPYLEFT), (FREE, Kind.FREE))
"""The first that is found in a licence's name or identifier says its kind."""

BY_HAND: Mapping[str, str] = {
    # LICENSE in its source archive; its metadata say nothing.
    "odc-stac": "Apache-2.0",
    # Its field says so; the classifier says "other".
    "openeo-pg-parser-networkx": "Apache-2.0",
}
"""Package -> licence, read by a person where metadata say nothing or the wrong thing."""

ACCEPTED: Mapping[tuple[str, str], str] = {
    ("openeo-local", "yprov4wfs"): (
        "asked for and imported by openeo-pg-parser-networkx, which runs graphs at home; nothing "
        "of ours imports it, and nothing of it is in what we ship"
    ),
}
"""(extra, package) -> why a copyleft package may be in that extra, and in no other."""


@dataclass(frozen=True, slots=True)
class Licence:
    """What a package says of itself."""

    package: str
    text: str
    kind: Kind


def kind_of(text: str) -> Kind:
    """Tell the kind of a licence by its name, an SPDX identifier, or the head of its text.

    Of `A OR B` the better one counts, of `A AND B` the worse one.
    """
    choices = re.split(r"\s+OR\s+", text.strip().strip("()"))
    return min(
        max(_single(part.strip("() ")) for part in re.split(r"\s+AND\s+", choice))
        for choice in choices
    )


def _single(text: str) -> Kind:
    low = text.lower()
    return next((kind for pattern, kind in PATTERNS if re.search(pattern, low)), Kind.UNKNOWN)


LONGEST_NAME = 100
"""Letters; what is longer is a licence's text, whose head says which it is."""


def licence_of(found: metadata.Distribution) -> Licence:
    """Read a package's licence off its metadata: the expression, the classifiers, the text."""
    name, said = canonicalize_name(found.name), cast("Mapping[str, str | None]", found.metadata)
    expression = BY_HAND.get(name) or said.get("License-Expression")
    if expression:
        return Licence(name, expression, kind_of(expression))
    classifiers = [
        each.rpartition("::")[2].strip()
        for each in found.metadata.get_all("Classifier") or []
        if each.startswith("License ::") and not each.endswith(("OSI Approved", "DFSG approved"))
    ]
    if classifiers:
        # What two of them mean together they do not say: the worse counts.
        return Licence(name, ", ".join(classifiers), max(map(_single, classifiers)))
    text = " ".join((said.get("License") or "").split())[:LONGEST_NAME]
    return Licence(name, text or "none", kind_of(text))


@dataclass(frozen=True, slots=True)
class Tree:
    """What an extra brings."""

    extra: str
    licences: tuple[Licence, ...]
    absent: tuple[str, ...]
    """Packages that are not installed here, so nothing is known of them."""


def tree(project: Mapping[str, Any], extra: str = "") -> Tree:
    """Follow what our package needs, and what that needs, on this system.

    Args:
        project: The table of pyproject.toml; what is installed may be older.
        extra: Of it; empty for what it needs in any case.
    """
    ours = canonicalize_name(project["name"])
    seen: dict[tuple[str, str], None] = {}
    left: list[tuple[str, str]] = [(ours, each) for each in dict.fromkeys(("", extra))]
    while left:
        name, wanted = left.pop()
        if (name, wanted) in seen:
            continue
        seen[name, wanted] = None
        lines = _own(project, wanted) if name == ours else _of_installed(name)
        for needed in map(Requirement, lines):
            if needed.marker is None or needed.marker.evaluate({"extra": wanted}):
                key = canonicalize_name(needed.name)
                left += [(key, each) for each in ("", *needed.extras)]
    found = {name: _installed(name) for name, _ in seen if name != ours}
    return Tree(
        extra,
        tuple(licence_of(each) for _, each in sorted(found.items()) if each),
        tuple(sorted(name for name, each in found.items() if each is None)),
    )


def _own(project: Mapping[str, Any], extra: str) -> Sequence[str]:
    lines: Sequence[str] = (
        project["optional-dependencies"][extra] if extra else project["dependencies"]
    )
    return lines


def _of_installed(name: str) -> Sequence[str]:
    found = _installed(name)
    return (found.requires if found else None) or ()


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
