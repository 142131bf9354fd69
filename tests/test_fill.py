from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.fill import fill, occupied
from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(7).uniform(0, 1, (2, *shape)).astype(np.float32)


@given(MASKS)
def test_valid_pixels_are_unchanged(valid: NDArray[np.bool_]) -> None:
    assume(valid.any())
    tile = image(valid.shape)
    np.testing.assert_array_equal(fill(tile, valid)[:, valid], tile[:, valid])


@given(MASKS)
def test_missing_pixels_become_finite_whatever_they_held(valid: NDArray[np.bool_]) -> None:
    assume(valid.any())
    tile = image(valid.shape)
    tile[:, ~valid] = np.nan
    assert np.isfinite(fill(tile, valid)).all()


@given(MASKS, st.sampled_from([0.0, 1e30, np.inf, -np.inf, np.nan]))
def test_the_answer_depends_on_valid_pixels_only(valid: NDArray[np.bool_], garbage: float) -> None:
    assume(valid.any())
    tile = image(valid.shape)
    spoilt = tile.copy()
    spoilt[:, ~valid] = garbage
    np.testing.assert_array_equal(fill(spoilt, valid), fill(tile, valid))


@given(MASKS)
def test_a_filled_pixel_holds_a_whole_spectrum_of_a_valid_one(valid: NDArray[np.bool_]) -> None:
    assume(valid.any())
    tile = image(valid.shape)
    known = {tuple(spectrum) for spectrum in tile[:, valid].T.tolist()}
    filled = fill(tile, valid)
    assert {tuple(spectrum) for spectrum in filled.reshape(2, -1).T.tolist()} == known


@given(MASKS)
def test_the_argument_is_not_changed(valid: NDArray[np.bool_]) -> None:
    assume(valid.any())
    tile = image(valid.shape)
    before = tile.copy()
    fill(tile, valid)
    np.testing.assert_array_equal(tile, before)


@given(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(0, 30)] * 4))
def test_around_a_rectangle_it_mirrors_as_numpy_does(
    inner: tuple[int, int], around: tuple[int, int, int, int]
) -> None:
    middle = image(inner)
    padding = [(0, 0), around[:2], around[2:]]
    expected = np.pad(middle, padding, mode="reflect")
    valid = np.pad(np.ones(inner, bool), padding[1:])
    tile = np.pad(middle, padding, constant_values=np.nan)
    np.testing.assert_array_equal(fill(tile, valid), expected)


def test_nothing_missing_gives_the_argument_itself() -> None:
    tile = image((5, 6))
    assert fill(tile, np.ones((5, 6), bool)) is tile


def test_a_hole_is_mirrored_at_its_nearest_valid_pixel() -> None:
    tile = np.array([[[1, 2, 0, 0, 0, 6, 7]]], np.float32)
    valid = np.array([[True, True, False, False, False, True, True]])
    filled = fill(tile, valid)[0, 0]
    assert filled[2] == 1  # mirrored at the 2
    assert filled[4] == 7  # mirrored at the 6


def test_a_single_valid_pixel_fills_the_tile() -> None:
    valid = np.zeros((4, 4), bool)
    valid[2, 1] = True
    tile = image((4, 4))
    assert (fill(tile, valid) == tile[:, 2:3, 1:2]).all()


def test_occupied_is_the_smallest_rectangle_around_the_valid_pixels() -> None:
    valid = np.zeros((9, 9), bool)
    valid[2, 7] = valid[5, 4] = True
    assert occupied(valid) == (Span(2, 6), Span(4, 8))
