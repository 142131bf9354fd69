"""The families that this package knows, read from `families.toml`."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import ExportError
from cloudmask_export.families.family import Family
from cloudmask_export.families.normalisation import FixedNormalisation, PatchNormalisation
from cloudmask_export.families.weight_file import WeightFile, stem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask_export.families.normalisation import Normalisation


@lru_cache(maxsize=1)
def families() -> Mapping[str, Family]:
    """List what is published, by name, in the order of the file."""
    text = (resources.files(__package__) / "families.toml").read_text("utf-8")
    return parse(text)


def parse(text: str) -> Mapping[str, Family]:
    """Read families from TOML.

    Raises:
        ExportError: A family contradicts itself, or two have the same name.
    """
    table = tomllib.loads(text)
    found = [_family(each, table["project"][each["project"]]) for each in table["family"]]
    by_name = {each.name: each for each in found}
    if len(by_name) != len(found):
        raise ExportError(f"families {[each.name for each in found]}: one name is given twice")
    return MappingProxyType(by_name)


def _family(own: Mapping[str, Any], project: Mapping[str, Any]) -> Family:
    facts = {**project, **own}
    del facts["project"]
    members = tuple(map(_weight_file, facts.pop("members", ())))
    facts.setdefault("architectures", list(dict.fromkeys(each.architecture for each in members)))
    normalisation = _normalisation(facts.pop("normalisation"))
    return Family(**_frozen(facts), members=members, normalisation=normalisation)


def _weight_file(facts: Mapping[str, Any]) -> WeightFile:
    return WeightFile(**_frozen(facts))


def _normalisation(facts: Mapping[str, Any]) -> Normalisation:
    rest = dict(facts)
    kind = rest.pop("kind")
    if kind == "patch":
        return PatchNormalisation(**rest)
    if kind == "fixed":
        return FixedNormalisation(**_frozen(rest))
    raise ExportError(f"normalisation {kind!r}: must be fixed or patch")


def _frozen(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Make lists of TOML fit for frozen values."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()
    }


def family(name: str) -> Family:
    """Look up a family.

    Raises:
        ExportError: There is none of that name; the message lists those there are.
    """
    known = families()
    if name in known:
        return known[name]
    near = get_close_matches(name.strip().lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ExportError(f"unknown family {name!r}; there are {', '.join(known)}.{hint}")


def by_file_name(name: str) -> tuple[Family, WeightFile] | None:
    """Find what a weight file is by its name alone.

    Either ending that a version is published with will do, in any case, and so will the " (1)"
    that browsers add; folders before the name do not count.

    Returns:
        Its family and its entry there; None for a name that is not published.
    """
    return _by_stem().get(stem(PurePath(name).name))


@lru_cache(maxsize=1)
def _by_stem() -> Mapping[str, tuple[Family, WeightFile]]:
    return {
        stem(weights.file): (each, weights)
        for each in families().values()
        for weights in each.members
    }
