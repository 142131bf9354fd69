from __future__ import annotations

import itertools
from collections import Counter
from random import Random  # noqa: TC003 - hypothesis reads annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask_export.evaluation.bootstrap import Interval, draws, interval

GROUPS = st.lists(st.sampled_from("abcde"), min_size=2, max_size=12).filter(
    lambda names: len(set(names)) > 1
)


def drawn(groups: list[str], number: int = 50, seed: int = 0) -> np.ndarray:
    found = draws(groups, number, seed)
    assert found is not None
    return found


# -- draws ----------------------------------------------------------------------------------


@given(GROUPS, st.integers(0, 99))
def test_a_draw_has_as_many_groups_as_there_are(groups: list[str], seed: int) -> None:
    first = [groups.index(name) for name in sorted(set(groups))]
    weights = drawn(groups, seed=seed)
    assert weights.shape == (50, len(groups))
    assert (weights[:, first].sum(axis=1) == len(set(groups))).all()


@given(GROUPS)
def test_samples_of_one_group_are_drawn_together(groups: list[str]) -> None:
    weights = drawn(groups)
    for one, other in itertools.combinations(range(len(groups)), 2):
        if groups[one] == groups[other]:
            assert np.array_equal(weights[:, one], weights[:, other])


def test_groups_are_drawn_as_often_as_chance_has_it() -> None:
    """Of two groups, ab and ba are drawn twice as often as aa: (2, 0), (1, 1), (0, 2)."""
    weights = drawn(["a", "b"], number=4000)
    found = Counter(tuple(row) for row in weights.tolist())
    assert found.keys() == {(2, 0), (1, 1), (0, 2)}
    # Five standard deviations of a binomial.
    assert abs(found[1, 1] - 2000) < 5 * 32
    assert abs(found[2, 0] - 1000) < 5 * 28


def test_the_same_seed_draws_the_same() -> None:
    assert np.array_equal(drawn(["a", "b", "c"], seed=4), drawn(["a", "b", "c"], seed=4))


def test_another_seed_draws_otherwise() -> None:
    assert not np.array_equal(drawn(["a", "b", "c"], seed=4), drawn(["a", "b", "c"], seed=5))


@given(GROUPS, st.randoms())
def test_the_order_of_the_samples_does_not_change_the_draws(
    groups: list[str], chance: Random
) -> None:
    order = list(range(len(groups)))
    chance.shuffle(order)
    shuffled = drawn([groups[place] for place in order])
    assert np.array_equal(shuffled, drawn(groups)[:, order])


def test_one_group_is_not_drawn_from() -> None:
    assert draws(["a", "a", "a"], 100, 0) is None


def test_no_draws_are_none() -> None:
    assert draws(["a", "b"], 0, 0) is None


# -- intervals ------------------------------------------------------------------------------


def test_an_interval_holds_the_middle_95_per_cent() -> None:
    values = np.random.default_rng(1).permutation(1001) / 1000
    found = interval(values)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))


def test_draws_without_a_score_are_left_out() -> None:
    values = np.array([0.5, np.nan, 0.5, np.nan])
    assert interval(values) == Interval(0.5, 0.5)


def test_too_few_draws_with_a_score_make_no_interval() -> None:
    assert interval(np.array([0.5, np.nan, np.nan, 0.5, np.nan])) is None


def test_no_draws_with_a_score_make_no_interval() -> None:
    assert interval(np.full(9, np.nan)) is None


# -- against brute force --------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=2, max_size=9).filter(
        lambda each: len({name for name, _ in each}) > 1
    ),
    st.integers(0, 9),
)
def test_weights_stand_for_samples_that_are_there_so_many_times(
    samples: list[tuple[str, int]], seed: int
) -> None:
    """A sum over a draw is that over a list into which whole groups were put one by one."""
    groups, numbers = [name for name, _ in samples], np.array([each for _, each in samples])
    weights = drawn(groups, number=20, seed=seed)
    names = sorted(set(groups))
    for row, total in zip(weights, weights @ numbers, strict=True):
        times = {name: row[groups.index(name)] for name in names}
        drawn_names = [name for name in names for _ in range(times[name])]
        pile = [number for name in drawn_names for group, number in samples if group == name]
        assert total == sum(pile)
