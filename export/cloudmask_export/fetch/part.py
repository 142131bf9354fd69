"""A download on its way: `NAME.part`, which a later run can go on with.

What came so far stands behind a header of fixed length that says where it came from, in one file,
so that the two never contradict each other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER = 4096
"""Bytes before the content."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part came from."""

    url: str
    """The place's address, before redirects."""
    validator: str
    """Strong ETag, else date of last change; "" if the server names neither."""
    total: int | None
    """Bytes of the whole; None if the server does not say."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is not whole yet."""

    path: Path

    def source(self) -> Source | None:
        """Return where it came from; None if there is none or it is damaged."""
        try:
            with self.path.open("rb") as file:
                return Source(**json.loads(file.read(HEADER)))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def done(self) -> int:
        """Bytes of content that are here; below 0 if not even the header is whole."""
        return self.path.stat().st_size - HEADER if self.path.exists() else 0

    @property
    def resumable(self) -> bool:
        """Whether a later attempt can go on with it."""
        source = self.source()
        return source is not None and bool(source.validator) and self.done > 0

    def start(self, source: Source) -> IO[bytes]:
        """Begin anew; write the content into what is returned."""
        header = json.dumps(asdict(source)).encode().ljust(HEADER)
        assert len(header) == HEADER, "an address or validator too long for the header"
        file = self.path.open("wb")
        file.write(header)
        return file

    def more(self) -> IO[bytes]:
        """Go on behind what is here."""
        return self.path.open("ab")

    def copy_to(self, target: Path) -> None:
        """Write the content into a file."""
        with self.path.open("rb") as file, target.open("wb") as whole:
            file.seek(HEADER)
            shutil.copyfileobj(file, whole, 2**20)

    def sha256(self) -> str:
        """Hash the content."""
        with self.path.open("rb") as file:
            file.seek(HEADER)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)
