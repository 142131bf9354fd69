"""Labelled chips: .npz files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.evaluation.datasets import check, open_dataset
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write(path: Path, **arrays: Any) -> Path:
    """Write a chip whose reflectance is 0.1 x the band's place, shadow above and cloud below."""
    img = np.broadcast_to(np.arange(1, 7, dtype=np.float32) / 10, (4, 5, 6))
    msk = np.repeat(np.array([0, 0, 4, 4], np.uint8), 5).reshape(4, 5, 1)
    np.savez(path, **{"img": img, "msk": msk, **arrays})
    return path


def test_bands_go_from_blue_to_short_wave(tmp_path: Path) -> None:
    image = open_dataset(write(tmp_path / "a.npz")).samples[0].image()
    assert image.bands == ("B02", "B03", "B04", "B08", "B11", "B12")
    assert image.reflectance[:, 3, 4] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (image.shape, image.pixel_size, image.level) == ((4, 5), 30.0, "L1C")


def test_labels_keep_their_codes(tmp_path: Path) -> None:
    dataset = open_dataset(write(tmp_path / "a.npz"))
    assert (dataset.name, dataset.human) == ("chips", True)
    assert dataset.samples[0].truth().codes.tolist() == [[0] * 5, [0] * 5, [4] * 5, [4] * 5]


def test_a_folder_has_a_sample_for_each_file(tmp_path: Path) -> None:
    write(tmp_path / "b.npz")
    write(tmp_path / "a.npz")
    samples = open_dataset(tmp_path).samples
    assert [(each.name, each.group) for each in samples] == [("a", "a"), ("b", "b")]


def test_nothing_is_read_before_it_is_asked_for(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    sample = open_dataset(spoil(tmp_path / "a.npz")).samples[0]
    with pytest.raises(EvaluationError, match=r"a\.npz: cannot be read as \.npz"):
        sample.image()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (
            {"img": np.zeros((4, 5, 4), np.float32)},
            r"img is of the shape \(4, 5, 4\); \(y, x, 6\)",
        ),
        ({"msk": np.zeros((4, 5), np.uint8)}, r"msk is of the shape \(4, 5\); \(y, x, 1\)"),
        ({"msk": np.zeros((4, 6, 1), np.uint8)}, r"shape \(4, 6\), their image of \(4, 5\)"),
        ({"msk": np.full((4, 5, 1), 9, np.uint8)}, "the labels have the codes 9, but"),
    ],
)
def test_a_chip_that_is_not_as_it_should_be_is_refused(
    tmp_path: Path, arrays: dict[str, Any], match: str
) -> None:
    with pytest.raises(EvaluationError, match=match):
        check(open_dataset(write(tmp_path / "a.npz", **arrays)))


def test_a_chip_without_labels_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", img=np.zeros((4, 5, 6), np.float32))
    with pytest.raises(EvaluationError, match=r"a\.npz: has no array msk, but img"):
        check(open_dataset(tmp_path))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([[[{}]] * 5] * 4, dtype=object)
    np.savez(tmp_path / "a.npz", img=np.zeros((4, 5, 6), np.float32), msk=objects)
    with pytest.raises(EvaluationError, match=r"a\.npz: msk cannot be read"):
        open_dataset(tmp_path).samples[0].truth()


def test_the_real_chip_is_read_as_numpy_reads_it(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "labelled" / "ukis_sentinel2.npz")
    check(dataset)
    image, truth = dataset.samples[0].image(), dataset.samples[0].truth()
    with np.load(shared_data / "labelled" / "ukis_sentinel2.npz") as file:
        np.testing.assert_array_equal(image.reflectance[3], file["img"][..., 3])
        np.testing.assert_array_equal(truth.codes, file["msk"][..., 0])
    assert dataset.scheme.codes[0] == (3,)
