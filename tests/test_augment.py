from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.augment import ISOLATED_ALLOWED, SYMMETRIES, TTA, isolated_pixels, settled
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.integers(0, 3),
)


def tile(edge: int = 5) -> NDArray[np.float32]:
    return np.arange(2 * edge * edge, dtype=np.float32).reshape(1, 2, edge, edge)


def isolated_by_loops(classes: NDArray[np.uint8]) -> int:
    """Count with loops over a border of class 0."""
    padded = np.pad(classes, 1)
    count = 0
    for y in range(1, padded.shape[0] - 1):
        for x in range(1, padded.shape[1] - 1):
            around = padded[y - 1 : y + 2, x - 1 : x + 2] == padded[y, x]
            count += int(around.sum() == 1)
    return count


@pytest.mark.parametrize("number", range(8))
def test_inverse_undoes_forward(number: int) -> None:
    symmetry = SYMMETRIES[number]
    np.testing.assert_array_equal(symmetry.inverse(symmetry.forward(tile())), tile())


@pytest.mark.parametrize("number", range(8))
def test_forward_undoes_inverse(number: int) -> None:
    symmetry = SYMMETRIES[number]
    np.testing.assert_array_equal(symmetry.forward(symmetry.inverse(tile())), tile())


def test_all_eight_symmetries_differ() -> None:
    assert len({symmetry.forward(tile()).tobytes() for symmetry in SYMMETRIES}) == 8


@pytest.mark.parametrize("number", range(8))
def test_forward_flips_left_to_right_then_turns_anticlockwise(number: int) -> None:
    edge, symmetry = 5, SYMMETRIES[number]
    expected = tile(edge)
    if symmetry.flip:
        expected = expected[..., [edge - 1 - x for x in range(edge)]]
    for _ in range(symmetry.turns):
        turned = np.empty_like(expected)
        for y in range(edge):
            for x in range(edge):
                turned[..., y, x] = expected[..., x, edge - 1 - y]
        expected = turned
    np.testing.assert_array_equal(symmetry.forward(tile(edge)), expected)


def test_the_order_is_four_turns_then_four_turns_flipped() -> None:
    order = [(symmetry.turns, symmetry.flip) for symmetry in SYMMETRIES]
    assert order == [(turns, flip) for flip in (False, True) for turns in range(4)]


@given(LABELS)
def test_isolated_pixels_are_those_that_a_double_loop_finds(classes: NDArray[np.uint8]) -> None:
    assert isolated_pixels(classes) == isolated_by_loops(classes)


def test_a_lone_pixel_of_class_zero_at_the_border_is_not_isolated() -> None:
    classes = np.ones((4, 4), np.uint8)
    classes[0, 1] = 0
    assert isolated_pixels(classes) == 0
    classes[2, 2] = 2
    assert isolated_pixels(classes) == 1


@pytest.mark.parametrize(("isolated", "expected"), [(10, True), (11, False)])
def test_a_tile_of_512_is_settled_with_at_most_ten_isolated_pixels(
    isolated: int, *, expected: bool
) -> None:
    probabilities = np.zeros((2, 512, 512), np.float32)
    for number in range(isolated):
        probabilities[1, 20, 10 + 5 * number] = 1
    assert settled(probabilities) is expected


def test_the_allowance_shrinks_with_the_tile() -> None:
    probabilities = np.zeros((2, 256, 256), np.float32)
    probabilities[1, 20, [10, 20, 30]] = 1
    assert ISOLATED_ALLOWED * 256**2 < 3
    assert not settled(probabilities)


@pytest.mark.parametrize("depth", range(8))
def test_a_depth_adds_that_many_symmetries_to_the_plain_one(depth: int) -> None:
    assert tuple(TTA(depth=depth).symmetries) == SYMMETRIES[: depth + 1]


def test_a_numpy_depth_is_a_depth() -> None:
    assert len(TTA(depth=np.int64(2)).symmetries) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [-1, 8, 100, 1.5, 2.0, "2", None])
def test_a_depth_without_symmetries_is_refused(depth: object) -> None:
    with pytest.raises(
        OptionError, match=r"tta depth=.*: must be (a whole number|0 or more|from 0 .* to 7)"
    ):
        TTA(depth=depth)  # type: ignore[arg-type]
