"""One scene through every door, and what leads through none."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from cloudmask.errors import CubeError
from cloudmask.local.product import Wanted
from cloudmask.local.readers import find_scenes, open_cube
from cloudmask.local.run import FileJob, mask_file
from cloudmask.testing import brightest_band, fake_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    See = Callable[..., NDArray[np.float32]]

pytest.importorskip("rioxarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")
pytest.importorskip("pystac")
# rasterio and rioxarray multiply transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B04", "B11", "B01")


@pytest.fixture(scope="module")
def doors(
    tmp_path_factory: pytest.TempPathFactory,
    trees: Any,
    images: Any,
    expected: Any,
    stac_item: Any,
) -> dict[str, str]:
    """Kind of source -> the same scene as such."""
    root = tmp_path_factory.mktemp("doors")
    safe = trees.write_safe(root, trees.shifted(images), trees.Safe(**trees.N0400))
    (root / "bands").mkdir()
    for band, image in images.items():
        trees.write_image(root / "bands" / f"x_{band}.tif", image, trees.METRES[band])
    (root / "stac").mkdir()
    item = stac_item(root / "stac", images, ".")
    (root / "stac" / "item.json").write_text(json.dumps(item), "utf-8")
    geotiff(root / "scene.tif", expected, trees)
    cube(expected).to_netcdf(root / "cube.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube(expected).to_dataset().to_zarr(root / "cube.zarr")
    places = {
        "SAFE": safe, "zip": trees.zipped(safe), "folder": root / "bands",
        "item": root / "stac" / "item.json", "GeoTIFF": root / "scene.tif",
        "netCDF": root / "cube.nc", "Zarr": root / "cube.zarr",
    }  # fmt: skip
    return {kind: str(place) for kind, place in places.items()}


KINDS = ("SAFE", "zip", "folder", "item", "GeoTIFF", "netCDF", "Zarr")


def geotiff(path: Path, numbers: NDArray[Any], trees: Any, **options: Any) -> None:
    count, height, width = numbers.shape
    profile = {
        "count": count, "height": height, "width": width, "dtype": numbers.dtype, "nodata": 0,
        "crs": trees.CRS, "transform": rasterio.Affine(10, 0, trees.LEFT, 0, -10, trees.TOP),
    }  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", **{**profile, **options}) as file:
        file.write(numbers)
        file.descriptions = BANDS


def cube(numbers: NDArray[Any]) -> xr.DataArray:
    place = {"y": 4_693_200 - 5 - 10.0 * np.arange(120), "x": 399_960 + 5 + 10.0 * np.arange(120)}
    made = xr.DataArray(
        numbers, dims=("bands", "y", "x"), coords={"bands": list(BANDS), **place}, name="s2"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.rio.write_crs("EPSG:32631")


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_the_same_through_every_door(
    doors: Mapping[str, str], kind: str, seen: See, truth: Any
) -> None:
    (scene,) = find_scenes(doors[kind])
    # To a byte that of the GeoTIFF, whose numbers are those of the test.
    np.testing.assert_array_equal(seen(scene), seen(*find_scenes(doors["GeoTIFF"])))
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)


def mask(source: str, output: Path) -> NDArray[np.uint8]:
    """Mask by the brightest of the bands: clear, thick, thin or shadow."""
    model = brightest_band(fake_spec(BANDS, tile=64, overlap=16))
    (scene,) = find_scenes(source)
    mask_file(FileJob(scene=scene, output=output, models=(model,), quiet=True))
    with rasterio.open(output) as file:
        return np.asarray(file.read(1))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "GeoTIFF"])
def test_the_mask_of_a_scene_is_the_same_through_every_door(
    doors: Mapping[str, str], kind: str, tmp_path: Path
) -> None:
    found, wanted = (mask(doors[each], tmp_path / f"{each}.tif") for each in (kind, "GeoTIFF"))
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted)) > 2


def test_the_mask_of_an_item_from_the_web_is_that_of_its_geotiff(
    doors: Mapping[str, str], web: Any, images: Any, stac_item: Any, tmp_path: Path
) -> None:
    item = stac_item(web.folder, images, web.url)
    (web.folder / "item.json").write_text(json.dumps(item), "utf-8")
    found = mask(f"{web.url}/item.json", tmp_path / "web.tif")
    np.testing.assert_array_equal(found, mask(doors["GeoTIFF"], tmp_path / "file.tif"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_lies_in_the_same_place_through_every_door(
    doors: Mapping[str, str], kind: str
) -> None:
    with find_scenes(doors[kind])[0].opened(Wanted(bands=BANDS)) as product:
        assert product.grid.shape == product.raster.shape[1:] == (120, 120)
        assert product.grid.crs.to_epsg() == 32631
        assert product.grid.transform.to_gdal() == (399_960, 10, 0, 4_693_200, 0, -10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_can_be_looked_at_through_every_door(doors: Mapping[str, str], kind: str) -> None:
    with find_scenes(doors[kind])[0].opened(Wanted(bands=BANDS)) as product:
        small = product.colours.thumbnail(60)
        assert product.raster.itemsize == 2
        assert product.raster.sample().shape[0] == 4
    assert small.shape[0] in (1, 3)
    assert small.shape[1:] == (60, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_of_every_door_has_a_name_and_an_identity(
    doors: Mapping[str, str], kind: str
) -> None:
    (scene,) = find_scenes(doors[kind])
    assert "/" not in scene.name
    assert scene.place == doors[kind]
    assert scene.identity() == find_scenes(doors[kind])[0].identity() != ""


# -- rasters --------------------------------------------------------------------------------


def test_a_rasters_own_scale_and_offset_are_applied(
    tmp_path: Path, trees: Any, expected: Any, seen: See, truth: Any
) -> None:
    geotiff(tmp_path / "a.tif", np.where(expected == 0, 0, expected + 1000), trees)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.scales, file.offsets = (0.0001,) * 4, (-0.1,) * 4
    np.testing.assert_allclose(seen(*find_scenes(tmp_path / "a.tif")), truth, atol=1e-7)


def test_a_raster_tells_when_it_was_seen(tmp_path: Path, trees: Any, expected: Any) -> None:
    geotiff(tmp_path / "a.tif", expected, trees)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2020-01-01 10:54:41")
    with find_scenes(tmp_path / "a.tif")[0].opened(Wanted(bands=BANDS)) as product:
        assert product.facts.when is not None
        assert product.facts.when.isoformat() == "2020-01-01T10:54:41+00:00"


def test_identity_of_a_virtual_raster_is_that_of_its_files(
    tmp_path: Path, trees: Any, expected: Any
) -> None:
    geotiff(tmp_path / "a.tif", expected, trees)
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="120" rasterYSize="120">'
        '<VRTRasterBand dataType="UInt16" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    (scene,) = find_scenes(tmp_path / "a.vrt")
    before = scene.identity()
    geotiff(tmp_path / "a.tif", expected, trees, compress="deflate")
    assert scene.identity() != before


# -- what leads nowhere ---------------------------------------------------------------------


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"no\.tif: there is no such file or folder"):
        find_scenes(tmp_path / "no.tif")


def test_bands_without_names_are_refused_with_the_file(
    tmp_path: Path, trees: Any, expected: Any, seen: See
) -> None:
    trees.write_image(tmp_path / "a.tif", expected[0], 10)
    with pytest.raises(ValueError, match=r"a\.tif: .*no descriptions.*--bands"):
        seen(*find_scenes(tmp_path / "a.tif"))


# -- lazy cubes -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_lazy_cube_is_the_same_through_every_door(
    doors: Mapping[str, str], kind: str, truth: Any
) -> None:
    from cloudmask.bands import PRESETS

    cube = open_cube(doors[kind], bands=BANDS, chunks=50)
    assert cube.dims == ("bands", "y", "x")
    assert list(cube.bands.values) == list(BANDS)
    assert cube.chunks == ((4,), (50, 50, 20), (50, 50, 20))
    assert cube.rio.crs.to_epsg() == 32631
    numbers, preset = cube.values, PRESETS[cube.attrs["preset"]]
    found = preset.reflectance(numbers)
    found[:, ~preset.valid(numbers)] = np.nan
    np.testing.assert_allclose(found, truth, atol=1e-7)


def test_a_lazy_cube_reads_nothing_before_it_is_computed(
    tmp_path: Path, doors: Mapping[str, str]
) -> None:
    cube = open_cube(doors["GeoTIFF"])
    assert cube.chunks is not None
    assert list(cube.bands.values) == list(BANDS)


def test_numbers_without_a_named_preset_become_reflectance(
    tmp_path: Path, trees: Any, expected: Any, truth: Any
) -> None:
    geotiff(tmp_path / "a.tif", np.where(expected == 0, 7, expected * 2), trees, nodata=7)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.scales = (0.00005,) * 4
    cube = open_cube(tmp_path / "a.tif")
    assert cube.attrs["preset"] == "reflectance"
    assert cube.dtype == np.float32
    complete = np.isfinite(truth[0])
    np.testing.assert_allclose(cube.values[:, complete], truth[:, complete], atol=1e-7)
    assert np.isnan(cube.values).any(axis=0)[~complete].all()


def test_what_a_mask_hides_is_no_data_in_a_lazy_cube(
    tmp_path: Path, trees: Any, expected: Any
) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        geotiff(tmp_path / "a.tif", expected, trees, nodata=None)
        with rasterio.open(tmp_path / "a.tif", "r+") as file:
            mask = np.zeros((120, 120), bool)
            mask[:, 70:] = True
            file.write_mask(mask)
    assert np.isnan(open_cube(tmp_path / "a.tif").values[:, :, :70]).all()


def test_moments_become_a_dimension(tmp_path: Path, expected: Any) -> None:
    later = cube(np.where(expected == 0, 0, expected + 500))
    series = xr.concat([cube(expected), later], dim="time").assign_coords(
        time=np.array(["2020-01-01", "2020-01-06"], "datetime64[ns]")
    )
    series.to_netcdf(tmp_path / "cube.nc")
    found = open_cube(tmp_path / "cube.nc", bands=("B11", "B02"), chunks=64)
    assert found.dims == ("t", "bands", "y", "x")
    assert found.chunks == ((1, 1), (2,), (64, 56), (64, 56))
    np.testing.assert_array_equal(found.values, series.values[:, [2, 0]])


def test_moments_of_a_folder_become_a_dimension(
    tmp_path: Path, trees: Any, images: Any, expected: Any
) -> None:
    for day in ("20200101", "20200111"):
        for band in BANDS:
            path = tmp_path / f"x_{day}_{band}.tif"
            trees.write_image(path, images[band], trees.METRES[band])
    found = open_cube(tmp_path, bands=BANDS)
    assert found.dims == ("t", "bands", "y", "x")
    np.testing.assert_array_equal(found.values, np.stack([expected, expected]))


def test_a_lazy_cube_is_masked_as_a_file_is(doors: Mapping[str, str], tiny_network: Path) -> None:
    from cloudmask import mask_clouds

    bands = ("B02", "B03", "B04", "B08")
    masks = []
    for kind in ("SAFE", "item", "folder"):
        cube = open_cube(doors[kind], bands=bands)
        masks.append(mask_clouds(cube, tiny_network, preset=cube.attrs["preset"]).values)
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


# -- searches as a cube ---------------------------------------------------------------------


@pytest.fixture
def files(web: Any) -> Iterator[str]:
    """Serve the folder by another process: GDAL may keep a server in this one waiting."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        command, cwd=web.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        port = server.stdout.readline().split(" port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
def search(web: Any, files: str, trees: Any, images: Any, stac_item: Any) -> Callable[[int], str]:
    """Give the function that puts two moments into an API, the second one moved by metres."""
    pytest.importorskip("pystac_client")
    pytest.importorskip("odc.stac")

    def make(metres: int) -> str:
        items = []
        for day, shift in (("01", 0), ("06", metres)):
            folder = web.folder / day
            item = stac_item(folder, images, f"{files}/{day}")
            for band, image in images.items():
                size = trees.METRES[band]
                place = rasterio.Affine(size, 0, trees.LEFT + shift, 0, -size, trees.TOP)
                trees.write_image(folder / f"{band}.tif", image, size, transform=place)
            when = {"datetime": f"2020-01-{day}T10:54:41Z"}
            items.append({**item, "id": day, "properties": {**item["properties"], **when}})
        link = {"rel": "search", "type": "application/geo+json", "href": f"{web.url}/api/search"}
        core = "https://api.stacspec.org/v1.0.0"
        root = {
            "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "On loopback.",
            "conformsTo": [f"{core}/core", f"{core}/item-search"],
            "links": [{"rel": "self", "href": f"{web.url}/api"}, {**link, "method": "POST"}],
        }  # fmt: skip
        found = {"type": "FeatureCollection", "features": items, "links": []}
        web.answers.update({"/api": lambda _: root, "/api/search": lambda _: found})
        return f"stac+{web.url}/api?collections=sentinel-2-l1c"

    return make


def test_a_search_becomes_one_cube(search: Callable[[int], str], expected: Any) -> None:
    found = open_cube(search(0), bands=BANDS, chunks=64)
    assert found.dims == ("t", "bands", "y", "x")
    assert found.attrs["preset"] == "dn"
    days = found.t.values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2020-01-01", "2020-01-06"]
    np.testing.assert_array_equal(found.values, np.stack([expected, expected]))


@pytest.mark.filterwarnings(
    "ignore:The 'shapely.ops.transform:DeprecationWarning",
    "ignore::rasterio.errors.NotGeoreferencedWarning",
)
def test_items_of_different_places_come_to_one_grid(
    search: Callable[[int], str], expected: Any
) -> None:
    found = open_cube(search(600), bands=BANDS, chunks=64)
    assert found.shape == (2, 4, 120, 180)
    np.testing.assert_array_equal(found.values[0, :, :, :120], expected)
    np.testing.assert_array_equal(found.values[1, :, :, 60:], expected)
    assert (found.values[0, :, :, 120:] == 0).all()
    assert (found.values[1, :, :, :60] == 0).all()


def test_scenes_of_different_places_that_are_no_items_are_refused(
    tmp_path: Path, trees: Any, images: Any
) -> None:
    trees.write_image(tmp_path / "a_B02.tif", images["B02"], 10)
    trees.write_image(tmp_path / "b_B02.tif", images["B02"], 20)
    with pytest.raises(CubeError, match="and 1 more: lie on different grids"):
        open_cube(tmp_path)
