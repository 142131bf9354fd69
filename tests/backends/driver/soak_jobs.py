"""Batch jobs of many kinds: alone, and several at once for as long as is wanted."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
import xarray as xr
from driver_client import extent, messages, neighborhood, read

from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.spec import ModelSpec
from cloudmask_export.item import item
from cloudmask_openeo import udf_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from driver_client import Driver
    from openeo.rest.datacube import DataCube

SHAPE = (300, 420)
"""Pixels of the scene: chunks end beyond both borders."""
PART = (slice(40, 240), slice(100, 330))
CORNER = (slice(0, 97), slice(323, 420))
FOUR = ("B02", "B03", "B04", "B08")
PATIENCE = 300.0
"""Seconds after which a job that has not ended is lost."""
_netcdf = threading.Lock()
"""The library beneath netCDF4 has no locks of its own."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a job is asked to do."""

    name: str
    context: Mapping[str, Any]
    size: tuple[int, int] = (192, 192)
    """Pixels of a chunk (y, x), without what it carries of its neighbours."""
    overlap: int = 32
    part: tuple[slice, slice] | None = None
    """Rows and columns that are loaded; None for all."""
    bands: tuple[str, ...] | None = None
    """None for all thirteen."""
    dates: str | None = None
    """"P1D" for date by date."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the job; each other memory and thread number has workers of its own."""

    @property
    def light(self) -> bool:
        """Whether it takes little time."""
        return "tiny" in self.name or self.part == CORNER


def kinds(tiny: Path) -> tuple[Kind, ...]:
    """List the kinds: networks, layouts, stitching, turned tiles, extents, chunks, workers.

    Args:
        tiny: A network as `write_tiny` makes it.
    """
    small, large = "cloudmask-s2-small-4b", "cloudmask-s2-small"
    pair = ["ukis-4b-l1c", "ukis-4b-l2a"]
    all_turned = {"model": str(tiny), "tta": 7, "adaptive": False}
    blend = {"stitch": "blend", "model": str(tiny), "layout": "probabilities"}
    return (
        Kind("4 bands", {"model": small}, bands=FOUR),
        Kind("13 bands, probabilities", {"model": large, "layout": "probabilities"}, part=PART),
        Kind("ukis, date by date", {"model": pair[0]}, bands=FOUR, dates="P1D"),
        Kind("tiny, all turned", all_turned, (48, 72), 4, PART, FOUR),
        Kind("tiny, blended", blend, (64, 64), 32, None, FOUR),
        Kind("two networks", {"model": pair}, part=PART, bands=FOUR),
        Kind("grown by 40 m", {"dilate": 40, "pixel_size": 10}, overlap=40, part=PART),
        Kind("a corner", {"layout": "cloud_detection"}, (384, 384), part=CORNER),
        Kind("a cap of memory", {"model": small, "memory_mb": 1500}, part=PART, bands=FOUR),
        Kind("adaptive", {"model": small, "tta": 3}, (384, 384), part=PART, bands=FOUR),
        Kind("3 GiB", {"model": small}, part=CORNER, options={"python-memory": "3g"}),
        Kind("two threads", {"model": small}, part=CORNER, options={"task-cpus": 2}),
    )


@dataclass(frozen=True, slots=True)
class Yard:
    """A back-end with a scene in it, where jobs are run."""

    driver: Driver
    collection: str
    folder: Path
    """For results."""

    def run(self, kind: Kind) -> xr.DataArray:
        """Run a job to its end, read what it made, and delete it.

        Returns:
            float32, (t, bands, y, x).

        Raises:
            RuntimeError: It failed.
            TimeoutError: It does not end.
        """
        job = self._graph(kind).create_job(out_format="netCDF", job_options=dict(kind.options))
        job.start()
        end = time.monotonic() + PATIENCE
        while (status := job.status()) not in {"finished", "error"}:
            if time.monotonic() > end:
                raise TimeoutError(f"{kind.name}: still {status} after {PATIENCE:.0f} s")
            time.sleep(0.1)
        if status == "error":
            raise RuntimeError(f"{kind.name}: {' / '.join(messages(job, level='error'))}")
        results = self.folder / job.job_id
        try:
            job.get_results().download_files(results, include_stac_metadata=False)
            with _netcdf:
                return read(results / "openEO.nc")
        finally:
            shutil.rmtree(results, ignore_errors=True)
            job.delete()

    def _graph(self, kind: Kind) -> DataCube:
        where = None if kind.part is None else extent(*kind.part)
        bands = None if kind.bands is None else list(kind.bands)
        connection = self.driver.connect()
        cube = connection.load_collection(self.collection, spatial_extent=where, bands=bands)
        context = {"preset": "dn", "chunk_overlap": kind.overlap, **kind.context}
        return neighborhood(
            cube, udf_code("archive"), kind.size, kind.overlap, t=kind.dates, context=context
        )


def scene() -> xr.DataArray:
    """Simulate two dates (t, bands, y, x), uint16, 0 = no data along an edge and in a hole."""
    made = simulate(SceneSettings(shape=SHAPE))
    numbers = np.stack([made.reflectance_dn, made.reflectance_dn[:, ::-1, ::-1]])
    numbers[1, :, 120:160, 150:230] = 0
    dates = pd.to_datetime(["2024-06-01", "2024-06-04"])
    coords = {"t": dates, "bands": list(made.bands)}
    return xr.DataArray(numbers, dims=("t", "bands", "y", "x"), coords=coords)


def write_tiny(folder: Path) -> Path:
    """Write a network of one convolution: tiles of 32 px, classes by the contrast to the tile."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    mix = np.random.default_rng(5).normal(0, 3, (4, 4, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
            helper.make_node("Sub", ["input", "mean"], ["contrast"]),
            helper.make_node("Conv", ["contrast", "mix"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["output"], axis=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", kind, ["n", 4, "y", "x"])],
        [helper.make_tensor_value_info("output", kind, ["n", 4, "y", "x"])],
        [onnx.numpy_helper.from_array(mix, "mix")],
    )
    path = folder / "tiny.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    spec = ModelSpec(
        name="tiny", bands=FOUR, classes=(0, 1, 2, 3), tile=32, overlap=8, file=path.name
    )
    made = item(spec, architecture="contrast", source="https://example.org", size=1)
    path.with_suffix(".json").write_text(json.dumps(made), "utf-8")
    return path


@dataclass(slots=True)
class Tally:
    """What became of jobs that ran at once, by kind."""

    done: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    """Masks that are not those of the job run alone."""
    failed: list[str] = field(default_factory=list)
    """Jobs that ended in an error, or never: one line each."""

    @property
    def total(self) -> int:
        """Jobs that were started."""
        return self.done.total() + self.other.total() + len(self.failed)

    def and_(self, more: Tally) -> Tally:
        """Add up."""
        return Tally(
            self.done + more.done,
            self.seconds + more.seconds,
            self.other + more.other,
            self.failed + more.failed,
        )

    @property
    def right(self) -> bool:
        """Whether every job gave the mask that it gives alone."""
        return not self.other and not self.failed and self.total > 0


def together(
    work: Iterator[Kind],
    run: Callable[[Kind], xr.DataArray],
    alone: Mapping[str, xr.DataArray],
    *,
    jobs: int,
) -> Tally:
    """Keep several jobs running until there is no more work, and compare what they give.

    Args:
        work: Kinds, one after the other.
        run: Runs one.
        alone: What each kind gives alone, by name.
        jobs: How many run at once.
    """
    tally, lock = Tally(), threading.Lock()

    def worker() -> None:
        while True:
            with lock:
                kind = next(work, None)
            if kind is None:
                return
            start = time.monotonic()
            found = _outcome(run, kind)
            with lock:
                _count(tally, kind.name, found, alone[kind.name])
                tally.seconds[kind.name] += time.monotonic() - start  # type: ignore[assignment]

    threads = [threading.Thread(target=worker) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def _outcome(run: Callable[[Kind], xr.DataArray], kind: Kind) -> xr.DataArray | str:
    try:
        return run(kind)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job is lost, and is counted
        return f"{kind.name}: {type(error).__name__}: {error}"


def _count(tally: Tally, name: str, found: xr.DataArray | str, alone: xr.DataArray) -> None:
    if isinstance(found, str):
        tally.failed.append(found)
    elif found.identical(alone):
        tally.done[name] += 1
    else:
        tally.other[name] += 1


def until(end: float, some: tuple[Kind, ...]) -> Iterator[Kind]:
    """Give kinds in turn until a time of `time.monotonic`, in another order each round."""
    for turn in itertools.count():
        order = np.random.default_rng(turn).permutation(len(some))
        for number in order:
            if time.monotonic() >= end:
                return
            yield some[number]
