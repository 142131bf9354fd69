"""Cubes masked on a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("distributed", reason="the extra dask is not installed")

from cloudmask import Options, Output, Runtime, find_model, mask_clouds
from cloudmask.delivery import ClusterError, bring
from cloudmask.errors import ModelError
from cloudmask.testing import FakeModel, fake_spec, of_tile_mean

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BANDS = ["B02", "B03", "B04", "B08"]
FULL = Output(layout="probabilities")


def make_cube(shape: tuple[int, int] = (100, 130), times: int = 2) -> xr.DataArray:
    """Make reflectance with an empty corner."""
    values = np.random.default_rng(2).uniform(0.05, 0.6, (times, 4, *shape)).astype(np.float32)
    values[:, :, :20, :30] = np.nan
    return xr.DataArray(values, {"bands": BANDS}, ("t", "bands", "y", "x"))


def masked(cube: xr.DataArray, model: Any, **options: Any) -> xr.DataArray:
    how = Options(**{"output": FULL, "chunk": 48, **options})
    return mask_clouds(cube, model, preset="reflectance", options=how)


def opened() -> int:
    """Count, on a worker, the networks that were opened there."""
    from cloudmask import claims

    return claims._open.cache_info().misses


def hide(path: Path) -> None:
    """Make a worker one that does not share the disk: it does not see a file."""
    from cloudmask import claims

    sees = claims._is

    def sees_others(place: Path, sha256: str) -> bool:
        return place != path and sees(place, sha256)

    claims._is = sees_others  # type: ignore[assignment]


def slow_model() -> FakeModel:
    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(0.02)
        return tiles.copy()

    return FakeModel(answer, fake_spec(tile=32, overlap=8))


# -- the same mask --------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_a_cluster_gives_the_mask_of_one_machine(
    active: Any, tiny_network: Path, stitch: str
) -> None:
    cube = make_cube()
    lazy = masked(cube.chunk(t=1, y=60), tiny_network, stitch=stitch)
    there = lazy.compute()
    one_by_one = lazy.compute(scheduler="sync")
    threads = lazy.compute(scheduler="threads")
    whole = masked(cube, tiny_network, stitch=stitch)
    for each in (there, one_by_one, threads):
        np.testing.assert_array_equal(each, whole)


def test_the_answer_is_lazy_until_the_cluster_is_asked(active: Any) -> None:
    lazy = masked(make_cube().chunk(t=1), of_tile_mean())
    assert lazy.chunks is not None
    assert active.processing() == dict.fromkeys(active.processing(), ())


# -- how networks travel --------------------------------------------------------------------


def test_each_worker_opens_one_session_whatever_the_number_of_chunks(
    active: Any, tiny_network: Path
) -> None:
    lazy = masked(make_cube(times=4).chunk(t=1), tiny_network, runtime=Runtime(threads=1))
    before = active.run(opened)
    lazy.persist().compute()
    lazy.compute()
    assert lazy.data.npartitions >= 24
    assert {after - before[worker] for worker, after in active.run(opened).items()} == {1}


def test_a_task_carries_no_weights(active: Any, tiny_network: Path) -> None:
    import cloudpickle

    lazy = masked(make_cube().chunk(t=1), tiny_network)
    content = tiny_network.read_bytes()
    task = next(task for key, task in lazy.__dask_graph__().items() if "_packed" in str(key[0]))
    assert content[-64:] not in cloudpickle.dumps(task)
    assert len(cloudpickle.dumps(task)) < 6000


def test_a_file_that_only_the_client_has_is_brought_to_the_workers(
    active: Any, tiny_network: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.onnx"
    shutil.copy(tiny_network, own)
    manifest = tiny_network.with_suffix(".json")
    shutil.copy(manifest, own.with_suffix(".json"))
    active.run(hide, own)
    cube = make_cube()
    lazy = masked(cube.chunk(t=1), own, runtime=Runtime(threads=2))
    own.unlink()
    np.testing.assert_array_equal(lazy.compute(), masked(cube, tiny_network))


def test_an_opened_network_is_brought_to_the_workers(active: Any, tiny_network: Path) -> None:
    model, cube = find_model(tiny_network).load(), make_cube()
    np.testing.assert_array_equal(masked(cube.chunk(t=1), model), masked(cube, model))


def test_any_object_that_is_a_network_is_brought_once(active: Any) -> None:
    weights = np.random.default_rng(0).normal(size=2**16)

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return (tiles + np.float32(weights[0])).astype(np.float32)

    model, cube = FakeModel(answer, fake_spec()), make_cube()
    lazy = masked(cube.chunk(t=1), model)
    task = next(iter(dict(lazy.__dask_graph__()).values()))
    import cloudpickle

    assert len(cloudpickle.dumps(task)) < weights.nbytes
    np.testing.assert_array_equal(lazy.compute(), masked(cube, model))


def test_an_object_that_cannot_be_pickled_is_refused_with_its_name(active: Any) -> None:
    import threading

    lock = threading.Lock()

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        with lock:
            return tiles.copy()

    model = FakeModel(answer, fake_spec())
    with pytest.raises(ModelError, match="cannot be sent to dask's work"):
        masked(make_cube().chunk(), model)


def test_a_network_by_name_needs_nothing_but_the_package(active: Any, ukis_4b: Any) -> None:
    sent: list[Any] = []
    plain = active.register_plugin

    def register(*args: Any) -> Any:
        sent.append(args)
        return plain(*args)

    active.register_plugin = register
    try:
        cube = make_cube((150, 180), 1)
        lazy = mask_clouds(cube.chunk(), ukis_4b.spec.name, preset="reflectance")
        whole = mask_clouds(cube, ukis_4b.spec.name, preset="reflectance")
        np.testing.assert_array_equal(lazy.compute(), whole)
    finally:
        del active.register_plugin
    assert sent == []


# -- workers --------------------------------------------------------------------------------


def test_a_task_takes_one_core_unless_someone_says_otherwise(active: Any) -> None:
    def threads(said: int | None, environment: str) -> int:
        from cloudmask.claims import _share

        before = os.environ.pop("OMP_NUM_THREADS", None)
        if environment:
            os.environ["OMP_NUM_THREADS"] = environment
        try:
            return _share(Runtime(threads=said)).intra_op_threads
        finally:
            os.environ.pop("OMP_NUM_THREADS", None)
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before

    asked = [(None, ""), (3, ""), (None, "2")]
    futures = [active.submit(threads, *each, pure=False) for each in asked]
    assert active.gather(futures) == [1, 3, 2]


def test_chunks_are_cut_smaller_where_workers_have_little_memory(active: Any) -> None:
    import dask.array as da

    spec = fake_spec(tile=256, overlap=32)
    cube = xr.DataArray(
        da.zeros((4, 4000, 4000), chunks=1000, dtype="float32"),
        {"bands": BANDS},
        ("bands", "y", "x"),
    )
    model = FakeModel(lambda tiles: tiles, spec)
    large = masked(cube, model, chunk=4000)
    assert max(large.chunksizes["y"]) < 2000


def test_workers_that_are_too_small_for_any_chunk_are_warned_of(active: Any) -> None:
    spec = fake_spec(tile=1024, overlap=0)
    model = FakeModel(lambda tiles: tiles, spec)
    with pytest.warns(UserWarning, match=r"workers with 1024 MiB .* fewer threads or more mem"):
        masked(make_cube((1100, 1100), 1).chunk(), model)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (ModuleNotFoundError("No module named 'cloudmask'"), "cannot run cloudmask .*pip install"),
        (
            Exception("ModuleNotFoundError(\"No module named 'cloudmask'\")"),
            "cannot run cloudmask",
        ),
        (OSError("disk on fire"), "tcp://one:1: OSError: disk on fire"),
    ],
)
def test_workers_without_the_package_are_named(reply: Exception, words: str) -> None:
    class Cluster:
        def run(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {"tcp://one:1": reply}

    with pytest.raises(ClusterError, match=words):
        bring(Cluster(), [])


def test_workers_with_another_version_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudmask import delivery

    class Cluster:
        def run(self, function: Any, *args: Any, **_: Any) -> dict[str, Any]:
            monkeypatch.setattr("cloudmask.__version__", "0.0.1")
            state = function(*args)
            monkeypatch.undo()
            return {"tcp://one:1": state}

    with pytest.raises(ClusterError, match=r"tcp://one:1 has version 0.0.1 .* pip install"):
        delivery.bring(Cluster(), [])


class Twin:
    """A cluster whose worker is as we are."""

    def run(self, function: Any, *args: Any, **_: Any) -> dict[str, Any]:
        """Ask the worker."""
        return {"tcp://one:1": function(*args)}


def test_two_trees_of_unknown_version_are_not_taken_for_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloudmask.__version__", "0.0.0+unknown")
    with pytest.raises(ClusterError, match=r"0\.0\.0\+unknown; masks could differ"):
        bring(Twin(), [])


@pytest.mark.parametrize(
    ("version", "remedy"),
    [("1.2.0", r"'openeo-cloudmask\[dask\]==1\.2\.0'"), ("1.2.1.dev3+gabc", "the same wheel")],
)
def test_only_a_release_is_to_be_fetched_from_an_index(
    monkeypatch: pytest.MonkeyPatch, version: str, remedy: str
) -> None:
    monkeypatch.setattr("cloudmask.__version__", version)

    class Other:
        def run(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {"tcp://one:1": ModuleNotFoundError("No module named 'cloudmask'")}

    with pytest.raises(ClusterError, match=remedy):
        bring(Other(), [])


def test_a_worker_of_the_same_commit_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudmask.__version__", "1.2.1.dev3+gabc")
    bring(Twin(), [])


# -- a worker dies --------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle_loses_nothing(active: Any) -> None:
    cube = make_cube((130, 130), 3)
    model = slow_model()
    lazy = masked(cube.chunk(t=1), model)
    future = active.compute(lazy.data)
    victim = active.run(os.getpid)
    while sum(map(len, active.has_what().values())) < 12:
        time.sleep(0.05)
    assert not future.done()
    os.kill(next(iter(victim.values())), signal.SIGKILL)
    made = future.result(timeout=60)
    assert set(active.run(os.getpid).values()) != set(victim.values())
    np.testing.assert_array_equal(made, masked(cube, model).data)
