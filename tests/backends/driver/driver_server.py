"""`driver_server.py PORT`: an openEO back-end on 127.0.0.1, in the environment of openeo_driver.

Environment variables: STANDIN_COLLECTIONS (folder of netCDF files), STANDIN_RESULTS (folder for
files of batch jobs), STANDIN_WORKERS (UDF workers of each kind, 1), STANDIN_TRIES (how often a
chunk is tried whose worker ends, 1).
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from pathlib import Path

# openeo_driver reads its configuration when it is imported.
os.environ["OPENEO_BACKEND_CONFIG"] = str(Path(__file__).parent / "standin" / "config.py")

from openeo_driver.views import build_app
from standin.backend import Backend, Folders

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
"""Of glibc's <malloc.h>."""


def main(port: int) -> None:
    """Serve until the process is ended."""
    # Jobs are threads. glibc would give each a heap of its own, and keep there what arrays once
    # took: tens of MiB a minute that are no leak, and that hide one.
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**18)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    folders = Folders(
        collections=Path(os.environ["STANDIN_COLLECTIONS"]),
        results=Path(os.environ["STANDIN_RESULTS"]),
    )
    workers, tries = (int(os.environ.get(f"STANDIN_{name}", "1")) for name in ("WORKERS", "TRIES"))
    backend = Backend(folders, workers, tries)
    build_app(backend).run(host="127.0.0.1", port=port, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
