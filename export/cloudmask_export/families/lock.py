"""Which bytes a published file must have: lock files.

A lock file is JSON, {"files": {NAME: {"sha256": ..., "size": ...}}}, besides which it may hold a
"comment". One is shipped; a user's own goes before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import ExportError
from cloudmask_export.families.weight_file import canonical_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    """The bytes that a file must have."""

    sha256: str
    """64 hexadecimal digits, in lower case."""
    size: int | None = None
    """Bytes; None if only the hash counts."""

    def __post_init__(self) -> None:
        """Refuse what no file can have."""
        if not _SHA256.fullmatch(str(self.sha256)):
            raise ExportError(
                f"sha256 {self.sha256!r}: must be 64 hexadecimal digits in lower case"
            )
        if self.size is not None and (type(self.size) is not int or self.size < 1):
            raise ExportError(f"size {self.size!r}: must be bytes, a whole number above 0")


@dataclass(frozen=True, slots=True)
class Lock:
    """Pins by published file name."""

    pins: Mapping[str, Pin] = field(default_factory=dict)

    def of(self, name: str) -> Pin | None:
        """Return the pin of a file; None if it has none."""
        return self.pins.get(canonical_name(name))

    def over(self, other: Lock) -> Lock:
        """Put this lock before another: where both pin a file, this one counts."""
        return Lock({**other.pins, **self.pins})


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        ExportError: It cannot be read or is no lock file.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"lock file {path}: cannot be read ({error})") from error
    return Lock(_pins(_parsed(text, str(path)), str(path)))


def shipped_lock() -> Lock:
    """Read the lock file that comes with this package."""
    text = (resources.files(__package__) / "weights.lock.json").read_text("utf-8")
    return Lock(_pins(_parsed(text, "weights.lock.json"), "weights.lock.json"))


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"lock file {source}: is no JSON ({error})") from error
    files = table.get("files") if isinstance(table, dict) else None
    if not isinstance(files, dict) or not set(table) <= {"comment", "files"}:
        raise ExportError(
            f'lock file {source}: must be {{"files": {{NAME: {{"sha256": ..., "size": ...}}}}}}, '
            'besides which there may be a "comment"'
        )
    return table


def _pins(table: dict[str, Any], source: str) -> dict[str, Pin]:
    pins = {}
    for name, facts in table["files"].items():
        if not isinstance(facts, dict) or not {"sha256"} <= set(facts) <= {"sha256", "size"}:
            raise ExportError(
                f"lock file {source}: {name}: must have a sha256, may have a size, and nothing "
                f"else; it is {facts!r}"
            )
        try:
            pins[name] = Pin(**facts)
        except ExportError as error:
            raise ExportError(f"lock file {source}: {name}: {error}") from error
    return pins


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pin(path: Path, lock_file: Path) -> Pin:
    """Write a file's sha256 and size into a lock file, which is made if it is not there.

    The lock file is written beside and renamed, so it is never half there.

    Args:
        path: A weight file; the " (1)" of a browser does not become part of its name.
        lock_file: Where the pin goes.

    Raises:
        ExportError: The lock file pins other bytes under that name, or one of the two files
            cannot be read or written.
    """
    name = canonical_name(path.name)
    table: dict[str, Any] = {"files": {}}
    if lock_file.exists():
        read_lock(lock_file)
        table = json.loads(lock_file.read_text("utf-8"))
    try:
        made = Pin(sha256_of(path), path.stat().st_size)
        _refuse_another(table["files"].get(name), made, f"lock file {lock_file}: {name}")
        table["files"] = dict(sorted({**table["files"], name: asdict(made)}.items()))
        _write(lock_file, json.dumps(table, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ExportError(f"cannot pin {path} in {lock_file}: {error}") from error
    return made


def _refuse_another(before: Mapping[str, Any] | None, now: Pin, where: str) -> None:
    if before is not None and before["sha256"] != now.sha256:
        raise ExportError(
            f"{where}: is pinned to sha256 {before['sha256']}, the file here has {now.sha256}; if "
            "the new one is right, take the old entry out of the lock file first"
        )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, suffix=".new", delete=False
    ) as file:
        beside = Path(file.name)
        file.write(text)
    try:
        # A temporary file is its owner's alone; a lock file is for everybody.
        beside.chmod(0o644)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
