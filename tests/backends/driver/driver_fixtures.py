"""The stand-in for VITO's and CDSE's openEO back-end, running on 127.0.0.1."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from driver_client import Driver, QuietHandler, Site

HERE = Path(__file__).parent

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def driver(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """A back-end that lives as long as the test session."""
    root = tmp_path_factory.mktemp("driver")
    folders = {name: root / name for name in ("collections", "results", "tmp")}
    for folder in folders.values():
        folder.mkdir()
    env = {
        "STANDIN_COLLECTIONS": str(folders["collections"]),
        "STANDIN_RESULTS": str(folders["results"]),
        "TMPDIR": str(folders["tmp"]),
    }
    server = serve("driver", HERE / "driver_server.py", env, health="/openeo/1.2/health")
    return Driver(f"{server.url}/openeo/1.2", folders["collections"], server.log)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A web server on 127.0.0.1."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def pixels() -> xr.DataArray:
    """(t, bands, y, x) = (2, 3, 20, 28) uint16, every value another one, none is 0."""
    shape = (2, 3, 20, 28)
    dates = pd.to_datetime(["2024-06-01T10:20:31", "2024-06-04T10:20:29"])
    return xr.DataArray(
        np.arange(1, 1 + np.prod(shape), dtype=np.uint16).reshape(shape),
        dims=("t", "bands", "y", "x"),
        coords={"t": dates, "bands": ["B02", "B03", "B04"]},
    )
