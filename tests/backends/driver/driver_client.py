"""The user's side of the stand-in: a connection, collections, jobs and their files."""

from __future__ import annotations

import http.server
import itertools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openeo
import xarray as xr

if TYPE_CHECKING:
    from pathlib import Path

    from openeo.rest.datacube import DataCube
    from openeo.rest.job import BatchJob

EPSG, WEST, NORTH, STEP = 32633, 500_000.0, 5_400_000.0, 10.0
_unique = itertools.count()


@dataclass(frozen=True)
class Driver:
    """A running back-end."""

    url: str
    """Of its API 1.2."""
    collections: Path
    """Folder of its collections."""
    log: Path
    """What the server and its UDF workers write."""

    def connect(self) -> openeo.Connection:
        """Connect as a user."""
        return openeo.connect(self.url).authenticate_basic("tester", "tester123")

    def add_collection(
        self, array: xr.DataArray, name: str | None = None, nodata: float | None = 0
    ) -> str:
        """Add a collection of 10 m pixels in UTM 33N.

        Args:
            array: (t, bands, y, x) or (bands, y, x), uint16 or float32, with labels of bands and
                dates. x and y get coordinates if they have none.
            name: its id; None makes one up.
            nodata: the number that the back-end turns into NaN; None keeps all numbers.

        Returns:
            The id.
        """
        name = name or f"PIXELS_{next(_unique)}"
        if "x" not in array.coords:
            array = located(array)
        attrs = {"epsg": EPSG} | ({} if nodata is None else {"nodata": nodata})
        data = array.drop_attrs().assign_attrs(attrs).to_dataset(name="pixels")
        part = self.collections / f"{name}.part"
        data.to_netcdf(part, engine="netcdf4")
        part.replace(part.with_suffix(".nc"))
        return name

    def load(self, array: xr.DataArray, **extent: Any) -> DataCube:
        """Add a collection and load it, all or an extent of it, on a new connection."""
        return self.connect().load_collection(self.add_collection(array), **extent)

    def run(self, cube: DataCube, folder: Path, options: dict[str, Any] | None = None) -> BatchJob:
        """Run a batch job to its end; its files, if it has any, come into `folder`."""
        job = cube.create_job(out_format="netCDF", job_options=options or {})
        finish(job)
        if job.status() == "finished":
            job.get_results().download_files(folder, include_stac_metadata=False)
        return job

    def batch(
        self, cube: DataCube, folder: Path, options: dict[str, Any] | None = None
    ) -> xr.DataArray:
        """Run a batch job and read its netCDF: ((t,) bands, y, x)."""
        job = self.run(cube, folder, options)
        assert job.status() == "finished", messages(job)
        return read(folder / "openEO.nc")

    def sync(
        self, cube: DataCube, folder: Path, options: dict[str, Any] | None = None
    ) -> xr.DataArray:
        """Run a synchronous request and read its netCDF: ((t,) bands, y, x)."""
        path = folder / f"result{next(_unique)}.nc"
        cube.download(path, format="netCDF", job_options=options)
        return read(path)

    def inspected(
        self, cube: DataCube, folder: Path, options: dict[str, Any] | None = None
    ) -> list[Any]:
        """Run a batch job and return the data that its UDF gave to `inspect`, chunk by chunk."""
        job = self.run(cube, folder, options)
        assert job.status() == "finished", messages(job)
        return [entry["data"] for entry in job.logs(level="info") if "data" in entry]

    def failure(self, cube: DataCube, folder: Path, options: dict[str, Any] | None = None) -> str:
        """Run a batch job that has to fail, and return the error in its log."""
        job = self.run(cube, folder, options)
        assert job.status() == "error"
        (message,) = messages(job, level="error")
        return message


def finish(job: BatchJob) -> None:
    """Start a job and wait for its end."""
    job.start()
    while job.status() not in {"finished", "error"}:
        time.sleep(0.1)


def messages(job: BatchJob, level: str = "debug") -> list[str]:
    """Return what the log of a job says."""
    return [entry.message for entry in job.logs(level=level)]


def neighborhood(
    cube: DataCube,
    code: str,
    size: int | tuple[int, int],
    overlap: int | tuple[int, int] = 0,
    *,
    t: str | None = None,
    context: Any = None,
) -> DataCube:
    """Run a UDF on overlapping chunks.

    Args:
        cube: a cube of the back-end.
        code: text of the UDF.
        size: pixels of a chunk, (y, x) or both.
        overlap: pixels on each side, (y, x) or both.
        t: "P1D" for chunks of one date.
        context: what the UDF gets.
    """
    return cube.apply_neighborhood(
        process=openeo.UDF(code, runtime="Python", context=context),
        size=[*_pixels(size), {"dimension": "t", "value": t}] if t else _pixels(size),
        overlap=_pixels(overlap),
    )


def _pixels(length: int | tuple[int, int]) -> list[dict[str, Any]]:
    y, x = (length, length) if isinstance(length, int) else length
    return [
        {"dimension": "x", "value": x, "unit": "px"},
        {"dimension": "y", "value": y, "unit": "px"},
    ]


def located(array: xr.DataArray) -> xr.DataArray:
    """Give pixels their centres in UTM 33N."""
    x = WEST + STEP * (np.arange(array.sizes["x"]) + 0.5)
    y = NORTH - STEP * (np.arange(array.sizes["y"]) + 0.5)
    return array.assign_coords(x=x, y=y)


def extent(rows: slice, columns: slice) -> dict[str, Any]:
    """Return the spatial extent of some pixels of a collection."""
    return {
        "west": WEST + STEP * (columns.start or 0),
        "east": WEST + STEP * columns.stop,
        "north": NORTH - STEP * (rows.start or 0),
        "south": NORTH - STEP * rows.stop,
        "crs": f"EPSG:{EPSG}",
    }


def read(path: Path) -> xr.DataArray:
    """Read a result of the back-end: float32 (t, bands, y, x) or (bands, y, x), NaN = no data."""
    with xr.open_dataset(path, engine="netcdf4") as file:
        data = file.drop_vars("crs").load()
    array = data.to_dataarray("bands")
    return array.transpose(*(d for d in ("t", "bands", "y", "x") if d in array.dims))


@dataclass(frozen=True)
class Site:
    """A folder that answers over HTTP."""

    folder: Path
    url: str

    def publish(self, process: dict[str, Any]) -> str:
        """Publish the definition of a process, and return its address."""
        name = f"{process['id']}.json"
        (self.folder / name).write_text(json.dumps(process))
        return f"{self.url}/{name}"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files and say nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
