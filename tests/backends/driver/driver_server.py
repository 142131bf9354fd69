"""`driver_server.py PORT`: an openEO back-end on 127.0.0.1, in the environment of openeo_driver.

Environment variables: STANDIN_COLLECTIONS (folder of netCDF files), STANDIN_RESULTS (folder for
files of batch jobs), STANDIN_WORKERS (UDF workers of each kind, 1).
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

# openeo_driver reads its configuration when it is imported.
os.environ["OPENEO_BACKEND_CONFIG"] = str(Path(__file__).parent / "standin" / "config.py")

from openeo_driver.views import build_app
from standin.backend import Backend, Folders


def main(port: int) -> None:
    """Serve until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    folders = Folders(
        collections=Path(os.environ["STANDIN_COLLECTIONS"]),
        results=Path(os.environ["STANDIN_RESULTS"]),
    )
    backend = Backend(folders, workers=int(os.environ.get("STANDIN_WORKERS", "1")))
    build_app(backend).run(host="127.0.0.1", port=port, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
