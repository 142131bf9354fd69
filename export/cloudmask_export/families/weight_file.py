"""One published weight file, and the names under which people hold it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from cloudmask_export.families.family import Family

ENDINGS = (".pkl", ".pth", ".safetensors")
"""Of weight files that can be read."""

_PLAIN = re.compile(r"\w[\w.+-]*")
# What browsers add to a name that is taken: "weights (1).pkl".
_COPY = re.compile(r"\s*\(\d+\)$")


def canonical_name(name: str) -> str:
    """Return a file's published name: without the " (1)" of a browser's second download."""
    path = PurePosixPath(name)
    if path.suffix.lower() not in ENDINGS:
        return _COPY.sub("", name)
    return _COPY.sub("", path.stem) + path.suffix


def stem(name: str) -> str:
    """Return what stays of a name whichever ending it has, for comparing names."""
    path = PurePosixPath(canonical_name(name))
    return (path.stem if path.suffix.lower() in ENDINGS else path.name).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """A member of an ensemble, as published."""

    file: str
    """Name that its authors gave it."""
    member: str
    """Short name within its family: "v3.44", "regnety_004"."""
    architecture: str
    """Name of its skeleton."""
    urls: tuple[str, ...]
    """Published places in order of preference."""
    size: int | None = None
    """Bytes of `file`; None where it is not known."""

    def __post_init__(self) -> None:
        """Refuse names that are paths, places that are none, and sizes below one byte."""
        for name in (self.file, self.member, self.architecture):
            if not _PLAIN.fullmatch(name):
                raise ExportError(f"name {name!r}: letters, digits and . _ + - only, no path")
        if PurePosixPath(self.file).suffix not in ENDINGS:
            raise ExportError(f"file {self.file}: must end with one of {', '.join(ENDINGS)}")
        for url in self.urls:
            if not urlsplit(url).hostname:
                raise ExportError(f"{self.file}: {url!r} is no address; write https://host/...")
        if self.size is not None and self.size < 1:
            raise ExportError(f"{self.file}: size {self.size}; must be bytes, at least 1, or none")

    def model_name(self, family: Family) -> str:
        """Name the network made from it: "clouds2mask-20m-v3.44"."""
        return f"{family.name}-{self.member}"

    def saved_as(self, url: str) -> str:
        """Name the file that a place gives.

        The names are all ours: one place may publish another format than another, and says so
        in its address; what a server calls a file does not count.
        """
        name = PurePosixPath(urlsplit(url).path).name
        ours = name.endswith(ENDINGS) and stem(name) == stem(self.file)
        return name if ours and _PLAIN.fullmatch(name) else self.file

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which it may lie in a folder, the preferred one first."""
        return tuple(dict.fromkeys((*map(self.saved_as, self.urls), self.file)))

    def size_of(self, name: str) -> int | None:
        """Return the bytes of the file of that name; None where they are not known."""
        return self.size if name == self.file else None
