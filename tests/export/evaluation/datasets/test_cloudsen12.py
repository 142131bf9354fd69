"""CloudSEN12 in folders, as arrays, and CloudSEN12+ in .taco files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.evaluation.datasets import arrays, check, only, open_dataset
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOUR = np.arange(64).reshape(8, 8).astype(np.uint8) % 4


@pytest.fixture
def folders(tmp_path: Path, files: Any) -> Path:
    """Two patches of one place with high-quality labels, one of another with scribbles."""
    for patch in ("ROI_0001/20190101T1", "ROI_0001/20190201T1", "ROI_0002/20190101T1"):
        files.tiff(tmp_path / "high" / patch / "S2L1C.tif", files.numbers().astype(np.int16))
        kind = "manual_sc" if "0002" in patch else "manual_hq"
        files.tiff(tmp_path / "high" / patch / "labels" / f"{kind}.tif", FOUR)
    return tmp_path


def test_a_patch_has_all_bands_as_reflectance(folders: Path, files: Any) -> None:
    image = open_dataset(folders).samples[0].image()
    assert (image.bands, image.level, image.pixel_size) == (files.bands, "L1C", 10.0)
    assert image.reflectance[10, 1, 2] == pytest.approx(1.1012)


def test_only_high_quality_labels_are_taken(folders: Path) -> None:
    dataset = open_dataset(folders)
    assert dataset.name == "cloudsen12"
    names = [each.name for each in dataset.samples]
    assert names == ["ROI_0001/20190101T1", "ROI_0001/20190201T1"]
    np.testing.assert_array_equal(dataset.samples[0].truth().codes, FOUR)
    check(dataset)


def test_patches_of_one_place_are_a_group(folders: Path) -> None:
    assert {each.group for each in open_dataset(folders).samples} == {"ROI_0001"}


@pytest.mark.parametrize("below", ["high", "high/ROI_0001", "high/ROI_0001/20190101T1"])
def test_it_is_recognised_from_within(folders: Path, below: str) -> None:
    assert open_dataset(folders / below).name == "cloudsen12"


def test_no_folder_is_read_before_it_is_asked_for(
    folders: Path, spoil: Callable[[Path], Path]
) -> None:
    spoil(folders / "high" / "ROI_0001" / "20190101T1" / "S2L1C.tif")
    sample = open_dataset(folders).samples[0]
    with pytest.raises(EvaluationError, match=r"S2L1C\.tif: cannot be read as a raster"):
        sample.truth()


def test_a_patch_without_any_labels_is_refused(folders: Path) -> None:
    (folders / "high/ROI_0001/20190201T1/labels/manual_hq.tif").unlink()
    with pytest.raises(EvaluationError, match=r"20190201T1/S2L1C\.tif: there is no labels/manual"):
        open_dataset(folders)


def test_labels_without_their_image_are_refused(folders: Path) -> None:
    (folders / "high/ROI_0001/20190201T1/S2L1C.tif").unlink()
    with pytest.raises(EvaluationError, match=r"20190201T1/labels/manual_hq\.tif: there is no"):
        open_dataset(folders)


def test_patches_of_several_sizes_are_refused(folders: Path, files: Any) -> None:
    patch = folders / "high/ROI_0001/20190201T1"
    files.tiff(patch / "S2L1C.tif", files.numbers(6))
    files.tiff(patch / "labels" / "manual_hq.tif", FOUR[:6, :6])
    with pytest.raises(EvaluationError, match=r"20190201T1 has 6 x 6 pixels, but .* has 8 x 8"):
        check(open_dataset(folders))


@pytest.fixture
def split(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three patches of 6 x 6 padded to 8 x 8, with one row above and one column at the left."""
    monkeypatch.setattr(arrays, "EDGE", 8)
    folder = tmp_path / "test"
    folder.mkdir()
    patches = np.zeros((3, 13, 8, 8), np.int16)
    for place in range(3):
        patches[place, :, 1:7, 1:7] = files.numbers(6) + place * 100
    for band, name in enumerate(files.bands):
        short = "B8A" if name == "B8A" else f"B{int(name[1:])}"
        patches[:, band].tofile(folder / f"L1C_{short}.dat")
    np.stack([FOUR] * 3).astype(np.int8).tofile(folder / "LABEL_manual_hq.dat")
    rows = ("roi_id,s2_id_gee,proj_shape", "ROI_1,a,509", "ROI_1,b,509", "ROI_2,a,509")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def test_arrays_have_a_patch_for_each_row(split: Path, files: Any) -> None:
    dataset = open_dataset(split.parent)
    assert dataset.name == "cloudsen12-arrays"
    names = [(each.name, each.group) for each in dataset.samples]
    assert names == [
        ("test/ROI_1/a", "ROI_1"),
        ("test/ROI_1/b", "ROI_1"),
        ("test/ROI_2/a", "ROI_2"),
    ]
    image = dataset.samples[1].image()
    assert image.bands == files.bands
    assert image.reflectance[8, 2, 3] == pytest.approx(0.9112)


def test_padding_is_no_data_and_has_no_label(split: Path) -> None:
    sample = open_dataset(split).samples[0]
    inside = np.zeros((8, 8), bool)
    inside[1:7, 1:7] = True
    np.testing.assert_array_equal(sample.image().valid, inside)
    np.testing.assert_array_equal(sample.truth().codes, np.where(inside, FOUR, 255))


def test_a_pixel_that_is_0_in_one_band_keeps_its_label(split: Path) -> None:
    band = np.fromfile(split / "L1C_B10.dat", np.int16).reshape(3, 8, 8)
    band[0, 3, 3] = 0
    band.tofile(split / "L1C_B10.dat")
    sample = open_dataset(split).samples[0]
    assert sample.truth().codes[3, 3] == FOUR[3, 3]
    assert np.isnan(sample.image().reflectance[:, 3, 3]).sum() == 1


def test_arrays_of_the_wrong_length_are_refused(split: Path) -> None:
    path = split / "L1C_B5.dat"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(EvaluationError, match=r"L1C_B5\.dat: has 382 bytes, but .* 3 rows.* 384"):
        open_dataset(split)


@pytest.mark.parametrize("name", ["L1C_B10.dat", "metadata.csv"])
def test_a_missing_array_is_refused(split: Path, name: str) -> None:
    (split / name).unlink()
    with pytest.raises(EvaluationError, match=rf"{name}: is not there"):
        open_dataset(split)


def test_labels_of_the_arrays_that_are_no_classes_are_refused(split: Path) -> None:
    np.full((3, 8, 8), 99, np.int8).tofile(split / "LABEL_manual_hq.dat")
    with pytest.raises(
        EvaluationError, match=r"LABEL_manual_hq\.dat: the labels have the codes 99"
    ):
        check(open_dataset(split))


def test_metadata_without_places_are_refused(split: Path) -> None:
    (split / "metadata.csv").write_text("id\n1\n2\n3\n", "utf-8")
    with pytest.raises(EvaluationError, match=r"metadata\.csv: has no rows with a column roi_id"):
        open_dataset(split)


def facts(name: str, **other: Any) -> dict[str, Any]:
    return {
        "tortilla:id": name, "tortilla:file_format": "TORTILLA", "tortilla:data_split": "test",
        "label_type": "high", "real_proj_shape": 509, "roi_id": "ROI_1", **other,
    }  # fmt: skip


@pytest.fixture
def taco(tmp_path: Path, files: Any) -> Path:
    """Three patches with two rows of padding below; only one is of the wanted kind."""
    image = files.numbers()
    image[:, 6:] = 0
    items = [
        ({"tortilla:id": "s2l1c"}, files.tiff_bytes(image)),
        ({"tortilla:id": "target"}, files.tiff_bytes(FOUR)),
    ]
    patch = files.tortilla(items)
    path = tmp_path / "cloudsen12-l1c.0000.part.taco"
    rows = [
        (facts("x", label_type="scribble"), b"?"),
        (facts("y"), patch),
        (facts("z", real_proj_shape=2000), b"?"),
    ]
    path.write_bytes(files.tortilla(rows, magic=b"WX"))
    return path


def test_a_taco_gives_its_high_quality_patches_of_509_pixels(taco: Path, files: Any) -> None:
    dataset = open_dataset(taco)
    assert dataset.name == "cloudsen12plus"
    assert [(each.name, each.group) for each in dataset.samples] == [("test/ROI_1/y", "ROI_1")]
    image = dataset.samples[0].image()
    assert (image.bands, image.level) == (files.bands, "L1C")
    assert image.reflectance[3, 2, 1] == pytest.approx(0.4021)
    check(dataset)


def test_padding_of_a_taco_has_no_label(taco: Path) -> None:
    codes = open_dataset(taco.parent).samples[0].truth().codes
    np.testing.assert_array_equal(codes[:6], FOUR[:6])
    assert (codes[6:] == 255).all()


def test_the_inner_table_is_not_read_before_it_is_asked_for(tmp_path: Path, files: Any) -> None:
    path = tmp_path / "cloudsen12-l1c.0000.part.taco"
    other = files.tortilla([({"tortilla:id": "s2l1c"}, b"")] * 2, magic=b"PK")
    path.write_bytes(files.tortilla([(facts("y"), other)], magic=b"WX"))
    sample = open_dataset(path).samples[0]
    with pytest.raises(EvaluationError, match="at byte 18 is no file of the format tortilla"):
        sample.image()


def test_a_taco_of_another_kind_is_refused(taco: Path) -> None:
    other = taco.rename(taco.with_name("cloudsen12-l2a.0000.part.taco"))
    with pytest.raises(EvaluationError, match=r"l2a\.0000\.part\.taco: is not L1C"):
        open_dataset(other)


def test_a_taco_of_another_dataset_is_refused(tmp_path: Path, files: Any) -> None:
    path = tmp_path / "other.taco"
    path.write_bytes(files.tortilla([({"tortilla:id": "a"}, b"a")], magic=b"WX"))
    with pytest.raises(EvaluationError, match="has no column tortilla:data_split, label_type"):
        open_dataset(path)


def test_a_taco_that_is_cut_off_is_refused(taco: Path) -> None:
    taco.write_bytes(taco.read_bytes()[:-50])
    with pytest.raises(EvaluationError, match=r"0000\.part\.taco: its table cannot be read"):
        open_dataset(taco)


def test_a_patch_without_labels_is_refused(tmp_path: Path, files: Any) -> None:
    patch = files.tortilla([({"tortilla:id": "s2l1c"}, b"")])
    path = tmp_path / "cloudsen12-l1c.0000.part.taco"
    path.write_bytes(files.tortilla([(facts("y"), patch)], magic=b"WX"))
    with pytest.raises(EvaluationError, match="test/ROI_1/y has 1 items; image and labels"):
        open_dataset(path).samples[0].truth()


def test_a_split_can_be_picked_by_name(split: Path) -> None:
    dataset = open_dataset(split)
    assert len(only(dataset, "test/ROI_1/*").samples) == 2
    with pytest.raises(EvaluationError, match="no sample is called like 'train/"):
        only(dataset, "train/*")
