"""The machine that an archive is for: which wheels run there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import chain

from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag, sys_tags

from cloudmask.errors import OptionError

OLDEST = (3, 11)
"""Python that our own package needs."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True, slots=True)
class Target:
    """Python and platform of a back-end's workers; the default is VITO's and CDSE's."""

    python: str = "3.11"
    platform: str = "manylinux_2_28_x86_64"
    """As wheels name it; of manylinux the newest that runs there."""

    def __post_init__(self) -> None:
        """Refuse what is no version and no platform."""
        if not re.fullmatch(r"\d+\.\d+", self.python) or self.version < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise OptionError(f"python={self.python!r}: give a version such as 3.11, {oldest} on")
        if not re.fullmatch(r"[a-z0-9_]+", self.platform):
            raise OptionError(
                f"platform={self.platform!r}: name it as wheels do, such as manylinux_2_28_x86_64"
            )

    @property
    def version(self) -> tuple[int, int]:
        """Python's version as numbers."""
        major, minor = self.python.split(".")
        return int(major), int(minor)

    @property
    def platforms(self) -> list[str]:
        """All platforms whose wheels run there, the wanted one first."""
        found = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", self.platform)
        if not found:
            return [self.platform]
        newest, machine = int(found[1]), found[2]
        names = ((f"manylinux_2_{minor}", _LEGACY.get(minor)) for minor in range(newest, 4, -1))
        return [f"{name}_{machine}" for name in chain.from_iterable(names) if name]

    def takes(self, tags: frozenset[Tag]) -> bool:
        """Whether a wheel of these tags runs there."""
        return not tags.isdisjoint(_tags(self))

    @property
    def is_here(self) -> bool:
        """Whether this very Python runs wheels made for exactly there."""
        digits = self.python.replace(".", "")
        wanted = parse_tag(f"cp{digits}-cp{digits}-{self.platform}")
        return not wanted.isdisjoint(sys_tags())


@cache
def _tags(target: Target) -> frozenset[Tag]:
    own = cpython_tags(target.version, platforms=target.platforms)
    return frozenset(chain(own, compatible_tags(target.version, platforms=target.platforms)))
