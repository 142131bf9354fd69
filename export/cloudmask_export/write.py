"""Several files that are there all or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse to replace files unless that is wanted.

    Raises:
        ExportError: One of them exists.
    """
    found = [path for path in paths if path.exists()]
    if found and not force:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise ExportError(
            f"{found[0]}{more}: exists already; say --force to replace it, or choose another "
            "folder"
        )


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a place to write each file to; all are renamed in turn if all goes well.

    Args:
        paths: Where the files shall be, in one folder, which is made if absent. What makes the
            others known, such as a manifest, stands last.

    Yields:
        As many paths, in a hidden folder beside them.
    """
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{paths[0].stem}.", dir=folder) as name:
        partial = [Path(name, path.name) for path in paths]
        yield partial
        for source, target in zip(partial, paths, strict=True):
            os.replace(source, target)  # noqa: PTH105 - says what it does to an existing file
