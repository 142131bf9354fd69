"""Addresses: which may be asked, and how they are shown without what they keep secret."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from cloudmask.errors import CubeError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_USER = re.compile(r"(?<=://)[^/\s?#]*@")
_SECRETS = re.compile(
    r"(?<=[?&])([^=&#\s]*(?:sig|token|key|secret|passw|credential|auth|x-amz|x-goog)[^=&#\s]*)="
    r"[^&#\s'\")]*",
    re.IGNORECASE,
)


def check_encrypted(address: str) -> None:
    """Refuse plain http, on which anybody on the way can change what is read.

    Args:
        address: Any address or path; of this machine itself plain http is read.

    Raises:
        CubeError: It is plain http.
    """
    parts = urlsplit(address)
    if parts.scheme.lower() == "http" and parts.hostname not in LOOPBACK:
        raise CubeError(
            f"{address}: is plain http, on which others can change what is read; give its https "
            "address, or download it first"
        )


def without_secrets(text: str) -> str:
    """Take passwords, tokens and signatures out of the addresses in a text."""
    return _SECRETS.sub(r"\1=...", _USER.sub("", text))


def file_name(place: str) -> str:
    """Give the last part of a path or address, without what follows a `?` in an address."""
    path = urlsplit(place).path if "://" in place else place
    return PurePosixPath(path).name
