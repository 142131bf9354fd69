"""The process of the catalogue, run by its address as users run it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from driver_client import extent, messages
from openeo.rest import OpenEoApiError

import cloudmask
from cloudmask.classes import LAYOUT_BANDS
from cloudmask_openeo.processes import generate

if TYPE_CHECKING:
    from driver_client import Driver, Site
    from openeo.rest.datacube import DataCube

    from cloudmask.registry import Entry

DATES = ["2024-06-01", "2024-06-04"]
JUNE = ["2024-06-01", "2024-07-01"]


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """What is committed."""
    path = Path(generate.__file__).parent / generate.ID / "openeo_udp" / f"{generate.ID}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def collection(driver: Driver, imagery: xr.DataArray, ukis_4b: Entry) -> xr.DataArray:
    """(t, bands, y, x) uint16 as the collection that the process loads if not told another."""
    scene = imagery[:, :300, :420]
    other = imagery[:, 60:360, 300:720].copy()
    both = xr.concat([scene, other], pd.Index(pd.to_datetime(DATES), name="t"))
    driver.add_collection(both, name="SENTINEL2_L1C")
    return both


@pytest.fixture
def call(driver: Driver, site: Site, published: dict[str, Any], collection: xr.DataArray) -> Any:
    """Build the graph of a user who calls the process by its address."""
    address = site.publish(published)
    connection = driver.connect()

    def made(**arguments: Any) -> DataCube:
        everything = extent(slice(0, 300), slice(0, 420))
        given = {"spatial_extent": everything, "temporal_extent": JUNE, **arguments}
        return connection.datacube_from_process(published["id"], namespace=address, **given)

    return made


def test_it_masks_as_the_package_does(
    driver: Driver, call: Any, collection: xr.DataArray, tmp_path: Path
) -> None:
    found = driver.batch(call(), tmp_path)
    whole = cloudmask.mask_clouds(collection, "ukis-4b-l1c", preset="dn")
    whole = whole.transpose("t", "bands", "y", "x")
    assert list(found["bands"].values) == ["mask", "class"]
    np.testing.assert_array_equal(found, whole)


def test_its_parameters_reach_the_udf(driver: Driver, call: Any, tmp_path: Path) -> None:
    cube = call(layout="probabilities", tta=1, temporal_extent=["2024-06-04", "2024-06-05"])
    found = driver.sync(cube, tmp_path)
    assert tuple(found["bands"].values) == LAYOUT_BANDS["probabilities"]
    assert found.sizes["t"] == 1


def test_a_wrong_parameter_is_told_in_the_log(driver: Driver, call: Any, tmp_path: Path) -> None:
    job = driver.run(call(preset="raw"), tmp_path)
    assert job.status() == "error"
    (line,) = messages(job, level="error")
    assert "preset='raw': choose one of cdse, dn, dn_n0400, reflectance" in line


def test_it_can_be_stored_as_a_users_own_process(
    driver: Driver, published: dict[str, Any], collection: xr.DataArray, tmp_path: Path
) -> None:
    connection = driver.connect()
    connection.save_user_defined_process(
        published["id"], published["process_graph"], published["parameters"]
    )
    cube = connection.datacube_from_process(
        published["id"],
        spatial_extent=extent(slice(0, 192), slice(0, 192)),
        temporal_extent=JUNE,
    )
    found = driver.sync(cube, tmp_path)
    assert dict(found.sizes) == {"t": 2, "bands": 2, "y": 192, "x": 192}


def test_a_broken_one_is_refused_by_the_back_end(
    driver: Driver, site: Site, published: dict[str, Any], tmp_path: Path
) -> None:
    broken = copy.deepcopy(published)
    del broken["process_graph"]
    address = site.publish(broken)
    cube = driver.connect().datacube_from_process(
        broken["id"], namespace=address, spatial_extent={}, temporal_extent=JUNE
    )
    with pytest.raises(OpenEoApiError, match="No valid process definition for"):
        driver.sync(cube, tmp_path)
