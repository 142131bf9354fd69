"""The mask that titiler-openeo makes is the mask that is made at home."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from openeo.rest import OpenEoApiError
from openeo.rest._datacube import UDF

from cloudmask import Options, Output, Preset, mask_clouds
from cloudmask_openeo import client
from cloudmask_openeo.client import Chunks

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray
    from openeo.rest.datacube import DataCube

    from cloudmask.registry import Entry

    Titiler = Any

BANDS = ["B02", "B03", "B04", "B08"]
TEXT = resources.files("cloudmask").joinpath("udf.py").read_text()
MODEL = "ukis-4b-l1c"
STRIDE, OVERLAP = 192, 32


@pytest.fixture(scope="session")
def scene(imagery: xr.DataArray) -> xr.DataArray:
    """Pixels with clouds, some of them missing; not a whole number of chunks wide."""
    holed = imagery.sel(bands=BANDS).isel(x=slice(96, 576)).copy()
    holed[:, 100:130, 200:320] = 0
    return holed


@pytest.fixture(scope="session")
def expected(scene: xr.DataArray, ukis_4b: Entry) -> NDArray[np.float32]:
    """(mask, class, four probabilities; y, x) of the whole scene at once."""
    options = Options(output=Output(layout="probabilities"))
    whole = mask_clouds(
        reflectance(scene), ukis_4b.spec.name, preset="reflectance", options=options
    )
    return np.asarray(whole.values)


def reflectance(scene: xr.DataArray) -> xr.DataArray:
    """What titiler makes of the scene."""
    return scene.copy(data=(scene.values * 1e-4).astype(np.float32)).where(scene > 0)


def through_udf(loaded: DataCube, factor: int, *, each_date: bool) -> DataCube:
    """Mask in chunks of `factor` strides of the network's tiles."""
    size = [{"dimension": axis, "value": STRIDE * factor, "unit": "px"} for axis in "xy"]
    size += [{"dimension": "t", "value": "P1D"}] if each_date else []
    overlap = [{"dimension": axis, "value": OVERLAP, "unit": "px"} for axis in "xy"]
    context = {
        "model": MODEL, "preset": "reflectance", "chunk_overlap": OVERLAP,
        "layout": "probabilities",
    }  # fmt: skip
    udf = UDF(TEXT, runtime="Python", context=context)
    return loaded.apply_neighborhood(udf, size=size, overlap=overlap)


@pytest.mark.parametrize("size", [192, 384])
def test_the_graph_that_our_client_builds_runs_unchanged(
    titiler: Titiler, scene: xr.DataArray, expected: NDArray[np.float32], size: int
) -> None:
    """It filters bands, resamples to the network's pixels and runs the UDF."""
    loaded = titiler.load(titiler.put(scene))
    chunks = Chunks(size=size, border=False, delivery="archive")
    masked = client.mask_clouds(
        loaded, MODEL, preset="reflectance", layout="probabilities", chunks=chunks
    )
    got = titiler.download(masked).values
    np.testing.assert_array_equal(got[:2], expected[:2])
    np.testing.assert_allclose(got[2:], expected[2:], atol=1e-5)


def test_a_border_that_is_loaded_in_addition_is_cut_off_again(
    titiler: Titiler, scene: xr.DataArray
) -> None:
    """The graph loads 33 pixels more on each side, here no data, and has `filter_bbox`."""
    loaded = titiler.load(titiler.put(scene))
    chunks = Chunks(size=384, border=True, delivery="archive")
    masked = client.mask_clouds(loaded, MODEL, preset="reflectance", chunks=chunks)
    got = titiler.download(masked)
    wide = mask_clouds(reflectance(scene).pad(y=33, x=33), MODEL, preset="reflectance")
    np.testing.assert_array_equal(got.values, wide.values[:, 33:-33, 33:-33])
    assert tuple(got.transform)[:6] == (10, 0, 600_000, 0, -10, 5_200_000)


@pytest.mark.parametrize(("factor", "each_date"), [(1, False), (2, True)])
def test_a_chunked_mask_through_titiler_equals_the_whole_scene_at_home(
    titiler: Titiler,
    scene: xr.DataArray,
    expected: NDArray[np.float32],
    factor: int,
    *,
    each_date: bool,
) -> None:
    loaded = titiler.load(titiler.put(scene))
    got = titiler.download(through_udf(loaded, factor, each_date=each_date)).values
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[:2], expected[:2])
    np.testing.assert_allclose(got[2:], expected[2:], atol=1e-5)
    assert len(np.unique(got[1])) >= 3, "the scene has cloud, shadow and no data"


def test_cloud_detection_answers_cloud_shadow_and_haze(
    public_titiler: Titiler, scene: xr.DataArray, expected: NDArray[np.float32]
) -> None:
    loaded = public_titiler.load(public_titiler.put(scene))
    detected = loaded.process("cloud_detection", data=loaded, method=MODEL)
    got = public_titiler.download(detected).values
    thick, thin, shadow = expected[3], expected[4], expected[5]
    np.testing.assert_allclose(got, np.stack([thick, shadow, thin]), atol=1e-5)
    assert np.isnan(got).any(), "no data"


def test_cloud_detection_opens_no_files_of_the_server(
    public_titiler: Titiler, scene: xr.DataArray
) -> None:
    loaded = public_titiler.load(public_titiler.put(scene))
    detected = loaded.process("cloud_detection", data=loaded, method="/etc/passwd")
    with pytest.raises(OpenEoApiError, match="is not available here"):
        public_titiler.download(detected)


@pytest.mark.parametrize("name", ["batch", "memory_mb", "overlap", "provider", "threads", "tile"])
def test_users_do_not_decide_about_the_servers_memory(
    public_titiler: Titiler, scene: xr.DataArray, name: str
) -> None:
    connection = public_titiler.connect()
    (options,) = (
        parameter["schema"]["properties"]
        for parameter in connection.describe_process("cloud_detection")["parameters"]
        if parameter["name"] == "options"
    )
    assert name not in options
    loaded = public_titiler.load(public_titiler.put(scene))
    detected = loaded.process("cloud_detection", data=loaded, options={name: 100_000})
    with pytest.raises(OpenEoApiError, match=f"{name} cannot be chosen"):
        public_titiler.download(detected)


def test_numbers_that_are_no_reflectance_are_told_by_the_user(
    public_titiler: Titiler, scene: xr.DataArray
) -> None:
    """Without a scale in its catalogue titiler hands out what is stored."""
    loaded = public_titiler.load(public_titiler.put(scene, scale=1))
    options = {"scale": 1e-4, "nodata": [0]}
    detected = loaded.process("cloud_detection", data=loaded, options=options)
    got = public_titiler.download(detected).values
    layout = Options(output=Output(layout="cloud_detection"))
    stored = Preset("as stored", 1e-4, nodata=(0,))
    whole = mask_clouds(scene.astype(np.float32), preset=stored, options=layout)
    np.testing.assert_allclose(got, whole.values, atol=1e-5)
