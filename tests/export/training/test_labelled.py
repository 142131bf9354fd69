"""Labelled data sets, cut into the images of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.training import bank
from cloudmask_export.training.labelled import BANDS, EDGE, FINE, Chip, chips, is_held
from cloudmask_export.training.sets import UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

rasterio = pytest.importorskip("rasterio")


def write(folder: Path, name: str, image: Any, label: Any, *, pixel: float = 10.0) -> None:
    """Write a pair of GeoTIFF: reflectance x 10000 of all bands, our own class codes."""
    place = rasterio.Affine(pixel, 0, 6e5, 0, -pixel, 5e6)
    for end, data in (("image", image), ("label", label[None])):
        profile = {
            "driver": "GTiff", "count": len(data), "height": data.shape[1],
            "width": data.shape[2], "dtype": data.dtype, "crs": "EPSG:32631", "transform": place,
        }  # fmt: skip
        with rasterio.open(folder / f"{name}_{end}.tif", "w", **profile) as file:
            file.write(data)


def numbers(rows: int, columns: int, bands: int = 13) -> Any:
    draw = np.random.default_rng(0)
    return draw.integers(100, 9_000, (bands, rows, columns)).astype(np.uint16)


def test_constants_are_those_of_the_bank() -> None:
    assert (EDGE, FINE, BANDS) == (bank.EDGE, bank.FINE, bank.BANDS)


def test_a_large_image_is_cut_and_the_last_chip_pulled_inside(tmp_path: Path) -> None:
    image = numbers(EDGE, 500)
    label = (np.arange(EDGE * 500).reshape(EDGE, 500) % 4).astype(np.uint8)
    write(tmp_path, "x_p1", image, label)
    left, right = chips(tmp_path, BANDS)
    for chip, start in ((left, 0), (right, 500 - EDGE)):
        part = slice(start, start + EDGE)
        np.testing.assert_allclose(chip.image, image[:, :, part] / 1e4, rtol=1e-6)
        np.testing.assert_array_equal(chip.sets, 1 << label[:, part])
        assert (chip.name, chip.group) == ("x_p1", "x")


def test_a_narrow_rest_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "x", numbers(EDGE, EDGE + 20), np.zeros((EDGE, EDGE + 20), np.uint8))
    assert len(list(chips(tmp_path, BANDS))) == 1


def test_a_small_image_is_mirrored_without_labels(tmp_path: Path) -> None:
    image = numbers(200, EDGE)
    write(tmp_path, "x", image, np.ones((200, EDGE), np.uint8))
    (chip,) = chips(tmp_path, BANDS)
    np.testing.assert_allclose(chip.image[:, 200:210], image[:, 199:189:-1] / 1e4, rtol=1e-6)
    assert (chip.sets[:200] == 2).all()
    assert (chip.sets[200:] == UNKNOWN).all()


def test_coarse_pixels_are_repeated(tmp_path: Path) -> None:
    image = numbers(128, 128)
    label = (np.arange(128 * 128).reshape(128, 128) % 3).astype(np.uint8)
    write(tmp_path, "x", image, label, pixel=20.0)
    (chip,) = chips(tmp_path, BANDS)
    for row in (0, 1):
        for column in (0, 1):
            seen = (slice(row, None, 2), slice(column, None, 2))
            np.testing.assert_allclose(chip.image[:, *seen], image / 1e4, rtol=1e-6)
            np.testing.assert_array_equal(chip.sets[seen], 1 << label)


def test_pixels_between_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "x", numbers(256, 256), np.zeros((256, 256), np.uint8), pixel=15.0)
    with pytest.raises(ExportError, match=r"x_image\.tif: pixels of 15 m; a multiple of 10 m"):
        list(chips(tmp_path, BANDS))


def test_no_data_says_nothing_and_looks_like_the_rest(tmp_path: Path) -> None:
    image, label = numbers(EDGE, EDGE), np.zeros((EDGE, EDGE), np.uint8)
    image[:, :30] = 0
    write(tmp_path, "x", image, label)
    (chip,) = chips(tmp_path, BANDS)
    assert (chip.sets[:30] == UNKNOWN).all()
    assert (chip.sets[30:] == 1).all()
    means = image[:, 30:].mean(axis=(1, 2)) / 1e4
    np.testing.assert_allclose(chip.image[:, 0, 0], means, rtol=1e-4)


def test_a_chip_without_a_label_is_left_out(tmp_path: Path) -> None:
    label = np.full((EDGE, 2 * EDGE), 255, np.uint8)
    label[3, 300] = 1
    write(tmp_path, "x", numbers(EDGE, 2 * EDGE), label)
    (chip,) = chips(tmp_path, BANDS)
    assert np.argwhere(chip.sets == 2).tolist() == [[3, 300 - EDGE]]


def test_a_label_out_of_range_is_refused_by_its_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, numbers(256, 256), np.zeros((256, 256), np.uint8))
    wrong = np.zeros((256, 256), np.uint8)
    wrong[7, 7] = 9
    write(tmp_path, "b", numbers(256, 256), wrong)
    # Before the first image is read, so not only once the training gets there.
    with pytest.raises(ExportError, match=r"b_image\.tif.*9|b_label\.tif.*9"):
        next(chips(tmp_path, BANDS))


def test_labels_of_another_size_are_refused_by_their_file(tmp_path: Path) -> None:
    write(tmp_path, "x", numbers(256, 256), np.zeros((256, 250), np.uint8))
    with pytest.raises(ExportError, match=r"x_(image|label)\.tif.*250"):
        list(chips(tmp_path, BANDS))


def test_a_folder_of_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is of no known layout"):
        list(chips(tmp_path, BANDS))


def test_images_without_the_bands_are_refused_by_the_first(shared_data: Path) -> None:
    with pytest.raises(ExportError, match=r"ukis_sentinel2\.npz: .*(B01|pixels of 30 m)"):
        list(chips(shared_data / "labelled" / "ukis_sentinel2.npz", BANDS))


def test_a_group_or_a_sample_is_held_out_by_name_or_pattern() -> None:
    chip = Chip("test/one_p3", "one", np.empty(0, np.float32), np.empty(0, np.uint8))
    assert is_held(chip, ["two", "one"])
    assert is_held(chip, ["test/*"])
    assert not is_held(chip, ["train/*", "on", "*_p1"])
    assert not is_held(chip, [])
