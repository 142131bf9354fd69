"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; renamed to `path` if all goes well.

    Whatever stood at `path` stays until then.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        Path(f"{partial}.aux.xml").unlink(missing_ok=True)


def _umask() -> int:
    """Read the process's file mode mask, which can only be read by setting it."""
    current = os.umask(0)
    os.umask(current)
    return current
