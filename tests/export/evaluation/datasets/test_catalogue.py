"""The Sentinel-2 Cloud Mask Catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudmask_export.evaluation.datasets import check, open_dataset
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARKED = "S2A_MSIL1C_20180101T010721_N0206_R045_T53HLD_20180101T041600"
UNMARKED = "S2B_MSIL1C_20180301T010721_N0206_R045_T54HLD_20180301T041600"
TAGS = f"index,scene,dataset,shadows_marked\n0,{MARKED},MAIN,1\n1,{UNMARKED},MAIN,0\n"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Two subscenes of 6 x 6, shadows marked in one of them."""
    for name in ("subscenes", "masks"):
        (tmp_path / name).mkdir()
    image = np.tile(np.arange(1, 14, dtype=np.float32) / 100, (6, 6, 1))
    image[5, 5] = 0
    mask = np.zeros((6, 6, 3), bool)
    mask[:3, :, 0], mask[3, :, 1], mask[4:, :5, 2] = True, True, True
    for scene in (MARKED, UNMARKED):
        np.save(tmp_path / "subscenes" / f"{scene}.npy", image)
        np.save(tmp_path / "masks" / f"{scene}.npy", mask)
    (tmp_path / "classification_tags.csv").write_text(TAGS, "utf-8")
    return tmp_path


def test_reflectance_is_as_stored_at_20_metres(catalogue: Path, files: type) -> None:
    image = open_dataset(catalogue).samples[0].image()
    assert image.bands == files.bands  # type: ignore[attr-defined]
    assert image.reflectance[:, 0, 0] == pytest.approx(np.arange(1, 14) / 100)
    assert (image.pixel_size, image.level) == (20.0, "L1C")


def test_a_pixel_that_is_0_in_all_bands_is_no_data(catalogue: Path) -> None:
    valid = open_dataset(catalogue).samples[0].image().valid
    assert np.argwhere(~valid).tolist() == [[5, 5]]


def test_a_mask_is_the_place_of_its_class_and_255_where_there_is_none(catalogue: Path) -> None:
    codes = open_dataset(catalogue).samples[0].truth().codes
    assert codes[:, 0].tolist() == [0, 0, 0, 1, 2, 2]
    assert codes[:, 5].tolist() == [0, 0, 0, 1, 255, 255]


def test_only_subscenes_with_shadows_marked_tell_shadow_from_clear(catalogue: Path) -> None:
    dataset = open_dataset(catalogue)
    assert [each.name for each in dataset.samples] == [MARKED]
    assert dataset.scheme.codes[0] == (0,)


def test_all_subscenes_tell_cloud_from_the_rest_when_asked_for(catalogue: Path) -> None:
    dataset = open_dataset(catalogue, "catalogue-cloud")
    assert [each.name for each in dataset.samples] == [MARKED, UNMARKED]
    assert dataset.scheme.codes[0] == (0, 3)
    check(dataset)


def test_subscenes_of_one_tile_are_a_group(catalogue: Path) -> None:
    groups = [each.group for each in open_dataset(catalogue, "catalogue-cloud").samples]
    assert groups == ["53HLD", "54HLD"]


def test_nothing_is_read_before_it_is_asked_for(
    catalogue: Path, spoil: Callable[[Path], Path]
) -> None:
    spoil(catalogue / "subscenes" / f"{MARKED}.npy")
    sample = open_dataset(catalogue).samples[0]
    with pytest.raises(EvaluationError, match=r"R045_T53HLD.*: cannot be read as \.npy"):
        sample.image()


def test_a_missing_mask_is_refused(catalogue: Path) -> None:
    (catalogue / "masks" / f"{MARKED}.npy").unlink()
    with pytest.raises(EvaluationError, match=r"masks/S2A.*is not there, but classification_tags"):
        open_dataset(catalogue)


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        (np.zeros((6, 6, 4), bool), r"shape \(6, 6, 4\); \(y, x, 3\) is needed"),
        (np.zeros((5, 6, 3), bool), r"shape \(5, 6\), their image of \(6, 6\)"),
        (np.ones((6, 6, 3), bool), "with up to 3 classes for a pixel; bool with at most one"),
        (np.zeros((6, 6, 3), np.uint8), "is uint8 with up to 0 classes"),
    ],
)
def test_a_mask_that_is_not_as_it_should_be_is_refused(
    catalogue: Path, mask: np.ndarray, match: str
) -> None:
    np.save(catalogue / "masks" / f"{MARKED}.npy", mask)
    with pytest.raises(EvaluationError, match=match):
        check(open_dataset(catalogue))


def test_subscenes_of_several_sizes_are_refused(catalogue: Path) -> None:
    np.save(catalogue / "subscenes" / f"{UNMARKED}.npy", np.ones((4, 4, 13), np.float32))
    np.save(catalogue / "masks" / f"{UNMARKED}.npy", np.zeros((4, 4, 3), bool))
    with pytest.raises(
        EvaluationError, match=r"has 4 x 4 pixels, but S2A.* has 6 x 6; all images"
    ):
        check(open_dataset(catalogue, "catalogue-cloud"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("scene\na\n", r"classification_tags\.csv: has no column shadows_marked"),
        ("scene,shadows_marked\na,yes\n", "shadows_marked of a is 'yes'; 0 or 1 is needed"),
    ],
)
def test_a_table_that_is_not_the_catalogues_is_refused(
    catalogue: Path, text: str, match: str
) -> None:
    (catalogue / "classification_tags.csv").write_text(text, "utf-8")
    with pytest.raises(EvaluationError, match=match):
        open_dataset(catalogue)
