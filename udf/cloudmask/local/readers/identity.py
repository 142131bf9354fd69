"""What tells an input from any other, in messages and after it was changed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudmask.errors import BandError, CubeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Put the scene's place before what is said of its bands and numbers."""
    try:
        yield
    except (BandError, CubeError) as error:
        if str(error).startswith(place):
            raise
        raise type(error)(f"{place}: {error}") from error


def stamped(files: Iterable[Path | str]) -> str:
    """Give names, sizes and times of files, a line each; of no pixel.

    A file that is not there, or is an address, is told by its name alone.
    """
    return "\n".join(sorted(_stamp(Path(file)) for file in files))


def _stamp(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return str(file)
    return f"{file.name} {found.st_size} {found.st_mtime_ns}"
