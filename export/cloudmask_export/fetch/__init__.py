"""Fetch published weight files: resumed, checked against a lock file, never half written."""

from __future__ import annotations

from cloudmask_export.families.lock import Lock, Pin, pin, read_lock, shipped_lock
from cloudmask_export.fetch.errors import FetchError
from cloudmask_export.fetch.files import fetch
from cloudmask_export.fetch.policy import Policy, Progress, Say

__all__ = [
    "FetchError",
    "Lock",
    "Pin",
    "Policy",
    "Progress",
    "Say",
    "fetch",
    "pin",
    "read_lock",
    "shipped_lock",
]
