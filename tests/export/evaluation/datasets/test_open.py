"""Recognising a layout, and refusing what is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.evaluation.datasets import LAYOUTS, check, open_dataset
from cloudmask_export.evaluation.labels import CLOUDMASK
from cloudmask_export.evaluation.samples import Dataset, EvaluationError, Image, Truth

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_of_no_layout_is_told_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"is of no known layout\. Looked for") as caught:
        open_dataset(tmp_path)
    for layout in LAYOUTS.values():
        assert (f"\n  {layout.name}: {layout.folder}" in str(caught.value)) != layout.by_name_only


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nowhere: there is no such file or folder"):
        open_dataset(tmp_path / "nowhere")


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="layout 'landsat': choose among cloudsen12, "):
        open_dataset(tmp_path, "landsat")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_another_layout_than_asked_for_is_refused(tmp_path: Path, layout: str) -> None:
    with pytest.raises(EvaluationError, match=f"is not of the layout {layout}. It should be"):
        open_dataset(tmp_path, layout)


def test_a_folder_of_two_layouts_is_refused(tmp_path: Path, files: Any) -> None:
    for name in ("a_image", "a_label", "a_cloudy", "a_ref"):
        files.tiff(tmp_path / f"{name}.tif", np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(EvaluationError, match="could be of the layouts geotiff, pairs; say which"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, "pairs").name == "pairs"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a_clear.tif", "but no labels, which `cloudmask train` can use"),
        ("train.mlstac", r"\.mlstac, an older form of CloudSEN12\+, cannot be read"),
        ("kappaset.zip", r"it has \.zip files: unpack them first"),
    ],
)
def test_what_is_there_instead_is_said(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(EvaluationError, match=match):
        open_dataset(tmp_path)


def test_the_pairs_for_training_are_told_from_the_labelled_ones(shared_data: Path) -> None:
    with pytest.raises(EvaluationError, match="no labels, which `cloudmask train` can use"):
        open_dataset(shared_data / "train_pairs")


def test_a_layout_says_what_a_person_needs_to_know() -> None:
    for name, layout in LAYOUTS.items():
        assert layout.name == name
        assert layout.title
        assert layout.licence
        assert layout.folder
        assert layout.source.startswith("https://")


@dataclass(frozen=True)
class Drawn:
    """A sample of one's own, which does not know its size before it is read."""

    path: Path
    codes: Any
    name: str = "mine"
    group: str = "mine"

    def image(self) -> Image:
        """See `Sample`."""
        raise NotImplementedError

    def truth(self) -> Truth:
        """See `Sample`."""
        return Truth(self.codes)


def own(path: Path, code: int) -> Dataset:
    return Dataset(
        name="mine", title="", scheme=CLOUDMASK, kind="pixels", human=True, licence="", source="",
        samples=[Drawn(path, np.full((2, 2), code, np.uint8))],
    )  # fmt: skip


def test_a_dataset_of_ones_own_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    told: list[str] = []
    check(own(tmp_path, 1), told.append)
    assert told == ["mine"]
    with pytest.raises(EvaluationError, match="the labels have the codes 9, but ours, four"):
        check(own(tmp_path, 9))
