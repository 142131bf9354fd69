"""titiler-openeo as an operator starts it with the plugin: `titiler_server.py PORT`."""

from __future__ import annotations

import os
import sys

import uvicorn
from titiler.openeo.processes import PROCESS_SPECIFICATIONS, process_registry

from cloudmask_openeo.titiler import register

register(process_registry, PROCESS_SPECIFICATIONS, run_udf=os.environ.get("RUN_UDF") == "yes")

from titiler.openeo.main import app  # noqa: E402 - it reads the registry while being imported

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
