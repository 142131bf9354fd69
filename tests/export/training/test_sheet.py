"""A look at what a network will be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.classes import CLASSES
from cloudmask_export.training.sets import UNKNOWN, only
from cloudmask_export.training.sheet import UNSURE, counted, draw, painted

if TYPE_CHECKING:
    from pathlib import Path


def test_a_certain_label_has_its_class_s_colour() -> None:
    for each in CLASSES:
        (colour,) = painted(np.array([only(each.code)], np.uint8)) * 255
        assert colour == pytest.approx(each.colour)


def test_a_choice_has_the_colours_between_and_the_unknown_is_grey() -> None:
    colours = {each.code: np.array(each.colour) for each in CLASSES}
    mixed, unknown = painted(np.array([only(1, 3), UNKNOWN], np.uint8))
    assert mixed * 255 == pytest.approx((colours[1] + colours[3]) / 2)
    assert unknown == pytest.approx(UNSURE)


def test_shares_of_all_labels_are_counted(make_bank: Any) -> None:
    sets = np.array([[[1, 1], [4, 15]], [[8, 6], [1, 1]]])
    head, shares = counted(make_bank(np.ones((2, 1, 2, 2)), sets), "there")
    assert head == "there: 2 images (2 simulated)"
    assert shares == (
        "  clear 50.0 %, thick cloud 0.0 %, thin cloud 12.5 %, cloud shadow 12.5 %, "
        "unknown 12.5 %, one of several 12.5 %"
    )


def test_nothing_has_no_shares(make_bank: Any) -> None:
    assert list(counted(make_bank([], []), "held out")) == ["held out: 0 images"]


@pytest.mark.parametrize("bands", [("B02", "B03", "B04", "B08"), ("B08", "B11", "B12", "B02")])
def test_a_sheet_is_drawn_of_any_bands(
    bands: tuple[str, ...], random_bank: Any, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    draw(tmp_path / "sheet.png", random_bank, bands, "title")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
