from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")
pytest.importorskip("matplotlib")

from matplotlib.image import imread

from cloudmask.classes import CLASSES
from cloudmask.local.compare import Comparison, compare, draw
from cloudmask.local.compare.picture import (
    colours,
    difference,
    of_classes,
    of_shares,
    painted,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A = np.array([[0, 0, 0, 1, 2, 3, 255, 0]], np.uint8)
B = np.array([[0, 1, 1, 0, 1, 3, 0, 255]], np.uint8)


@pytest.fixture
def comparison(raster: Callable[..., Path]) -> Comparison:
    paths = raster("a.tif", A), raster("b.tif", B)
    return compare(*paths, a_scheme="cloudmask", b_scheme="cloudmask")


def is_grey(colour: Any) -> bool:
    return bool(np.ptp(colour) < 1e-6)


def test_agreement_is_grey_and_disagreement_is_not(comparison: Comparison) -> None:
    picture = difference(comparison)
    for place, (left, right) in enumerate(zip(A[0], B[0], strict=True)):
        same = left == right or 255 in (left, right)
        assert is_grey(picture[0, place]) == same, place


def test_no_data_in_either_is_white(comparison: Comparison) -> None:
    np.testing.assert_array_equal(difference(comparison)[0, 6:], 1)


def test_agreement_on_clear_and_on_shadow_can_be_told_apart(comparison: Comparison) -> None:
    picture = difference(comparison)
    assert picture[0, 0, 0] > picture[0, 5, 0] + 0.2


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_each_kind_of_disagreement_has_a_colour_of_its_own(groups: int) -> None:
    found = dict(colours(groups))
    assert set(found) == set(itertools.permutations(range(groups), 2))
    for one, other in itertools.combinations(found.values(), 2):
        assert np.abs(np.subtract(one, other)).max() > 0.1


def test_masks_are_painted_in_the_colours_of_the_classes(comparison: Comparison) -> None:
    expected = [np.array(CLASSES[code].colour) / 255 for code in A[0][:6]]
    np.testing.assert_allclose(painted(comparison, 0)[0, :6], expected, atol=1e-6)


def test_the_legend_has_each_kind_that_occurs_with_its_share(comparison: Comparison) -> None:
    labels = [patch.get_label() for patch in of_shares(comparison)]
    assert labels == [
        "a clear, b thick cloud 33.33 %",
        "a thick cloud, b clear 16.67 %",
        "a thin cloud, b thick cloud 16.67 %",
        "both clear 16.67 %",
        "both thick cloud 0.00 %",
        "both thin cloud 0.00 %",
        "both cloud shadow 16.67 %",
    ]


def test_the_legend_of_the_masks_has_the_classes_compared(comparison: Comparison) -> None:
    labels = [patch.get_label() for patch in of_classes(comparison)]
    assert labels == ["clear", "thick cloud", "thin cloud", "cloud shadow", "no data"]


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (700, 2), (1500, 1200)])
def test_masks_of_any_shape_make_a_png(
    raster: Callable[..., Path], tmp_path: Path, shape: tuple[int, int]
) -> None:
    codes = np.random.default_rng(1).integers(0, 4, (2, *shape), np.uint8)
    paths = raster("a.tif", codes[0]), raster("b.tif", codes[1])
    found = compare(*paths, a_scheme="cloudmask", b_scheme="cloudmask")
    assert max(found.looks[0].shape) <= 1000
    draw(tmp_path / "difference.png", found)
    assert imread(tmp_path / "difference.png").shape[2] == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "b.tif", "difference.png"]
