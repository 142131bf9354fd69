"""What is promised when parts of a back-end end in mid job, or eight jobs come at once.

The UDF's text does the harm itself, at a place that is the same each time.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from driver_client import messages, neighborhood
from openeo.rest import OpenEoApiError, OpenEoRestError
from served import Place
from soak_jobs import CORNER, Yard, kinds, scene, together, write_tiny

import cloudmask
from cloudmask_openeo import udf_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from driver_client import Driver
    from openeo.rest.datacube import DataCube

OWN, MARGIN = 48, 4
"""Pixels of a chunk and of what it carries: strides of the tiny network, half its overlap."""
BANDS = ["B02", "B03", "B04", "B08"]
HARM = '''

_whole, _chunks = apply_datacube, {}


def apply_datacube(cube: xarray.DataArray, context: dict) -> xarray.DataArray:
    """Mask a chunk; with the second one of a worker, once a job, comes the harm."""
    import os, shutil, signal, time
    from cloudmask.model import OnnxModel
    harm = context["harm"]
    marker, parent = harm["marker"], os.getppid()
    _chunks[marker] = _chunks.get(marker, 0) + 1
    if _chunks[marker] == 2 and not os.path.exists(marker):
        open(marker, "w").close()
        if harm.get("remove"):
            os.remove(harm["remove"])
        if harm.get("replace"):
            shutil.copyfile(harm["by"], harm["replace"])
        while harm.get("wait") and os.getppid() == parent:
            time.sleep(0.05)
        if harm.get("kill"):
            run, calls = OnnxModel.__call__, []
            def dying(self, tiles):
                calls.append(1)
                if len(calls) == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                return run(self, tiles)
            OnnxModel.__call__ = dying
    return _whole(cube, {key: value for key, value in context.items() if key != "harm"})
'''


@pytest.fixture(scope="module")
def stubborn(driver_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A back-end that gives a chunk to another worker when the first one ends, once."""
    with Place(tmp_path_factory.mktemp("stubborn"), driver_python, tries=2).open() as (driver, _):
        yield driver


@dataclass(frozen=True)
class Work:
    """A job that meets some harm, and what it has to give all the same."""

    array: xr.DataArray
    model: Path
    """Its own copy of a network, with the hash in its manifest."""
    marker: Path
    """There once the harm is done."""

    def graph(self, cube: DataCube, **harm: Any) -> DataCube:
        """Mask a cube chunk by chunk."""
        context = {
            "model": str(self.model),
            "preset": "dn",
            "chunk_overlap": MARGIN,
            "harm": {"marker": str(self.marker), **harm},
        }
        return neighborhood(cube, udf_code("archive") + HARM, OWN, MARGIN, context=context)

    def whole(self) -> xr.DataArray:
        """Mask the whole cube here, at once."""
        mask = cloudmask.mask_clouds(self.array, self.model, preset="dn")
        return mask.transpose("bands", "y", "x")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    numbers = np.random.default_rng(8).integers(300, 6000, (4, 2 * OWN, 3 * OWN), np.uint16)
    array = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": BANDS})
    model = write_tiny(tmp_path)
    manifest = model.with_suffix(".json")
    content = json.loads(manifest.read_text("utf-8"))
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    for asset in content["assets"].values():
        asset["file:checksum"] = f"1220{sha256}"
    manifest.write_text(json.dumps(content), "utf-8")
    return Work(array, model, tmp_path / "marker")


# -- a worker -------------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle_of_a_chunk_changes_no_mask(
    stubborn: Driver, work: Work, tmp_path: Path
) -> None:
    found = stubborn.batch(work.graph(stubborn.load(work.array), kill=True), tmp_path)
    assert work.marker.exists()
    np.testing.assert_array_equal(found.values, work.whole().values)


def test_a_network_removed_between_chunks_stays_with_the_worker_that_has_opened_it(
    stubborn: Driver, work: Work, tmp_path: Path
) -> None:
    expected = work.whole()
    graph = work.graph(stubborn.load(work.array), remove=str(work.model))
    found = stubborn.batch(graph, tmp_path)
    assert not work.model.exists()
    np.testing.assert_array_equal(found.values, expected.values)


def test_a_network_removed_before_a_worker_starts_anew_is_an_error_that_names_the_file(
    stubborn: Driver, work: Work, tmp_path: Path
) -> None:
    graph = work.graph(stubborn.load(work.array), remove=str(work.model), kill=True)
    line = stubborn.failure(graph, tmp_path)
    assert f"model file {work.model}: there is no such file" in line
    assert "\n" not in line


def test_a_network_replaced_before_a_worker_starts_anew_is_refused_by_its_hash(
    stubborn: Driver, work: Work, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(work.model.read_bytes().replace(b"contrast", b"tsartnoc"))
    graph = work.graph(
        stubborn.load(work.array), replace=str(work.model), by=str(other), kill=True
    )
    assert "the manifest says" in stubborn.failure(graph, tmp_path)


# -- the server -----------------------------------------------------------------------------


def test_a_server_that_ends_in_mid_job_leaves_an_error_and_the_job_can_be_run_again(
    driver_python: Path, work: Work, tmp_path: Path
) -> None:
    place = Place(tmp_path, driver_python)
    with place.open() as (driver, server):
        graph = work.graph(driver.load(work.array), wait=True)
        job = graph.create_job(out_format="netCDF")
        job.start()
        while not work.marker.exists():
            time.sleep(0.05)
        assert job.status() == "running"
        server.kill()
        server.wait()
    with place.open() as (driver, _):
        after = driver.connect().job(job.job_id)
        assert after.status() == "error"
        assert messages(after, "error") == [
            "the back-end was started anew while the job ran; run it again"
        ]
        with pytest.raises((OpenEoApiError, OpenEoRestError), match="not finished"):
            after.get_results().download_files(tmp_path / "results of it")
        (collection,) = place.collections()
        again = work.graph(driver.connect().load_collection(collection))
        found = driver.batch(again, tmp_path)
    np.testing.assert_array_equal(found.values, work.whole().values)


# -- eight jobs -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yard(stubborn: Driver, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    collection = stubborn.add_collection(scene())
    return Yard(stubborn, collection, tmp_path_factory.mktemp("downloads"))


def test_eight_jobs_at_once_give_the_masks_that_each_gives_alone(
    yard: Yard, tmp_path: Path
) -> None:
    light = [kind for kind in kinds(write_tiny(tmp_path)) if kind.light]
    alone = {kind.name: yard.run(kind) for kind in light}
    expected = cloudmask.mask_clouds(
        scene()[..., CORNER[0], CORNER[1]],
        preset="dn",
        options=cloudmask.Options(output=cloudmask.Output(layout="cloud_detection")),
    ).transpose("t", "bands", "y", "x")
    np.testing.assert_allclose(alone["a corner"].values, expected.values, atol=1e-5)
    tally = together(itertools.islice(itertools.cycle(light), 8), yard.run, alone, jobs=8)
    assert tally.failed == []
    assert tally.done.total() == 8


def test_a_job_that_gives_another_mask_is_counted_as_such(yard: Yard, tmp_path: Path) -> None:
    kind = next(kind for kind in kinds(write_tiny(tmp_path)) if kind.light)
    wrong = yard.run(kind)
    wrong.values.flat[7] += 1
    tally = together(iter([kind]), yard.run, {kind.name: wrong}, jobs=8)
    assert tally.other.total() == 1
    assert not tally.right
