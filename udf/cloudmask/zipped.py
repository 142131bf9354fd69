"""Files of a package that is imported out of a zip file, as a wheel on `sys.path` is.

Such a file has a path all the same (PEP 302, `zipimport`): that of the archive, then its name
inside.
"""

from __future__ import annotations

import errno
import zipfile
import zlib
from pathlib import Path, PurePath


def read(path: Path) -> bytes:
    """Read a file, be it inside a zip file.

    Raises:
        OSError: It is not there, or its archive is damaged.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # which of them, the system decides
        archive = _archive(path)
        if archive is None:
            raise
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(_inside(path, archive))
    except KeyError:
        raise FileNotFoundError(errno.ENOENT, "No such file in the archive", str(path)) from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise OSError(errno.EIO, f"The archive is damaged: {error}", str(path)) from error


def is_file(path: Path) -> bool:
    """Tell whether there is such a file, be it inside a zip file."""
    if path.is_file():
        return True
    archive = _archive(path)
    if archive is None:
        return False
    try:
        with zipfile.ZipFile(archive) as opened:
            return _inside(path, archive) in opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _archive(path: Path) -> Path | None:
    """Find the file that stands where a folder should."""
    return next((each for each in path.parents if each.is_file()), None)


def _inside(path: Path, archive: Path) -> str:
    return PurePath(path).relative_to(archive).as_posix()
