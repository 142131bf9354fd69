"""Scenes masked on a cluster."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")
rasterio = pytest.importorskip("rasterio")

from rasterio.transform import from_origin  # noqa: E402

from cloudmask import Options  # noqa: E402
from cloudmask.delivery import ClusterError  # noqa: E402
from cloudmask.errors import CubeError  # noqa: E402
from cloudmask.local.cluster import Order, connected, mask_on_cluster, stream  # noqa: E402
from cloudmask.local.grid import Regrid  # noqa: E402
from cloudmask.local.product import Wanted  # noqa: E402
from cloudmask.local.readers import find_scenes, gdal  # noqa: E402
from cloudmask.local.run import FileJob, mask_file  # noqa: E402
from cloudmask.local.work import SceneWork  # noqa: E402
from cloudmask.testing import FakeModel, fake_spec, of_tile_mean  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B03", "B04", "B08")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenes") / "scene.tif"
    values = np.random.default_rng(8).integers(500, 4000, (4, 150, 131)).astype("uint16")
    values[:, 90:, :40] = 0
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": 150, "width": 131, "count": 4, "dtype": "uint16",
        "crs": "EPSG:32633", "transform": from_origin(6e5, 5e6, 10, 10),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        dataset.descriptions = BANDS
    return path


def an_order(source: Path, factor: float = 1, **options: Any) -> Order:
    (scene,) = find_scenes(source)
    return Order(
        scene=scene,
        wanted=Wanted(bands=BANDS),
        regrid=Regrid((150, 131), factor),
        ensemble=Options().ensemble([options.pop("model", None) or of_tile_mean()]),
        options=Options(**{"chunk": 32, **options}),
        spread=True,
    )


def here(order: Order, source: Path) -> dict[str, NDArray[Any]]:
    """Mask on this machine."""
    job = FileJob(
        scene=source,
        output=source.with_name("mask.tif"),
        probabilities=source.with_name("probabilities.tif"),
        options=order.options,
    )
    with gdal(), order.scene.opened(order.wanted) as product:
        work = SceneWork(job, product, order.ensemble, order.regrid)
        return together(work.stream(product.raster, lambda _: None))


def together(rows: Any) -> dict[str, NDArray[Any]]:
    listed = list(rows)
    assert [each.y.start for each in listed[1:]] == [each.y.stop for each in listed[:-1]]
    return {
        "classes": np.concatenate([each.classes for each in listed]),
        "spread": np.concatenate([each.spread for each in listed], axis=1),
    }


@pytest.mark.parametrize("factor", [1, 2, 1.7, 0.5])
@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_a_scene_gives_the_rows_of_one_machine(
    active: Any, source: Path, factor: float, stitch: str
) -> None:
    order = an_order(source, factor, stitch=stitch)
    made, expected = together(stream(order, active)), here(order, source)
    np.testing.assert_array_equal(made["classes"], expected["classes"])
    np.testing.assert_array_equal(made["spread"], expected["spread"])
    assert len(order.bands()) > 2


def test_rows_tell_how_sure_the_networks_are(active: Any, source: Path) -> None:
    for rows in stream(an_order(source), active):
        assert rows.bins is not None
        assert rows.bins.shape == rows.classes.shape


def test_a_worker_killed_in_the_middle_of_a_scene_loses_nothing(active: Any, source: Path) -> None:
    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(0.02)
        return tiles.copy()

    order = an_order(source, model=FakeModel(answer, fake_spec()), chunk=12)
    rows = stream(order, active)
    first = next(rows)
    os.kill(next(iter(active.run(os.getpid).values())), signal.SIGKILL)
    made = together([first, *rows])
    np.testing.assert_array_equal(made["classes"], here(order, source)["classes"])


def test_a_scene_that_workers_do_not_see_is_named_with_the_reason(
    active: Any, source: Path
) -> None:
    scene: Any = an_order(source).scene
    order = replace(an_order(source), scene=replace(scene, place="/elsewhere/scene.tif"))
    with pytest.raises(
        CubeError, match=r"/elsewhere/scene.tif.*on a worker .* the same as here: a full"
    ):
        list(stream(order, active))


def test_what_is_not_wanted_any_more_is_not_computed(active: Any, source: Path) -> None:
    before = set(active.futures)
    rows: Any = stream(an_order(source, chunk=12), active)
    next(rows)
    rows.close()
    while any(active.processing().values()):
        time.sleep(0.05)
    assert set(active.futures) <= before


def test_the_file_is_that_of_one_machine(
    active: Any, source: Path, tiny_network: Path, tmp_path: Path
) -> None:
    outputs = tmp_path / "here.tif", tmp_path / "there.tif"
    options = Options(chunk=32)
    here, there = (
        FileJob(scene=source, output=path, models=(tiny_network,), options=options, quiet=True)
        for path in outputs
    )
    alone = mask_file(here)
    made = mask_on_cluster(there, active.scheduler.address)
    assert (made.shares, made.confidence) == (alone.shares, alone.confidence)
    assert outputs[1].read_bytes() == outputs[0].read_bytes()


# -- addresses ------------------------------------------------------------------------------


def test_an_address_where_no_scheduler_is_is_named_with_the_remedy() -> None:
    with (
        pytest.raises(ClusterError, match=r"tcp://127.0.0.1:1: no dask scheduler .*`dask sched"),
        connected("tcp://127.0.0.1:1", seconds=0.5),
    ):
        pass


@pytest.mark.parametrize("address", ["nowhere", "http://127.0.0.1:1", ""])
def test_what_is_no_address_is_named_with_the_remedy(address: str) -> None:
    with (
        pytest.raises(ClusterError, match=f"scheduler {address}: no dask scheduler answers"),
        connected(address, seconds=0.5),
    ):
        pass


def test_a_scheduler_without_workers_is_named_with_the_remedy() -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        with (
            pytest.raises(
                ClusterError, match=f"{address}: it has no worker.*`dask worker {address}`"
            ),
            connected(address, seconds=0.5),
        ):
            pass
