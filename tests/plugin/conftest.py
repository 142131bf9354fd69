"""What tests of the back-end plugin share: UDF texts, small cubes and files, a log of chunks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Callable

THEIR_WARNINGS = (
    # rioxarray with a new affine
    "ignore:Use `@` matmul:PendingDeprecationWarning",
    # openeo-processes-dask: odc-geo, reduce_dimension, filter_temporal
    "ignore::rasterio.errors.NotGeoreferencedWarning",
    "ignore:numpy.core is deprecated:DeprecationWarning",
    "ignore:no explicit representation of timezones:UserWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let other packages warn of themselves, here only."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for line in THEIR_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(line))


HEADER = "import numpy as np\nimport xarray\n"


@pytest.fixture(scope="session", autouse=True)
def _everywhere(local_processing: None) -> None:
    """Import what warns of its own deprecated ways, once."""


@pytest.fixture(scope="session")
def udf_text() -> Callable[..., str]:
    """Make a UDF of the expression that it returns."""

    def made(expression: str, *, before: str = "pass", after: str = "") -> str:
        return (
            f"{HEADER}\n"
            "def apply_datacube(cube: xarray.DataArray, context: dict) -> xarray.DataArray:\n"
            f"    {before}\n"
            f"    return {expression}\n"
            f"{after}\n"
        )

    return made


@pytest.fixture
def chunk_log(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what UDFs append to `chunk_log.seen`."""
    module: Any = ModuleType("chunk_log")
    module.seen = []
    monkeypatch.setitem(sys.modules, "chunk_log", module)
    return module.seen


BANDS = ["B02", "B03", "B04", "B08", "B8A", "B11"]
DATES = np.array(["2020-06-01", "2020-06-03", "2020-06-06"], "datetime64[ns]")


@pytest.fixture(scope="session")
def scene() -> xr.Dataset:
    """A variable a band, (t, y, x) = (3, 40, 50) uint16 on 10 m pixels of UTM 33 north."""
    pytest.importorskip("rioxarray")
    random = np.random.default_rng(5)
    variables = {
        name: (("t", "y", "x"), random.integers(1, 9000, (3, 40, 50)).astype("uint16"))
        for name in BANDS
    }
    coords = {"t": DATES, "y": 5e6 - 5 - 10.0 * np.arange(40), "x": 6e5 + 5 + 10.0 * np.arange(50)}
    return xr.Dataset(variables, coords).rio.write_crs(32633)


@pytest.fixture(scope="session")
def scene_files(scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scene.nc, scene.zarr (all dates) and scene.tif (the first date)."""
    folder = tmp_path_factory.mktemp("scenes")
    scene.to_netcdf(folder / "scene.nc")
    scene.to_zarr(folder / "scene.zarr", zarr_format=2)
    raster = scene.isel(t=0, drop=True).to_dataarray("band").assign_attrs(long_name=BANDS)
    raster.rio.to_raster(folder / "scene.tif")
    return folder
