"""Zip files: written the same byte for byte, read with suspicion.

What is written has one order, one date, one mode and one level of compression, so that the same
content gives the same bytes (with the same zlib: newer ones may pack more tightly).
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PureWindowsPath
from typing import IO, TYPE_CHECKING

from cloudmask.errors import CloudmaskError
from cloudmask.zipped import checked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zipfile import ZipInfo

    Files = Mapping[str, bytes]

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip file can hold; all entries have it."""

MODE = stat.S_IFREG | 0o644
LEVEL = 6
"""Of deflate; 9 takes twice the time and saves half a percent of ONNX Runtime."""

LARGEST = 4 * 2**30
"""Bytes that an archive may unpack to."""


class ArchiveError(CloudmaskError):
    """A zip file or wheel has entries that must not be unpacked, or is damaged."""


def write_zip(target: Path | IO[bytes], files: Files, *, compressed: bool = True) -> None:
    """Write files, by name, into a zip file.

    Wheels and whatever else is to be stored inside are compressed as well; give
    `compressed=False` for content whose bytes must not depend on the version of zlib.

    Raises:
        ArchiveError: A name would not be read again by `read_zip`.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    _check_names(list(files), "the archive to be written")
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system = 3  # Unix, whose modes follow; Python writes where it runs
            entry.external_attr = MODE << 16
            archive.writestr(entry, files[name], method, LEVEL)


def read_zip(path: Path) -> dict[str, bytes]:
    """Read all files of a zip file or wheel, by name.

    Raises:
        ArchiveError: It is no zip file or a damaged one; an entry leaves the folder it would be
            unpacked in (`..`, an absolute path), is a link or a device, is encrypted, packed by
            another method than deflate, or there twice; or it is larger than 4 GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if _is_file(entry, path)]
            _check_names([entry.filename for entry in entries], str(path))
            _check_size(sum(entry.file_size for entry in entries), path)
            return {entry.filename: archive.read(checked(archive, entry)) for entry in entries}
    except (ArchiveError, MemoryError):
        raise
    except Exception as error:  # what zipfile raises has no common base
        raise ArchiveError(f"{path}: no readable zip file ({error}); fetch it again") from error


def _check_size(size: int, path: Path) -> None:
    if size > LARGEST:
        raise ArchiveError(f"{path}: unpacks to {size} bytes; at most {LARGEST} may be")


def _is_file(entry: ZipInfo, path: Path) -> bool:
    """Tell files from folders; refuse all else."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a device"
        raise ArchiveError(f"{path}: entry {entry.filename!r} is {what}; only files may be inside")
    if entry.flag_bits & 0x1:
        raise ArchiveError(f"{path}: entry {entry.filename!r} is encrypted; unpack it first")
    # Python cuts a name at its first NUL and turns the separator of its system into "/".
    _check_name(entry.orig_filename.removesuffix("/"), str(path))
    return not entry.is_dir()


def _check_names(names: list[str], where: str) -> None:
    """Refuse entries that are there twice, or as a file and a folder."""
    seen: set[str] = set()
    for name in names:
        _check_name(name, where)
        if name in seen:
            raise ArchiveError(f"{where}: entry {name!r} is there twice; one would hide the other")
        seen.add(name)
    folders = {str(folder) for name in names for folder in Path(name).parents}
    both = sorted(seen & {Path(folder).as_posix() for folder in folders})
    if both:
        raise ArchiveError(f"{where}: entry {both[0]!r} is both a file and a folder")


def _check_name(name: str, where: str) -> None:
    parts = name.split("/")
    odd = "\\" in name or "\0" in name or bool(PureWindowsPath(name).drive)
    if odd or any(part in ("", ".", "..") for part in parts):
        raise ArchiveError(
            f"{where}: entry {name!r} may leave the folder it is unpacked in; names must be "
            "relative, without '..', drives, '\\' and NUL"
        )


def merged(parts: Mapping[str, Files]) -> dict[str, bytes]:
    """Put the files of several sources, by name of the source, side by side.

    Raises:
        ArchiveError: Two sources have a file of the same name.
    """
    result: dict[str, bytes] = {}
    for source, files in parts.items():
        both = sorted(result.keys() & files.keys())
        if both:
            raise ArchiveError(f"{source}: {both[0]!r} comes from another source, too; leave one")
        result.update(files)
    return result


def unpack(files: Files, folder: Path) -> None:
    """Write files, by name, into a folder.

    Raises:
        ArchiveError: A name leaves the folder, or is there as a file and as a folder.
        OSError: The system cannot write one, for example as its name is too long.
    """
    _check_names(list(files), "the archive to be unpacked")
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
