"""Folders of GeoTIFF: pairs of one's own, and the pairs with reference masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from cloudmask_export.evaluation.datasets import check, open_dataset
from cloudmask_export.evaluation.datasets.folders import region
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path, files: Any) -> Path:
    """One image of B04 and B08 with its labels."""
    image = files.numbers(bands=2)
    image[1, 2, 3] = 0
    files.tiff(tmp_path / "a_p7_image.tif", image, ("B04", "nir"))
    files.tiff(tmp_path / "a_p7_label.tif", np.full((8, 8), 3, np.uint8))
    return tmp_path


def test_numbers_become_reflectance_and_0_becomes_no_data_in_its_own_band(pair: Path) -> None:
    image = open_dataset(pair).samples[0].image()
    assert image.reflectance[0, 2, 3] == pytest.approx(0.1023)
    assert image.reflectance[1, 0, 0] == pytest.approx(0.2)
    assert np.argwhere(np.isnan(image.reflectance)).tolist() == [[1, 2, 3]]


def test_bands_are_those_that_the_descriptions_name(pair: Path) -> None:
    assert open_dataset(pair).samples[0].image().bands == ("B04", "B08")


def test_thirteen_bands_without_descriptions_are_the_instruments(
    tmp_path: Path, files: Any
) -> None:
    files.tiff(tmp_path / "a_image.tif", files.numbers())
    files.tiff(tmp_path / "a_label.tif", np.zeros((8, 8), np.uint8))
    image = open_dataset(tmp_path).samples[0].image()
    assert image.bands == files.bands
    assert image.reflectance[8, 0, 0] == pytest.approx(0.9)
    assert image.level == "L1C"


def test_an_image_without_b10_is_of_no_certain_level(pair: Path) -> None:
    assert open_dataset(pair).samples[0].image().level == ""


def test_scale_and_offset_of_the_file_go_before_all_else(tmp_path: Path, files: Any) -> None:
    files.tiff(
        tmp_path / "a_image.tif",
        files.numbers(bands=1) + np.uint16(1000),
        ("B02",),
        scales=(0.0001,),
        offsets=(-0.1,),
    )
    files.tiff(tmp_path / "a_label.tif", np.zeros((8, 8), np.uint8))
    image = open_dataset(tmp_path).samples[0].image()
    assert image.reflectance[0, 1, 2] == pytest.approx(0.1012)


def test_floats_are_reflectance_already(tmp_path: Path, files: Any) -> None:
    image = np.full((1, 8, 8), 0.25, np.float32)
    image[0, 0, 0] = np.nan
    files.tiff(tmp_path / "a_image.tif", image, ("B02",))
    files.tiff(tmp_path / "a_label.tif", np.zeros((8, 8), np.uint8))
    found = open_dataset(tmp_path).samples[0].image()
    assert found.reflectance[0, 1, 1] == 0.25
    assert np.isnan(found.reflectance[0, 0, 0])


def test_floats_that_are_no_reflectance_are_refused(tmp_path: Path, files: Any) -> None:
    files.tiff(tmp_path / "a_image.tif", files.numbers(bands=1).astype(np.float32), ("B02",))
    files.tiff(tmp_path / "a_label.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(EvaluationError, match=r"a_image\.tif: preset 'reflectance' gives"):
        open_dataset(tmp_path).samples[0].image()


def test_pixels_are_as_large_as_the_file_says(tmp_path: Path, files: Any) -> None:
    place = rasterio.Affine(20, 0, 5e5, 0, -20, 5e6)
    files.tiff(tmp_path / "a_image.tif", files.numbers(bands=1), ("B02",), transform=place)
    files.tiff(tmp_path / "a_label.tif", np.zeros((8, 8), np.uint8))
    assert open_dataset(tmp_path).samples[0].image().pixel_size == 20


def test_labels_keep_their_codes(pair: Path) -> None:
    dataset = open_dataset(pair)
    assert (dataset.name, dataset.scheme.name, dataset.human) == ("geotiff", "cloudmask", False)
    truth = dataset.samples[0].truth()
    assert truth.codes.tolist() == [[3] * 8] * 8
    assert truth.rows is None


def test_nothing_is_read_before_it_is_asked_for(pair: Path, spoil: Callable[[Path], Path]) -> None:
    for file in pair.iterdir():
        spoil(file)
    sample = open_dataset(pair).samples[0]
    assert (sample.name, sample.group) == ("a_p7", "a")
    with pytest.raises(EvaluationError, match=r"a_p7_image\.tif: cannot be read as a raster"):
        sample.image()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1158_spring_39_p100", "1158_spring_39"), ("a_p", "a_p"), ("p7", "p7"), ("x_p1_p2", "x_p1")],
)
def test_a_region_is_the_name_up_to_the_patch(name: str, expected: str) -> None:
    assert region(name) == expected


def test_an_image_without_labels_is_refused(pair: Path) -> None:
    (pair / "a_p7_label.tif").rename(pair / "b_label.tif")
    with pytest.raises(EvaluationError, match=r"a_p7_image\.tif: there is no a_p7_label\.tif"):
        open_dataset(pair)


def test_labels_without_an_image_are_refused(pair: Path, files: Any) -> None:
    files.tiff(pair / "b_label.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(EvaluationError, match=r"b_label\.tif: there is no b_image\.tif"):
        open_dataset(pair)


def test_codes_that_the_scheme_lacks_are_refused(pair: Path, files: Any) -> None:
    files.tiff(pair / "a_p7_label.tif", np.full((8, 8), 7, np.uint8))
    with pytest.raises(
        EvaluationError, match=r"a_p7_image\.tif: the labels have the codes 7, but"
    ):
        check(open_dataset(pair))


def test_labels_that_are_no_whole_numbers_are_refused(pair: Path, files: Any) -> None:
    files.tiff(pair / "a_p7_label.tif", np.full((8, 8), 0.5, np.float32))
    with pytest.raises(EvaluationError, match="the labels are float32; class codes are whole"):
        check(open_dataset(pair))


def test_labels_of_another_size_are_refused(pair: Path, files: Any) -> None:
    files.tiff(pair / "a_p7_label.tif", np.zeros((8, 9), np.uint8))
    with pytest.raises(EvaluationError, match=r"shape \(8, 9\), their image of \(8, 8\)"):
        check(open_dataset(pair))


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (("B02", "B02"), "band 2 is called 'B02', which is there twice"),
        (("B02", "elevation"), "band 2 is called 'elevation', which is no band of Sentinel-2"),
        ((), "its 2 bands have no descriptions; without, they must be all 13"),
    ],
)
def test_bands_that_cannot_be_told_are_refused(
    pair: Path, files: Any, names: tuple[str, ...], match: str
) -> None:
    (pair / "a_p7_image.tif").unlink()
    files.tiff(pair / "a_p7_image.tif", files.numbers(bands=2), names)
    with pytest.raises(EvaluationError, match=match):
        open_dataset(pair).samples[0].image()


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, files: Any) -> None:
    path = files.tiff(tmp_path / "a_image.tif", files.numbers(64))
    files.tiff(tmp_path / "a_label.tif", np.zeros((64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(EvaluationError, match=r"a_image\.tif: cannot be read .*damaged or incom"):
        open_dataset(tmp_path).samples[0].image()


def test_reference_masks_tell_clear_cloud_and_shadow(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "pairs")
    assert (dataset.name, dataset.human, len(dataset.samples)) == ("pairs", False, 7)
    assert {each.group for each in dataset.samples} == {
        "1158_spring_39", "1868_summer_102", "1970_fall_85"
    }  # fmt: skip
    check(dataset)


def test_the_real_pairs_are_read_as_rasterio_reads_them(shared_data: Path, files: Any) -> None:
    sample = open_dataset(shared_data / "pairs").samples[0]
    with rasterio.open(shared_data / "pairs" / f"{sample.name}_cloudy.tif") as file:
        raw = file.read()
    image = sample.image()
    assert (image.bands, image.level, image.pixel_size) == (files.bands, "L1C", 10.0)
    expected = np.where(raw == 0, np.nan, raw / 10_000)
    np.testing.assert_allclose(image.reflectance, expected, rtol=1e-6)
    with rasterio.open(shared_data / "pairs" / f"{sample.name}_ref.tif") as file:
        np.testing.assert_array_equal(sample.truth().codes, file.read(1))
