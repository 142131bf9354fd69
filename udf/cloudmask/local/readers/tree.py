"""The files of a product, in a folder or a zip archive."""

from __future__ import annotations

import os
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from cloudmask.errors import CubeError
from cloudmask.zipped import checked

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tree(Protocol):
    """Files by their names relative to the root, with slashes."""

    def names(self) -> list[str]:
        """All files."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""

    def size(self, name: str) -> int:
        """Bytes of a file."""

    def gdal(self, name: str) -> str:
        """What GDAL opens."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Files in a folder."""

    root: Path

    def names(self) -> list[str]:
        """See `Tree`."""
        found = []
        for folder, _, files in os.walk(self.root):
            place = Path(folder).relative_to(self.root)
            found += [(place / file).as_posix() for file in files]
        return sorted(found)

    def open(self, name: str) -> IO[bytes]:
        """See `Tree`."""
        return (self.root / name).open("rb")

    def size(self, name: str) -> int:
        """See `Tree`."""
        return (self.root / name).stat().st_size

    def gdal(self, name: str) -> str:
        """See `Tree`."""
        return str(self.root / name)


@dataclass(frozen=True, slots=True)
class Archive:
    """Files in an open zip archive."""

    path: Path
    archive: zipfile.ZipFile

    def names(self) -> list[str]:
        """See `Tree`."""
        return sorted(name for name in self.archive.namelist() if not name.endswith("/"))

    def open(self, name: str) -> IO[bytes]:
        """See `Tree`."""
        return self.archive.open(checked(self.archive, self.archive.getinfo(name)))

    def size(self, name: str) -> int:
        """See `Tree`."""
        return self.archive.getinfo(name).file_size

    def gdal(self, name: str) -> str:
        """See `Tree`."""
        # Braces, as the file's name need not end in .zip.
        return f"/vsizip/{{{self.path.resolve()}}}/{name}"


@contextmanager
def tree(path: Path) -> Iterator[Tree]:
    """Open a folder or a zip archive.

    Raises:
        CubeError: It is neither, or is damaged.
    """
    if path.is_dir():
        yield Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CubeError(
            f"{path}: is no folder and cannot be read as a zip archive ({error}); it is missing, "
            "damaged or incomplete"
        ) from error
    with archive:
        try:
            yield Archive(path, archive)
        except _DAMAGED as error:
            raise CubeError(
                f"{path}: cannot be unpacked ({type(error).__name__} {error}); it is damaged, "
                "fetch it again"
            ) from error


_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What zipfile raises of a damaged entry; RuntimeError if it is encrypted."""
