"""Guarantee 3: the same scene gives the same mask whatever way it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from driver_client import neighborhood
from openeo.udf.run_code import execute_local_udf

from cloudmask import Options, Output, mask_clouds
from cloudmask.classes import LAYOUT_BANDS
from cloudmask_openeo import Chunks, local_connection, udf_code
from cloudmask_openeo import mask_clouds as add_mask

if TYPE_CHECKING:
    from pathlib import Path

    from driver_client import Driver
    from openeo.rest.datacube import DataCube

    from cloudmask.registry import Entry

# Of openeo-processes-dask and what it imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

BANDS = ["B02", "B03", "B04", "B08"]
SIZE, MARGIN = 192, 32
CHUNKS = Chunks(size=SIZE, border=False, delivery="archive")
MODEL = "ukis-4b-l1c"
GIVEN: dict[str, Any] = {"model": MODEL, "preset": "reflectance", "layout": "probabilities"}


@dataclass(frozen=True)
class Places:
    """Where a scene can be masked."""

    driver: Driver
    titiler: Any
    folder: Path


@pytest.fixture(scope="module")
def stored(imagery: xr.DataArray) -> xr.DataArray:
    """(bands, y, x) uint16, 0 = no data: both borders lie inside a chunk."""
    scene = imagery.sel(bands=BANDS)[:, :300, :420].copy()
    scene[:, 100:130, 200:320] = 0
    return scene


@pytest.fixture(scope="module")
def scene(stored: xr.DataArray) -> xr.DataArray:
    """The same numbers on every way: float32 reflectance, NaN = no data.

    Reflectance, as titiler makes it of what is stored: the last digit of the input shows in the
    probabilities.
    """
    return stored.copy(data=(stored.values * 1e-4).astype(np.float32)).where(stored > 0)


@pytest.fixture(scope="module")
def expected(scene: xr.DataArray, ukis_4b: Entry) -> xr.DataArray:
    """(bands, y, x): the whole scene at once."""
    options = Options(output=Output(layout="probabilities"))
    return mask_clouds(scene, ukis_4b.spec.name, preset="reflectance", options=options)


@pytest.fixture(scope="module")
def places(
    driver: Driver, titiler: Any, tmp_path_factory: pytest.TempPathFactory, local_processing: None
) -> Places:
    return Places(driver, titiler, tmp_path_factory.mktemp("ways"))


def by_execute_local_udf(scene: xr.DataArray, places: Places) -> xr.DataArray:
    """It knows no context, so a user writes one into the text."""
    text = udf_code("archive") + f"\nGIVEN = {GIVEN!r}\n"
    text = text.replace("mask_chunk(cube, context)", "mask_chunk(cube, GIVEN)")
    dated = scene.expand_dims(t=[0], axis=0)
    (answer,) = execute_local_udf(text, dated).get_datacube_list() or []
    return answer.array.isel(t=0)


def by_local_connection(scene: xr.DataArray, places: Places) -> xr.DataArray:
    path = places.folder / "local.nc"
    place = {"y": 5e6 - 10.0 * np.arange(300), "x": 5e5 + 10.0 * np.arange(420)}
    named = scene.assign_coords(place).assign_attrs(crs="EPSG:32633")
    named.to_dataset(dim="bands").to_netcdf(path)
    cube = local_connection({"SCENE": path}).load_collection("SCENE")
    found: Any = add_mask(cube, chunks=CHUNKS, **GIVEN).execute()
    answer: xr.DataArray = found.compute().squeeze(drop=True)
    return answer


def driver_cube(scene: xr.DataArray, places: Places) -> DataCube:
    dated = scene.expand_dims(t=pd.to_datetime(["2024-06-01"]), axis=0)
    name = places.driver.add_collection(dated, nodata=None)
    return places.driver.connect().load_collection(name)


def all_dates(cube: DataCube) -> DataCube:
    context = {**GIVEN, "chunk_overlap": MARGIN}
    return neighborhood(cube, udf_code("archive"), SIZE, MARGIN, context=context)


def by_driver_sync(scene: xr.DataArray, places: Places) -> xr.DataArray:
    masked = add_mask(driver_cube(scene, places), chunks=CHUNKS, **GIVEN)
    return places.driver.sync(masked, places.folder).isel(t=0)


def by_driver_batch(scene: xr.DataArray, places: Places) -> xr.DataArray:
    masked = add_mask(driver_cube(scene, places), chunks=CHUNKS, **GIVEN)
    return places.driver.batch(masked, places.folder / "batch").isel(t=0)


def by_driver_sync_with_all_dates(scene: xr.DataArray, places: Places) -> xr.DataArray:
    masked = all_dates(driver_cube(scene, places))
    return places.driver.sync(masked, places.folder).isel(t=0)


def by_driver_batch_with_all_dates(scene: xr.DataArray, places: Places) -> xr.DataArray:
    masked = all_dates(driver_cube(scene, places))
    return places.driver.batch(masked, places.folder / "all").isel(t=0)


def by_titiler(scene: xr.DataArray, places: Places) -> xr.DataArray:
    """It makes reflectance itself, of what is stored."""
    numbers = (scene * 1e4).round().fillna(0).astype(np.uint16)
    cube = places.titiler.load(places.titiler.put(numbers))
    values = places.titiler.download(add_mask(cube, chunks=CHUNKS, **GIVEN)).values
    labels = list(LAYOUT_BANDS["probabilities"])
    return xr.DataArray(values, dims=("bands", "y", "x"), coords={"bands": labels})


WAYS = [
    by_execute_local_udf,
    by_local_connection,
    by_driver_sync,
    by_driver_batch,
    by_driver_sync_with_all_dates,
    by_driver_batch_with_all_dates,
    by_titiler,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.removeprefix("by_"))
def test_every_way_gives_the_mask_of_the_direct_call(
    scene: xr.DataArray, expected: xr.DataArray, places: Places, way: Any
) -> None:
    assert {1, 3, 255} <= set(np.unique(expected.sel(bands="class")))
    found = way(scene, places)
    assert list(found["bands"].values) == list(expected["bands"].values)
    codes = ["mask", "class"]
    np.testing.assert_array_equal(found.sel(bands=codes), expected.sel(bands=codes))
    names = list(LAYOUT_BANDS["probabilities"][2:])
    np.testing.assert_allclose(
        found.sel(bands=names), expected.sel(bands=names), rtol=0, atol=1e-5, equal_nan=True
    )
