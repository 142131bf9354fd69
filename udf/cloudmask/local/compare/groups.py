"""The classes in which two masks can be compared: what one does not tell apart is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import CLASSES, CLEAR, SHADOW, THICK, THIN
from cloudmask.errors import OptionError
from cloudmask.local.compare.schemes import LARGEST_CODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme

Group = tuple[int, ...]
"""Class codes that are taken together, in ascending order."""

CHOICES: Mapping[str, tuple[Group, ...]] = {
    "all": ((CLEAR,), (THICK,), (THIN,), (SHADOW,)),
    "cloud-shadow": ((CLEAR,), (THICK, THIN), (SHADOW,)),
    "cloud": ((CLEAR, SHADOW), (THICK, THIN)),
    "usable": ((CLEAR,), (THICK, THIN, SHADOW)),
}
"""What can be asked for."""

_TITLES: Mapping[Group, str] = {
    (CLEAR, SHADOW): "no cloud",
    (THICK, THIN): "cloud",
    (THICK, THIN, SHADOW): "masked",
    **{(each.code,): each.title for each in CLASSES},
}

ABSENT, STRANGE = 254, 255
"""In place of a group's number: no data, and a code that the scheme does not have."""


def title(group: Group) -> str:
    """Name a group of classes for people."""
    titles = [_TITLES[(code,)] for code in group]
    return _TITLES.get(group, " or ".join(titles))


def finest(a: Scheme, b: Scheme) -> tuple[Group, ...]:
    """Find the smallest groups of classes that both schemes tell apart.

    Classes that a code of either may stand for end up in one group, and so on from class to class.
    """
    groups = [{each.code} for each in CLASSES]
    for meant in (*a.codes.values(), *b.codes.values()):
        touched = [group for group in groups if group & set(meant)]
        if touched:
            groups = [group for group in groups if group not in touched]
            groups.append(set().union(*touched))
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def chosen(a: Scheme, b: Scheme, wanted: str | None) -> tuple[Group, ...]:
    """Choose the groups to compare in.

    Args:
        a: One scheme.
        b: The other.
        wanted: A key of `CHOICES`; None for the finest that both know.

    Raises:
        OptionError: The schemes do not tell so much apart.
    """
    if wanted is not None and wanted not in CHOICES:
        raise OptionError(f"classes {wanted!r}: choose among {', '.join(CHOICES)}")
    possible = finest(a, b)
    if len(possible) == 1:
        raise OptionError(
            f"{a.name} and {b.name} have no two classes in common that both tell apart: they "
            "cannot be compared"
        )
    asked = possible if wanted is None else CHOICES[wanted]
    if not all(any(set(small) <= set(large) for large in asked) for small in possible):
        raise OptionError(
            f"classes {wanted}: {a.name} and {b.name} together tell apart only "
            f"{sentence(possible)}; leave it out, or ask for fewer"
        )
    return asked


def sentence(groups: tuple[Group, ...]) -> str:
    """List groups for people."""
    return ", ".join(title(group) for group in groups)


def lookup(scheme: Scheme, groups: tuple[Group, ...]) -> NDArray[np.uint8]:
    """Make the table from a scheme's codes to the numbers of groups.

    Returns:
        (LARGEST_CODE + 2,): `table[code]`, ABSENT for no data, STRANGE for a code that is not
        the scheme's; the last entry is for everything beyond.
    """
    table = np.full(LARGEST_CODE + 2, STRANGE, np.uint8)
    for code, meant in scheme.codes.items():
        inside = [number for number, group in enumerate(groups) if set(meant) & set(group)]
        assert len(inside) <= 1, "groups are made so that each code falls into one"
        table[code] = inside[0] if inside else ABSENT
    return table
