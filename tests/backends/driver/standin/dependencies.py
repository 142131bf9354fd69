"""What a UDF worker brings along: archives in its folder, a ZIP for a call, hidden packages."""

from __future__ import annotations

import shutil
import sys
import tempfile
import urllib.request
import zipfile
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

UNPACKED = {".zip", ".jar"}
"""Endings of archives that are unpacked; a wheel stays a file, as Spark leaves it."""


def fetch(address: str, target: Path) -> None:
    """Copy a local file, or what answers at an address of HTTP, to `target`."""
    if address.startswith(("http://", "https://")):
        with urllib.request.urlopen(address) as source, target.open("wb") as out:  # noqa: S310
            shutil.copyfileobj(source, out)
    else:
        shutil.copyfile(address.removeprefix("file://"), target)


def place_archives(archives: Sequence[str], folder: Path) -> None:
    """Unpack each "ADDRESS#NAME" into `folder`/NAME.

    Raises:
        ValueError: an entry has no name, or two have the same.
    """
    for entry in archives:
        address, _, name = entry.partition("#")
        target = folder / name
        if not name or target.exists():
            raise ValueError(f"the archive {entry!r} needs a folder name of its own after '#'")
        if Path(address).suffix in UNPACKED:
            download = folder / f".{name}.zip"
            fetch(address, download)
            unpack(download, target)
            download.unlink()
        else:
            fetch(address, target)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)


@contextmanager
def unpacked_for_one_call(archive: str | None) -> Iterator[None]:
    """Put the content of a ZIP at the end of `sys.path`, and take it away again."""
    if archive is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="udf-dependencies-") as folder:
        unpack(Path(archive), Path(folder))
        sys.path.append(folder)
        try:
            yield
        finally:
            sys.path.remove(folder)


class HidingFinder(PathFinder):
    """Find packages on `sys.path`, but some of them only in entries that a UDF has added."""

    hidden: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    @classmethod
    def install(cls, hidden: Sequence[str]) -> None:
        """Hide top-level packages of this interpreter from every import that follows."""
        cls.hidden, cls.known = frozenset(hidden), frozenset(sys.path)
        sys.meta_path[sys.meta_path.index(PathFinder)] = cls
        loaded = [name for name in sys.modules if name.partition(".")[0] in cls.hidden]
        for name in loaded:
            del sys.modules[name]

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """Find a module, as the import system asks for it."""
        if path is None and fullname in cls.hidden:
            path = [entry for entry in sys.path if entry not in cls.known]
        return super().find_spec(fullname, path, target)
