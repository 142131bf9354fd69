from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from cloudmask.errors import BandError, CubeError
from cloudmask.local.product import Wanted
from cloudmask.local.readers.find import find_scenes
from cloudmask.local.readers.rasters import gdal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    See = Callable[..., NDArray[np.float32]]

BANDS = ("B02", "B04", "B11", "B01")


@pytest.fixture
def write(trees: Any, images: Any) -> Callable[[Path, str], Path]:
    """Give the function that writes a band a file; the pattern has {band} and {metres}."""

    def make(folder: Path, pattern: str, some: Mapping[str, Any] | None = None) -> Path:
        for band, image in (some or images).items():
            metres = trees.METRES[band]
            path = folder / pattern.format(band=band, metres=metres)
            trees.write_image(path, image, metres)
        return folder

    return make


# -- one file a band ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "{band}.tif",
        "T31TCJ_20200101T105441_{band}.jp2",
        "winter-{band}_{metres}m.tif",
        "x.{band}.tif",
    ],
)
def test_files_are_named_after_their_bands(
    tmp_path: Path, write: Any, seen: See, truth: Any, pattern: str
) -> None:
    (scene,) = find_scenes(write(tmp_path / "winter", pattern))
    assert scene.name == "winter"
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)


def test_files_may_have_common_names(
    tmp_path: Path, trees: Any, images: Any, seen: See, truth: Any
) -> None:
    common = {"B02": "blue", "B04": "red", "B11": "swir16", "B01": "coastal"}
    for band, name in common.items():
        trees.write_image(tmp_path / f"{name}.tif", images[band], trees.METRES[band])
    np.testing.assert_allclose(seen(*find_scenes(tmp_path)), truth, atol=1e-7)


def test_scenes_of_one_folder_are_told_apart_by_what_precedes_the_band(
    tmp_path: Path, write: Any, images: Any, seen: See, truth: Any
) -> None:
    write(tmp_path, "T31TCJ_20200101_{band}.tif")
    later = {band: np.full_like(image, 5000) for band, image in images.items()}
    write(tmp_path, "T31TCJ_20200111_{band}.tif", later)
    first, second = find_scenes(tmp_path)
    assert (first.name, second.name) == ("T31TCJ_20200101", "T31TCJ_20200111")
    np.testing.assert_allclose(seen(first), truth, atol=1e-7)
    np.testing.assert_allclose(seen(second), 0.5, atol=1e-7)


def test_of_several_pixel_sizes_the_finest_is_taken(
    tmp_path: Path, trees: Any, write: Any, images: Any, seen: See, truth: Any
) -> None:
    write(tmp_path, "{band}_{metres}m.tif")
    trees.write_image(tmp_path / "B02_20m.tif", np.zeros((60, 60), np.uint16), 20)
    trees.write_image(tmp_path / "B02_60m.tif", np.zeros((20, 20), np.uint16), 60)
    np.testing.assert_allclose(seen(*find_scenes(tmp_path)), truth, atol=1e-7)


def test_no_data_of_a_file_is_no_data(
    tmp_path: Path, trees: Any, images: Any, write: Any, seen: See
) -> None:
    write(tmp_path, "{band}.tif")
    some = images["B02"].copy()
    some[50, 60] = 65535
    trees.write_image(tmp_path / "B02.tif", some, 10, nodata=65535)
    assert np.isnan(seen(*find_scenes(tmp_path))[:, 50, 60]).all()


def test_what_a_files_own_mask_hides_is_no_data(
    tmp_path: Path, images: Any, write: Any, seen: See
) -> None:
    write(tmp_path, "{band}.tif")
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "B04.tif", "r+") as file,
    ):
        mask = np.ones((120, 120), bool)
        mask[60:, 40:] = False
        file.write_mask(mask)
    found = seen(*find_scenes(tmp_path))
    assert np.isnan(found[:, 60:, 40:]).all()
    assert np.isfinite(found[:, 60:, :40]).any()


def test_scale_and_offset_of_the_files_are_respected(
    tmp_path: Path, trees: Any, images: Any, write: Any, seen: See, truth: Any
) -> None:
    write(tmp_path, "{band}.tif", trees.shifted(images))
    for path in tmp_path.glob("*.tif"):
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets, file.nodata = (0.0001,), (-0.1,), 0
    np.testing.assert_allclose(seen(*find_scenes(tmp_path)), truth, atol=1e-7)


def test_a_band_that_lacks_is_named_with_the_folder(
    tmp_path: Path, write: Any, images: Any, seen: See
) -> None:
    write(tmp_path / "few", "{band}.tif", {"B02": images["B02"]})
    with pytest.raises(BandError, match=r"few: missing bands B04, B11, B01; there are B02"):
        seen(*find_scenes(tmp_path / "few"))


def test_pixel_sizes_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, trees: Any, write: Any, seen: See
) -> None:
    write(tmp_path, "{band}.tif")
    trees.write_image(tmp_path / "B11.tif", np.ones((80, 80), np.uint16), 15)
    with pytest.raises(CubeError, match=r"B02 and B11 do not fit: .*120 x 120 and 80 x 80"):
        seen(*find_scenes(tmp_path))


def test_files_without_a_place_must_have_one_size(
    tmp_path: Path, trees: Any, images: Any, seen: See
) -> None:
    with gdal():
        for band, metres in {"B02": 10, "B04": 10, "B11": 20}.items():
            path = tmp_path / f"{band}.tif"
            trees.write_image(path, images[band], metres, crs=None, transform=None)
    assert seen(*find_scenes(tmp_path), bands=("B02", "B04")).shape == (2, 120, 120)
    with pytest.raises(CubeError, match="B02 and B11 do not fit: their corners"):
        seen(*find_scenes(tmp_path), bands=("B02", "B11"))


def test_landsat_is_refused(tmp_path: Path) -> None:
    (tmp_path / "LC08_L1TP_198030_20200101_20200823_02_T1_B10.TIF").write_bytes(b"")
    with pytest.raises(CubeError, match="a product of Landsat"):
        find_scenes(tmp_path)


def test_a_folder_without_bands_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "picture.tif").write_bytes(b"")
    with pytest.raises(CubeError, match=r"no file is named after a band.*picture\.tif"):
        find_scenes(tmp_path)


def test_a_truncated_image_in_a_folder_is_named(tmp_path: Path, write: Any, seen: See) -> None:
    path = write(tmp_path, "{band}.jp2") / "B04.jp2"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CubeError, match="band B04 is incomplete"):
        seen(*find_scenes(tmp_path))


# -- openEO job results ---------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, trees: Any, images: Any) -> Path:
    """Give a folder as openEO's client leaves it: two moments, bands named by the catalogue."""
    assets = {}
    numbers = trees.on_finest_grid(images, BANDS)
    for day in (1, 2):
        name = f"openEO_2020-01-0{day}Z.tif"
        place = rasterio.Affine(10, 0, trees.LEFT, 0, -10, trees.TOP)
        profile = {
            "transform": place,
            "height": 120,
            "width": 120,
            "count": 4,
            "dtype": "uint16",
            "nodata": 0,
        }
        with rasterio.open(tmp_path / name, "w", driver="GTiff", crs=trees.CRS, **profile) as file:
            file.write(numbers)
        assets[name] = {
            "href": f"https://openeo.example.org/results/{name}?signature=abc",
            "type": "image/tiff; application=geotiff",
            "eo:bands": [{"name": band} for band in BANDS],
        }
    assets["log.txt"] = {"href": "https://openeo.example.org/log.txt", "type": "text/plain"}
    catalogue = {"type": "Collection", "stac_version": "1.0.0", "id": "job", "assets": assets}
    (tmp_path / "job-results.json").write_text(json.dumps(catalogue), "utf-8")
    return tmp_path


def test_results_of_a_job_are_a_scene_each(results: Path, seen: See, truth: Any) -> None:
    scenes = find_scenes(results)
    assert [scene.name for scene in scenes] == ["openEO_2020-01-01Z", "openEO_2020-01-02Z"]
    np.testing.assert_allclose(seen(scenes[1]), truth, atol=1e-7)
    with scenes[1].opened(Wanted(bands=BANDS)) as product:
        assert product.facts.when == datetime(2020, 1, 2, tzinfo=UTC)


def test_the_catalogue_stands_for_its_folder(results: Path) -> None:
    found = [scene.name for scene in find_scenes(results / "job-results.json")]
    assert found == [scene.name for scene in find_scenes(results)]


def test_results_that_were_not_downloaded_are_refused(results: Path) -> None:
    for path in results.glob("*.tif"):
        path.unlink()
    with pytest.raises(CubeError, match=r"job-results\.json: none of its assets .*download"):
        find_scenes(results)


def test_a_damaged_catalogue_is_refused(results: Path) -> None:
    (results / "job-results.json").write_text("{", "utf-8")
    with pytest.raises(CubeError, match=r"job-results\.json: cannot be read as JSON"):
        find_scenes(results)
