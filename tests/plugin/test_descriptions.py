"""Unusual files, and what a local connection says of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyproj import CRS, Transformer

from cloudmask_openeo import local_connection

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr


def connected(path: Path) -> Any:
    """Connect; the client's types say that its local results were dictionaries."""
    return local_connection({"S2": path})


@pytest.fixture
def raster(scene: xr.Dataset) -> xr.DataArray:
    """Two bands of the first date, (band, y, x)."""
    return scene[["B02", "B03"]].isel(t=0, drop=True).to_dataarray("band")


@pytest.mark.parametrize(
    ("described", "names"),
    [(("B02", ""), ["B02", "band_2"]), (("", ""), ["band_1", "band_2"])],
)
def test_bands_of_a_geotiff_without_descriptions_are_numbered(
    raster: xr.DataArray, tmp_path: Path, described: tuple[str, ...], names: list[str]
) -> None:
    path = tmp_path / "scene.tif"
    raster.assign_attrs(long_name=described).rio.to_raster(path)
    assert list(connected(path).load_collection("S2").execute()["bands"].values) == names


def test_a_geotiff_with_a_no_data_value_is_lazy_too(raster: xr.DataArray, tmp_path: Path) -> None:
    raster.rio.write_nodata(0).rio.to_raster(tmp_path / "scene.tif")
    assert connected(tmp_path / "scene.tif").load_collection("S2").execute().chunks is not None


def test_bands_of_a_zarr_that_no_instrument_has_come_last(
    scene: xr.Dataset, tmp_path: Path
) -> None:
    odd = scene[["B02", "B8A", "B11"]].assign(A_DEM=scene["B02"] * 0)
    odd.to_zarr(tmp_path / "scene.zarr", zarr_format=2)
    cube = connected(tmp_path / "scene.zarr").load_collection("S2").execute()
    assert list(cube["bands"].values) == ["B02", "B8A", "B11", "A_DEM"]
    np.testing.assert_array_equal(cube.sel(bands="A_DEM"), 0)


def test_longitude_and_latitude_are_degrees(scene: xr.Dataset, tmp_path: Path) -> None:
    bare = scene[["B02"]].drop_vars("spatial_ref").drop_encoding()
    bare["B02"].attrs.clear()
    degrees = bare.rename(x="lon", y="lat").assign_coords(
        lon=16 + 0.0001 * np.arange(50), lat=45 - 0.0001 * np.arange(40)
    )
    degrees.to_netcdf(tmp_path / "degrees.nc")
    extent = {"west": 16.00105, "south": 0, "east": 17, "north": 90}
    cube = connected(tmp_path / "degrees.nc").load_collection("S2", spatial_extent=extent)
    assert cube.execute().dims == ("t", "bands", "y", "x")
    np.testing.assert_allclose(cube.execute()["x"], 16 + 0.0001 * np.arange(11, 50))


def test_the_description_is_what_stac_and_its_datacube_extension_ask_for(
    scene: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "scene.nc"
    scene.to_netcdf(path)
    told = connected(path).describe_collection("S2")
    dimensions = told["cube:dimensions"]
    assert dimensions["x"]["extent"] == [600005, 600495]
    assert dimensions["y"]["extent"] == [5e6 - 395, 5e6 - 5], "by value, not from the top"
    for axis in "xy":
        assert (dimensions[axis]["type"], dimensions[axis]["axis"]) == ("spatial", axis)
        assert CRS(dimensions[axis]["reference_system"]).to_epsg() == 32633
    first, last = dimensions["t"]["extent"]
    assert (first[:10], last[:10]) == ("2020-06-01", "2020-06-06")
    assert told["extent"]["temporal"]["interval"] == [[first, last]]
    assert (told["title"], told["license"]) == ("scene.nc", "other")


def test_the_extent_of_a_description_goes_to_the_edges_of_pixels(
    scene: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "scene.nc"
    scene.to_netcdf(path)
    (told,) = connected(path).describe_collection("S2")["extent"]["spatial"]["bbox"]
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    edges = to_degrees.transform_bounds(6e5, 5e6 - 400, 6e5 + 500, 5e6)
    np.testing.assert_allclose(told, edges, rtol=0, atol=1e-9)


def test_a_file_with_a_crs_but_no_coordinates_has_no_extent(
    scene: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "bare.nc"
    scene.drop_vars(["x", "y"]).to_netcdf(path)
    told = connected(path).describe_collection("S2")
    assert "spatial" not in told["extent"]
    assert told["cube:dimensions"]["x"]["extent"] == [0, 49]


def test_a_title_of_the_files_own_is_told(raster: xr.DataArray, tmp_path: Path) -> None:
    cube = raster.rename("toa").assign_attrs(title="Graz", description="A scene", license="CC0")
    cube.to_netcdf(tmp_path / "scene.nc")
    told = connected(tmp_path / "scene.nc").describe_collection("S2")
    assert (told["title"], told["description"], told["license"]) == ("Graz", "A scene", "CC0")
