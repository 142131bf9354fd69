from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.augment import SYMMETRIES, TTA
from cloudmask.batches import in_full_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.augment import Symmetry

EDGE = 64
SMOOTH = np.stack([np.ones((EDGE, EDGE)), np.zeros((EDGE, EDGE))]).astype(np.float32)


def noisy(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((2, EDGE, EDGE), dtype=np.float32)


class Asked:
    """A network that answers with its tile, and remembers what it was asked."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.symmetries: list[list[Symmetry]] = []

    def __call__(  # noqa: D102
        self, tiles: Sequence[NDArray[np.float32]], symmetries: Sequence[Symmetry]
    ) -> list[NDArray[np.float32]]:
        self.sizes.append(len(tiles))
        self.symmetries.append(list(symmetries))
        # Turned by its augmentation, so that the mean shows which ones were run.
        return [each.forward(tile) for tile, each in zip(tiles, symmetries, strict=True)]


def answered(tiles: Any, size: int, tta: TTA, ask: Asked | None = None) -> list[Any]:
    return list(in_full_batches(tiles, size, ask or Asked(), tta))


kinds = st.lists(st.sampled_from(["smooth", "noisy", "nothing"]), max_size=12)


def made(some: list[str]) -> list[tuple[int, NDArray[np.float32] | None]]:
    tile = {"smooth": lambda _: SMOOTH, "noisy": noisy, "nothing": lambda _: None}
    return [(number, tile[kind](number)) for number, kind in enumerate(some)]


@given(some=kinds, size=st.integers(1, 5), depth=st.integers(0, 7), adaptive=st.booleans())
def test_places_come_out_in_their_order_each_once(
    *, some: list[str], size: int, depth: int, adaptive: bool
) -> None:
    found = answered(made(some), size, TTA(depth=depth, adaptive=adaptive))
    assert [place for place, _ in found] == list(range(len(some)))
    assert [answer is None for _, answer in found] == [kind == "nothing" for kind in some]


@given(some=kinds, size=st.integers(2, 5), depth=st.integers(0, 7), adaptive=st.booleans())
def test_the_size_of_a_batch_changes_no_bit(
    *, some: list[str], size: int, depth: int, adaptive: bool
) -> None:
    tta = TTA(depth=depth, adaptive=adaptive)
    for (_, one), (_, other) in zip(
        answered(made(some), 1, tta), answered(made(some), size, tta), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@given(kinds, st.integers(1, 5), st.integers(0, 7))
def test_batches_are_full_until_the_last_tiles(some: list[str], size: int, depth: int) -> None:
    ask = Asked()
    answered(made(some), size, TTA(depth=depth), ask)
    # Once a batch is not full there is no tile left to fill it, so none is larger after it.
    assert ask.sizes == sorted(ask.sizes, reverse=True)
    tiles = len(some) - some.count("nothing")
    assert not ask.sizes or ask.sizes[0] == min(size, tiles)


@given(kinds, st.integers(1, 5), st.integers(0, 7))
def test_only_what_has_not_settled_is_asked_again(some: list[str], size: int, depth: int) -> None:
    ask = Asked()
    answered(made(some), size, TTA(depth=depth), ask)
    assert sum(ask.sizes) == some.count("smooth") + some.count("noisy") * (depth + 1)


@pytest.mark.parametrize("depth", [0, 3, 7])
def test_each_tile_goes_through_the_augmentations_in_their_order(depth: int) -> None:
    ask = Asked()
    ((_, mean),) = answered([(0, noisy(0))], 3, TTA(depth=depth, adaptive=False), ask)
    assert [symmetry for call in ask.symmetries for symmetry in call] == list(
        SYMMETRIES[: depth + 1]
    )
    turned = [symmetry.forward(noisy(0)) for symmetry in SYMMETRIES[: depth + 1]]
    np.testing.assert_allclose(mean, np.mean(turned, axis=0), atol=1e-6)


def test_one_batch_may_hold_tiles_at_different_augmentations() -> None:
    ask = Asked()
    tiles = [(0, noisy(0)), (1, SMOOTH), (2, noisy(2))]
    answered(tiles, 2, TTA(depth=1), ask)
    assert ask.symmetries[1] == [SYMMETRIES[1], SYMMETRIES[0]]


@given(st.integers(1, 5), st.integers(0, 7))
def test_tiles_are_taken_only_when_there_is_room_for_them(size: int, depth: int) -> None:
    taken = 0

    def source() -> Iterator[tuple[int, NDArray[np.float32]]]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield number, noisy(number)

    answers = in_full_batches(source(), size, Asked(), TTA(depth=depth))
    for given_back, _ in enumerate(answers, start=1):
        # Those that are noisy alike are done at the same time.
        assert taken - given_back <= 2 * size


def test_nothing_to_do_asks_nothing() -> None:
    ask = Asked()
    assert answered([(0, None), (1, None)], 4, TTA(), ask) == [(0, None), (1, None)]
    assert not ask.sizes
