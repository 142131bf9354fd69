"""A network's file that is cut, removed or replaced while it is in use."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from cloudmask import mask_clouds
from cloudmask.chunk import mask_chunk
from cloudmask.errors import ModelError
from cloudmask.registry import forget

onnx = pytest.importorskip("onnx")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.conftest import Run, WriteScene

BANDS = ("B02", "B03", "B04", "B08")


def cut(path: Path) -> None:
    """Cut a file to a third."""
    os.truncate(path, path.stat().st_size // 3)


def replace(path: Path) -> None:
    """Put a network with other weights in its place."""
    model = onnx.load(path)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0])
    changed = onnx.numpy_helper.from_array(-weights, model.graph.initializer[0].name)
    model.graph.initializer[0].CopyFrom(changed)
    other = path.with_name("other.onnx")
    onnx.save(model, other)
    other.replace(path)


def remove(path: Path) -> None:
    """Remove it, and its manifest."""
    path.unlink()
    path.with_suffix(".json").unlink()


HARM = pytest.mark.parametrize("harm", [cut, replace, remove])


@pytest.fixture
def network(tiny_network: Path, tmp_path: Path) -> Path:
    """A copy of the small network, to be harmed."""
    for suffix in (".onnx", ".json"):
        shutil.copy(tiny_network.with_suffix(suffix), tmp_path / f"net{suffix}")
    manifest = tmp_path / "net.json"
    manifest.write_text(manifest.read_text().replace("tiny.onnx", "net.onnx"))
    return tmp_path / "net.onnx"


@pytest.fixture
def cube() -> xr.DataArray:
    """(bands, y, x) of random reflectance."""
    numbers = np.random.default_rng(3).uniform(0.05, 0.6, (4, 64, 64))
    return xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": list(BANDS)})


@HARM
def test_a_worker_goes_on_with_the_network_that_it_has_opened(
    network: Path, cube: xr.DataArray, harm: Callable[[Path], None]
) -> None:
    forget()
    context = {"model": str(network), "preset": "reflectance"}
    first = mask_chunk(cube, context)
    harm(network)
    xr.testing.assert_identical(mask_chunk(cube, context), first)


def test_a_network_that_is_gone_before_the_first_chunk_is_told_in_one_line_with_the_remedy(
    network: Path, cube: xr.DataArray
) -> None:
    remove(network)
    with pytest.raises(
        ModelError, match=r"net\.onnx: there is no such file.*cloudmask bundle"
    ) as e:
        mask_chunk(cube, {"model": str(network), "preset": "reflectance", "tile": 32})
    assert "\n" not in str(e.value)


@HARM
def test_dask_computes_with_the_network_that_was_opened_when_it_was_asked(
    network: Path, cube: xr.DataArray, harm: Callable[[Path], None]
) -> None:
    forget()
    whole = mask_clouds(cube, str(network), preset="reflectance")
    lazy = mask_clouds(cube.chunk(y=32, x=64), str(network), preset="reflectance")
    harm(network)
    xr.testing.assert_equal(lazy.compute(), whole)


@pytest.mark.parametrize("kind", ["cut", "remove"])
def test_a_file_is_masked_with_the_network_that_was_opened(
    run: Run, write_scene: WriteScene, network: Path, values: Any, tmp_path: Path, kind: str
) -> None:
    folders = [tmp_path / name for name in ("whole", "harmed")]
    for folder in folders:
        write_scene(folder / "scene.tif", 1)
    words = ("cloudmask", "mask", "scene.tif", "-o", "a.tif", "-m", network, "--threads", "1")
    run(folders[0], *words)
    # The first change of the folder is made once the network is open.
    end = run(folders[1], *words, fault=values.Fault(harm=(kind, str(network)), step=1))
    assert (end.status, end.err) == (0, "")
    assert values.read(folders[1]) == values.read(folders[0])


def test_a_batch_whose_network_is_replaced_never_takes_the_old_ones_masks_for_the_new_ones(
    run: Run, write_scene: WriteScene, network: Path, values: Any, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("whole", "harmed")]
    for folder in folders:
        for number in range(8):
            write_scene(folder / "in" / f"{number}.tif", number)
    other = shutil.copy(network, tmp_path / "new.onnx")
    replace(tmp_path / "new.onnx")
    words = ("cloudmask", "mask", "in/*.tif", "-o", "out/", "-m", network, "--threads", "1")
    harm = ("put", f"{other} {network}")
    end = run(folders[1], *words, fault=values.Fault(harm=harm, step=15))
    assert end.status == 1
    assert "was replaced while it was in use" in end.err
    for folder in folders:
        assert run(folder, *words).status == 0
    assert values.read(folders[1] / "out") == values.read(folders[0] / "out")
