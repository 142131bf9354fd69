"""The log of a job."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("debug", "info", "warning", "error")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class JobLog:
    """What a user may read about a job."""

    level: str = "info"
    """What is less severe is dropped, unless a UDF said it by `inspect`."""
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, level: str, message: str, data: Any = None, code: str | None = None) -> None:
        """Add an entry if the job asked for its level."""
        if LEVELS.index(level) >= LEVELS.index(self.level):
            self.inspected({"level": level, "message": message, "data": data, "code": code})

    def inspected(self, entry: dict[str, Any]) -> None:
        """Add an entry whatever its level."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _log.info("job log: %s", entry)
        given = {key: value for key, value in entry.items() if value is not None}
        self.entries.append({"id": str(len(self.entries)), "time": now} | given)

    def least(self, level: str) -> list[dict[str, Any]]:
        """Return the entries that are at least this severe."""
        floor = LEVELS.index(level)
        return [entry for entry in self.entries if LEVELS.index(entry["level"]) >= floor]
