"""Files of a package that is imported out of a zip file, as a wheel on `sys.path` is.

Such a file has a path all the same (PEP 302, `zipimport`): that of the archive, then its name
inside.
"""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path, PurePath

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How a file may be packed for Python to import it, and for GDAL to read it. With the others a few
bytes can claim gigabytes of memory for unpacking."""


def read(path: Path) -> bytes:
    """Read a file, be it inside a zip file.

    Raises:
        OSError: It is not there, or its archive is damaged.
    """
    try:
        return path.read_bytes()
    except ValueError as error:  # a NUL in it
        raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from error
    except (FileNotFoundError, NotADirectoryError):  # which of them, the system decides
        archive = _archive(path)
        if archive is None:
            raise
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(checked(opened, opened.getinfo(_inside(path, archive))))
    except KeyError:
        raise FileNotFoundError(errno.ENOENT, "No such file in the archive", str(path)) from None
    except Exception as error:  # what zipfile raises has no common base
        if not _tells_damage(error):
            raise
        raise OSError(errno.EIO, f"The archive is damaged: {error}", str(path)) from error


def _tells_damage(error: Exception) -> bool:
    """Tell what an archive says from what the system does: too little memory, no right to read."""
    number = error.errno if isinstance(error, OSError) else None
    return not isinstance(error, MemoryError) and number in (None, errno.EINVAL)


def is_file(path: Path) -> bool:
    """Tell whether there is such a file, be it inside a zip file."""
    # Path.is_file fails where os.path.isfile says no: in a folder that we may not look into.
    if os.path.isfile(path):  # noqa: PTH113
        return True
    archive = _archive(path)
    if archive is None:
        return False
    try:
        with zipfile.ZipFile(archive) as opened:
            return _inside(path, archive) in opened.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def checked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Let an entry of a zip file pass if it can be read in the memory that it says it takes.

    Raises:
        BadZipFile: It is packed by none of `METHODS`, or would reach beyond the archive's entries.
    """
    # zipfile asks for as much as an entry claims to take before it reads.
    if entry.header_offset + entry.compress_size > archive.start_dir:
        raise zipfile.BadZipFile(
            f"{entry.filename!r} should have {entry.compress_size} bytes, which are not there"
        )
    if entry.compress_type not in METHODS:
        raise zipfile.BadZipFile(
            f"{entry.filename!r} is packed by method {entry.compress_type}; stored (0) or "
            "deflated (8) can be read"
        )
    return entry


def _archive(path: Path) -> Path | None:
    """Find the file that stands where a folder should."""
    there = (each for each in path.parents if os.path.isfile(each))  # noqa: PTH113 - as above
    return next(there, None)


def _inside(path: Path, archive: Path) -> str:
    return PurePath(path).relative_to(archive).as_posix()
