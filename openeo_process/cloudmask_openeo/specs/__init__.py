"""Descriptions of the processes, as openEO back-ends publish them.

As in openeo-processes-dask and its siblings there is an attribute for each process id.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def _described(process_id: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(f"{process_id}.json").read_text("utf-8")
    description: dict[str, Any] = json.loads(text)
    return description


apply_neighborhood = _described("apply_neighborhood")
cloud_detection = _described("cloud_detection")
run_udf = _described("run_udf")

__all__ = ["apply_neighborhood", "cloud_detection", "run_udf"]
