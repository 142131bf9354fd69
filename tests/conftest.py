"""Hypothesis profiles, and what tests need from outside: real imagery and real networks."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, settings

from cloudmask.registry import known
from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from cloudmask.registry import Entry

# No test sees the networks that a user has.
os.environ["CLOUDMASK_MODELS"] = ""

settings.register_profile(
    "dev", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
MSI_BANDS = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
]  # fmt: skip
CHIP_BANDS = ["B02", "B03", "B04", "B08", "B11", "B12"]


@dataclass(frozen=True)
class LabelledChip:
    """An image with human labels."""

    cube: xr.DataArray
    """(bands, y, x) reflectance."""
    labels: NDArray[np.uint8]
    """(y, x): 0 shadow, 1 water, 2 snow, 3 land, 4 cloud."""


def _needed(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"the test data are not here: {path}")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real imagery."""
    return _needed(SHARED_DATA)


@pytest.fixture(scope="session")
def real_scene(shared_data: Path) -> xr.DataArray:
    """(bands, y, x) uint16, 13 x 384 x 768, 0 = no data, thick cloud and shadow."""
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(_needed(shared_data / "scene" / "s2_l1c_roi136_clouds.tif")) as file:
        numbers = file.read()
    return xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": MSI_BANDS})


@pytest.fixture(scope="session")
def labelled_chip(shared_data: Path) -> LabelledChip:
    """The 512 x 512 chip of ukis-csmask."""
    with np.load(_needed(shared_data / "labelled" / "ukis_sentinel2.npz")) as file:
        arrays = {name: file[name] for name in file.files}
    image = next(array for array in arrays.values() if array.ndim == 3 and 6 in array.shape)
    labels = next(array for array in arrays.values() if array.size == 512 * 512)
    if image.shape[-1] == 6:
        image = np.moveaxis(image, -1, 0)
    cube = xr.DataArray(image, dims=("bands", "y", "x"), coords={"bands": CHIP_BANDS})
    return LabelledChip(cube, labels.reshape(512, 512).astype(np.uint8))


@pytest.fixture(scope="session")
def imagery(request: pytest.FixtureRequest) -> xr.DataArray:
    """(bands, y, x) uint16, 13 x 384 x 768, 0 = no data: real where there is some."""
    try:
        real: xr.DataArray = request.getfixturevalue("real_scene")
    except pytest.skip.Exception:
        from cloudmask.local.simulator import SceneSettings, simulate

        scene = simulate(SceneSettings(shape=(384, 768)))
        coords = {"bands": list(scene.bands)}
        return xr.DataArray(scene.reflectance_dn, dims=("bands", "y", "x"), coords=coords)
    return real


def _installed(name: str) -> Entry:
    entry = known()[name]
    if not entry.installed:
        pytest.skip(f"{name} is not installed: {entry.how_to_install}")
    return entry


@pytest.fixture(scope="session")
def ukis_4b() -> Entry:
    """A real network of four bands for L1C."""
    return _installed("ukis-4b-l1c")


@pytest.fixture(scope="session")
def ukis_6b() -> Entry:
    """A real network of six bands for L1C."""
    return _installed("ukis-6b-l1c")


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file with its manifest: 4 bands, 4 classes, tiles of 32 px with 8 px overlap.

    Each pixel's answer depends on the mean of its whole tile, so that whatever is cut or filled
    otherwise shows.
    """
    onnx = pytest.importorskip("onnx")
    from cloudmask_export.item import item

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
    path = tmp_path_factory.mktemp("networks") / "tiny.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    spec = ModelSpec(
        name="tiny",
        bands=("B02", "B03", "B04", "B08"),
        classes=(0, 1, 2, 3),
        tile=32,
        overlap=8,
        file=path.name,
    )
    made = item(spec, architecture="contrast", source="https://example.org", size=1)
    path.with_suffix(".json").write_text(json.dumps(made), "utf-8")
    return path


@pytest.fixture(scope="session")
def local_processing() -> None:
    """Import openeo-processes-dask once, which warns of its own and its dependencies' ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("openeo_processes_dask")
        import cloudmask_openeo.local.connection  # noqa: F401


def _loaded(path: Path) -> ModuleType:
    # Tests are collected by path, so no folder of theirs is importable.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def weight_files() -> Any:
    """Give the module that writes weight files: write_safetensors, write_pth, write_pkl, ..."""
    return _loaded(Path(__file__).with_name("export") / "weight_files.py")


@pytest.fixture(scope="session")
def random_weights() -> Any:
    """Give the function that draws the values of an architecture's tensors."""
    return _loaded(Path(__file__).with_name("export") / "random_weights.py").random_weights


@pytest.fixture(scope="session")
def safe_trees() -> Any:
    """Give the module that writes Sentinel-2 products: Safe, write_safe, zipped, shifted, ..."""
    return _loaded(Path(__file__).with_name("local") / "safe_trees.py")
