from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from cloudmask.errors import BandError, CubeError, OptionError
from cloudmask_openeo import local_connection

if TYPE_CHECKING:
    from pathlib import Path


def connected(collections: Any) -> Any:
    """Connect; the client's types say that its local results were dictionaries."""
    return local_connection(collections)


FORMATS = ["scene.nc", "scene.zarr", "scene.tif"]
WITH_DATES = FORMATS[:2]
BANDS = ["B02", "B03", "B04", "B08", "B8A", "B11"]


def expected(scene: xr.Dataset, name: str) -> np.ndarray[Any, Any]:
    """(t, bands, y, x), or without t for GeoTIFF."""
    numbers = np.stack([scene[band].values for band in BANDS], axis=1)
    return numbers if name in WITH_DATES else numbers[0]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_a_lazy_cube_in_the_order_of_back_ends(
    scene: xr.Dataset, scene_files: Path, name: str
) -> None:
    cube = connected({"S2": scene_files / name}).load_collection("S2").execute()
    assert cube.dims == (("t", "bands", "y", "x") if name in WITH_DATES else ("bands", "y", "x"))
    assert cube.chunks is not None
    assert list(cube["bands"].values) == BANDS
    assert cube.rio.crs.to_epsg() == 32633
    np.testing.assert_array_equal(cube, expected(scene, name))
    np.testing.assert_allclose(cube["x"], scene["x"])


@pytest.mark.parametrize("name", FORMATS)
def test_the_description_tells_the_client_what_there_is(scene_files: Path, name: str) -> None:
    connection = connected({"S2": scene_files / name})
    described = connection.describe_collection("S2")
    assert described["id"] == "S2"
    west, south, east, north = described["extent"]["spatial"]["bbox"][0]
    assert 15 < west < east < 17
    assert 45 < south < north < 46
    metadata = connection.load_collection("S2").metadata
    assert metadata is not None
    assert metadata.band_names == BANDS
    assert metadata.has_temporal_dimension() == (name in WITH_DATES)


def test_a_connection_that_is_shown_names_its_collections(
    scene_files: Path, tmp_path: Path
) -> None:
    files = dict.fromkeys("ABCDE", scene_files / "scene.nc")
    assert repr(connected({"A": files["A"]})) == "<FileConnection: A>"
    assert repr(connected(files)) == "<FileConnection: A, B, C, 2 more>"
    assert repr(connected(tmp_path)) == "<FileConnection: no collections>"


@pytest.mark.parametrize(
    ("message", "times"),
    [
        ("Did not load machine learning processes due to missing dependencies: ...", 0),
        ("Did not load experimental processes.", 1),
    ],
)
def test_that_nothing_learns_at_home_is_no_news(
    scene_files: Path, caplog: pytest.LogCaptureFixture, message: str, times: int
) -> None:
    connected({"S2": scene_files / "scene.nc"})
    logging.getLogger("openeo_processes_dask.process_implementations").warning(message)
    assert len(caplog.records) == times


def test_a_folder_has_its_files_as_collections(scene_files: Path) -> None:
    connection = connected(scene_files)
    ids = [each["id"] for each in connection.list_collections()]
    assert ids == [(scene_files / name).as_posix() for name in sorted(FORMATS)]
    for name in (ids[0], "scene.nc"):
        assert connection.load_collection(name).execute().sizes["bands"] == 6


def test_an_unknown_collection_is_refused_with_the_known_ones(scene_files: Path) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    with pytest.raises(CubeError, match=r"'S3' is not known; there are S2\. Name its file"):
        connection.load_collection("S3")


@pytest.mark.parametrize("where", ["nowhere.nc", {"S2": "nowhere.nc"}, ["nowhere"]])
def test_a_file_that_is_not_there_is_refused(where: Any) -> None:
    with pytest.raises(CubeError, match=r"nowhere.*: there is no such file"):
        connected(where)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scene.jp2").touch()
    connection = connected({"S2": tmp_path / "scene.jp2"})
    with pytest.raises(CubeError, match=r"must end in \.nc, \.zarr, \.tif, \.tiff"):
        connection.describe_collection("S2")


def test_declared_no_data_is_nan_as_from_back_ends(scene: xr.Dataset, tmp_path: Path) -> None:
    raster = scene.isel(t=0, drop=True).to_dataarray("band").assign_attrs(long_name=BANDS)
    raster = raster.where(raster > 1000, 0).astype("uint16").rio.write_nodata(0)
    raster.rio.to_raster(tmp_path / "scene.tif")
    cube = connected({"S2": tmp_path / "scene.tif"}).load_collection("S2").execute()
    np.testing.assert_array_equal(np.isnan(cube), raster == 0)


def test_one_variable_with_bands_of_its_own_is_a_cube(scene: xr.Dataset, tmp_path: Path) -> None:
    scene.to_dataarray("band", name="toa").rename(t="time").to_netcdf(tmp_path / "one.nc")
    cube = connected({"S2": tmp_path / "one.nc"}).load_collection("S2").execute()
    np.testing.assert_array_equal(cube, expected(scene, "scene.nc"))
    assert cube.dims == ("t", "bands", "y", "x")


def test_a_crs_that_no_variable_refers_to_is_found(scene: xr.Dataset, tmp_path: Path) -> None:
    loose = scene.drop_vars("spatial_ref")
    for variable in loose.variables.values():
        variable.encoding.pop("grid_mapping", None)
        variable.attrs.pop("grid_mapping", None)
    loose["crs"] = xr.Variable((), 0, {"crs_wkt": scene.rio.crs.to_wkt()})
    loose.to_netcdf(tmp_path / "loose.nc")
    cube = connected({"S2": tmp_path / "loose.nc"}).load_collection("S2").execute()
    assert list(cube["bands"].values) == BANDS
    assert cube.rio.crs.to_epsg() == 32633


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (xr.Dataset({"a": ("z", [1])}), "no variable has dimensions y and x; there are a"),
        (
            xr.Dataset({"a": (("band", "y", "x"), [[[1]]]), "b": (("y", "x"), [[1]])}),
            r"a has bands of its own beside other variables \(a, b\)",
        ),
    ],
)
def test_a_file_that_is_no_cube_is_refused(
    dataset: xr.Dataset, message: str, tmp_path: Path
) -> None:
    dataset.to_netcdf(tmp_path / "odd.nc")
    with pytest.raises(CubeError, match=message):
        connected({"S2": tmp_path / "odd.nc"}).load_collection("S2")


# The arguments of load_collection


@pytest.mark.parametrize("name", FORMATS)
def test_bands_are_loaded_in_the_order_they_are_named(
    scene: xr.Dataset, scene_files: Path, name: str
) -> None:
    connection = connected({"S2": scene_files / name})
    cube = connection.load_collection("S2", bands=["B8A", "B02"]).execute()
    numbers = expected(scene, name)
    np.testing.assert_array_equal(cube, numbers[..., [4, 0], :, :])


@pytest.mark.parametrize("name", FORMATS)
def test_the_spatial_extent_chooses_pixels_by_their_centres(scene_files: Path, name: str) -> None:
    connection = connected({"S2": scene_files / name})
    box = {"west": 6e5 + 95, "east": 6e5 + 204, "south": 5e6 - 101, "north": 5e6 - 9}
    cube = connection.load_collection("S2", spatial_extent=box | {"crs": 32633}).execute()
    np.testing.assert_allclose(cube["x"], 6e5 + 5 + 10.0 * np.arange(9, 20))
    np.testing.assert_allclose(cube["y"], 5e6 - 5 - 10.0 * np.arange(1, 10))


def test_the_spatial_extent_is_in_degrees_unless_said_otherwise(scene_files: Path) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    box = {"west": 16.2735, "east": 16.2765, "south": 45.1435, "north": 45.1455}
    cube = connection.load_collection("S2", spatial_extent=box).execute()
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    west, north = to_degrees.transform(cube["x"][0].item(), cube["y"][0].item())
    east, south = to_degrees.transform(cube["x"][-1].item(), cube["y"][-1].item())
    pixel = 2e-4
    assert abs(west - box["west"]) < pixel
    assert abs(east - box["east"]) < pixel
    assert abs(south - box["south"]) < pixel
    assert abs(north - box["north"]) < pixel


@pytest.mark.parametrize(
    ("extent", "dates"),
    [
        (["2020-06-03", "2020-06-06"], [1]),
        (["2020-06-03", None], [1, 2]),
        ([None, "2020-06-03"], [0]),
        (["2020-06-01T00:00:00Z", "2020-06-03T00:00:01Z"], [0, 1]),
    ],
)
def test_the_temporal_extent_excludes_its_end(
    scene: xr.Dataset, scene_files: Path, extent: Any, dates: list[int]
) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    cube = connection.load_collection("S2", temporal_extent=extent).execute()
    np.testing.assert_array_equal(cube["t"], scene["t"][dates])


def test_a_file_without_dates_has_any_date(scene_files: Path) -> None:
    connection = connected({"S2": scene_files / "scene.tif"})
    cube = connection.load_collection("S2", temporal_extent=["2021-01-01", "2021-02-01"])
    assert cube.execute().dims == ("bands", "y", "x")


def test_properties_choose_nothing(scene_files: Path) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    cube = connection.load_collection("S2", None, None, ["B02"], max_cloud_cover=20)
    assert cube.execute().shape == (3, 1, 40, 50)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"bands": ["B02", "B10"]}, BandError, "bands B10 are missing; there are B02"),
        (
            {"spatial_extent": {"west": 1, "south": 1, "east": 2, "north": 2}},
            CubeError,
            "no pixel lies in x .*; the file has x 600005 to",
        ),
        (
            {"spatial_extent": {"type": "Polygon", "coordinates": []}},
            OptionError,
            "only a bounding box",
        ),
        (
            {"temporal_extent": ["2021-01-01", "2022-01-01"]},
            CubeError,
            "no date lies from 2021-01-01.* to before 2022-01-01.*; the file has 2020-06-01",
        ),
    ],
)
def test_what_the_file_does_not_have_is_refused(
    scene_files: Path, arguments: Any, error: type[Exception], message: str
) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    node = {"process_id": "load_collection", "arguments": {"id": "S2"} | arguments, "result": True}
    with pytest.raises(error, match=message):
        connection.execute({"load": node})


def test_a_spatial_extent_without_a_crs_is_refused(scene: xr.Dataset, tmp_path: Path) -> None:
    scene.drop_vars("spatial_ref").drop_encoding().to_netcdf(tmp_path / "bare.nc")
    connection = connected({"S2": tmp_path / "bare.nc"})
    box = {"west": 1, "south": 1, "east": 2, "north": 2}
    with pytest.raises(CubeError, match="does not say its CRS"):
        connection.load_collection("S2", spatial_extent=box).execute()


# The connection


def test_other_local_connections_are_not_changed(scene_files: Path) -> None:
    from openeo.local.processing import PROCESS_REGISTRY

    before = dict(PROCESS_REGISTRY.store["predefined"])
    connection = connected(scene_files)
    connection.load_collection("scene.nc").execute()
    assert PROCESS_REGISTRY.store["predefined"] == before
    assert "apply_neighborhood" not in before


def test_two_connections_keep_their_own_collections(scene_files: Path) -> None:
    first = connected({"S2": scene_files / "scene.nc"})
    second = connected({"S2": scene_files / "scene.tif"})
    assert first.load_collection("S2").execute().sizes["t"] == 3
    assert "t" not in second.load_collection("S2").execute().dims


def test_it_is_a_local_connection_of_the_client(scene_files: Path) -> None:
    from openeo.local import LocalConnection

    assert isinstance(connected(scene_files), LocalConnection)


@pytest.mark.parametrize("arguments", [{"validate": True}, {"auto_decode": False}])
def test_what_a_server_would_do_is_refused(scene_files: Path, arguments: Any) -> None:
    connection = connected({"S2": scene_files / "scene.nc"})
    with pytest.raises(ValueError, match="a local connection"):
        connection.execute(connection.load_collection("S2").flat_graph(), **arguments)


@pytest.mark.parametrize(
    "missing", ["openeo", "openeo_pg_parser_networkx", "openeo_processes_dask", "rioxarray"]
)
def test_what_is_not_installed_is_named_with_both_commands(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ImportError,
        match=rf"{missing}.*`pip install 'openeo-cloudmask\[openeo-local\]'`, then "
        "`pip install --no-deps openeo-processes-dask`",
    ):
        connected(".")
