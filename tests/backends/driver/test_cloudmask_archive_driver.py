"""The text of the UDF where neither our package nor ONNX Runtime is installed."""

from __future__ import annotations

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from driver_client import messages, neighborhood

import cloudmask
from cloudmask_openeo.bundle import Order, Target, make
from cloudmask_openeo.bundle.contents import core_wheel
from cloudmask_openeo.text import udf_code

if TYPE_CHECKING:
    from driver_client import Driver
    from openeo.rest.datacube import DataCube

    from cloudmask.registry import Entry

BANDS = ["B02", "B03", "B04", "B08"]
HIDDEN = {"x-hide-packages": True}
BY_DATE = pytest.mark.parametrize("t", [None, "P1D"], ids=["all dates", "date by date"])


@pytest.fixture(scope="module")
def scene(imagery: xr.DataArray, ukis_4b: Entry) -> xr.DataArray:
    """(t, bands, y, x) = (2, 4, 250, 256) uint16, two chunks; 0 = no data."""
    bands = imagery.sel(bands=BANDS)
    first, second = bands[:, :250, 150:406], bands[:, 100:350, 400:656]
    dates = pd.to_datetime(["2024-06-01", "2024-06-04"])
    return xr.concat([first, second], pd.Index(dates, name="t"))


@pytest.fixture(scope="module")
def expected(scene: xr.DataArray) -> xr.DataArray:
    """(t, bands, y, x): the whole scene masked at once."""
    return cloudmask.mask_clouds(scene, "ukis-4b-l1c", preset="dn").transpose(
        "t", "bands", "y", "x"
    )


@pytest.fixture(scope="module")
def cube(driver: Driver, scene: xr.DataArray) -> DataCube:
    return driver.load(scene)


@pytest.fixture(scope="module")
def bundle(ukis_4b: Entry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as `cloudmask bundle` makes it, of what is installed here."""
    targets = (Target(), Target(python="3.12"), Target(python="3.13"))
    here = next((target for target in targets if target.is_here), None)
    if here is None:
        pytest.skip("no archive can be made for this Python and platform")
    order = Order(
        models=("ukis-4b-l1c",),
        output=tmp_path_factory.mktemp("bundle") / "deps.zip",
        target=here,
        onnxruntime="installed",
        check=False,
    )
    return make(order).path


@pytest.fixture(scope="module")
def managed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install --target` leaves for the dependencies of the UDF's text, as a ZIP."""
    path = tmp_path_factory.mktemp("managed") / "dependencies.zip"
    networks = find_spec("ukis_csmask")
    assert networks is not None
    assert networks.origin is not None
    package = Path(networks.origin).parent
    with zipfile.ZipFile(path, "w") as out, zipfile.ZipFile(bundle) as source:
        with zipfile.ZipFile(io.BytesIO(core_wheel())) as wheel:
            for name in wheel.namelist():
                out.writestr(name, wheel.read(name))
        for name in source.namelist():
            if name.startswith("onnxruntime"):
                out.writestr(name, source.read(name))
        for file in [*package.rglob("*.py"), *package.rglob("*4b*.onnx")]:
            out.write(file, file.relative_to(package.parent))
    return path


def masked(cube: DataCube, delivery: Any, t: str | None = None) -> DataCube:
    context = {"model": "ukis-4b-l1c", "preset": "cdse", "chunk_overlap": 32}
    return neighborhood(cube, udf_code(delivery), (192, 384), 32, t=t, context=context)


@BY_DATE
def test_archive_brings_all_that_the_udf_needs(
    driver: Driver, cube: DataCube, expected: xr.DataArray, bundle: Path, tmp_path: Path,
    t: str | None,
) -> None:  # fmt: skip
    options = HIDDEN | {"udf-dependency-archives": [f"{bundle}#cloudmask_deps"]}
    result = driver.batch(masked(cube, "archive", t), tmp_path, options)
    np.testing.assert_array_equal(result.values, expected.values)


@BY_DATE
def test_zip_mode_may_delete_the_dependencies_after_the_first_chunk(
    driver: Driver, cube: DataCube, expected: xr.DataArray, managed: Path, tmp_path: Path,
    t: str | None,
) -> None:  # fmt: skip
    options = HIDDEN | {"x-udf-dependencies-zip": str(managed)}
    result = driver.batch(masked(cube, "pep723", t), tmp_path, options)
    np.testing.assert_array_equal(result.values, expected.values)


@BY_DATE
def test_inline_text_needs_no_package_of_ours(
    driver: Driver, cube: DataCube, expected: xr.DataArray, tmp_path: Path, t: str | None
) -> None:
    options = {"x-hide-packages": ["cloudmask"]}
    result = driver.sync(masked(cube, "inline", t), tmp_path, options)
    np.testing.assert_array_equal(result.values, expected.values)


def test_absent_archive_says_which_option_is_missing(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    job = driver.run(masked(cube, "archive"), tmp_path, HIDDEN)
    assert job.status() == "error"
    assert "udf-dependency-archives" in " ".join(messages(job, level="error"))


def test_archive_is_enough_under_three_gib_of_address_space(
    driver: Driver, cube: DataCube, expected: xr.DataArray, bundle: Path, tmp_path: Path
) -> None:
    options = HIDDEN | {
        "udf-dependency-archives": [f"{bundle}#cloudmask_deps"],
        "python-memory": "3g",
        "executor-cores": 1,
    }
    result = driver.batch(masked(cube, "archive"), tmp_path, options)
    np.testing.assert_array_equal(result.values, expected.values)
