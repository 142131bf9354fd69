"""Job options for VITO's back-ends (Copernicus Data Space, Terrascope), tuned for masking."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from cloudmask.context import DEFAULT_FOLDER
from cloudmask.errors import OptionError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Where programs may be fetched by plain http."""

MEMORY = "3g"
"""Address space of a worker's Python, enough for two networks and chunks of 1024 pixels."""


def job_options(
    archive: str | None = None,
    *,
    memory: str = MEMORY,
    max_executors: int = 20,
    **others: Any,
) -> dict[str, Any]:
    """Give options for `create_job(job_options=...)`.

    Args:
        archive: Address of the archive that `cloudmask bundle` made, where the back-end can
            fetch it; with it use `mask_clouds(..., chunks=Chunks(delivery="archive"))`.
        memory: Limit of a worker's address space. Spark divides it by the cores of an executor,
            so there is one core.
        max_executors: Workers at the same time; the job is done sooner and costs the same.
        others: Added as they are; underscores are written as hyphens.

    Raises:
        OptionError: The address is none that a back-end can fetch, or the memory no amount.
    """
    if not re.fullmatch(r"[1-9]\d*[mg]", memory):
        raise OptionError(f"memory={memory!r}: write a number and m or g, such as 3g")
    options: dict[str, Any] = {
        "executor-memory": "2g",
        "executor-cores": 1,
        "task-cpus": 1,
        "python-memory": memory,
        "max-executors": max_executors,
    }
    if archive is not None:
        options["udf-dependency-archives"] = [f"{_address(archive)}#{DEFAULT_FOLDER}"]
    return {**options, **{name.replace("_", "-"): value for name, value in others.items()}}


def _address(archive: str) -> str:
    parts = urlsplit(archive)
    if "@" in parts.netloc:
        raise OptionError(
            "archive: its address has a user's name or password in it, and job options are shown "
            "to whoever may see the job; give a signed address that expires, or a public one"
        )
    here = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (parts.scheme in ("https", "s3") or here) or not parts.netloc or parts.fragment:
        raise OptionError(
            f"archive={archive!r}: give the address from which the back-end can fetch it, such "
            f"as https://example.org/deps.zip; the folder {DEFAULT_FOLDER} is added to it"
        )
    return archive
