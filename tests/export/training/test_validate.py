"""Scores on what is held out, whose labels may leave a choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudmask.classes import CLEAR, SHADOW, THICK, THIN
from cloudmask_export.training.sets import IS_CLOUD, UNKNOWN, only
from cloudmask_export.training.validate import QUESTIONS, coarser, counts, validate

SETS = np.array([only(CLEAR), only(THICK), only(THIN), only(THICK, THIN), only(SHADOW)])


def test_a_set_within_the_question_is_so_and_one_outside_is_not() -> None:
    called = np.full(5, THIN, np.uint8)
    # Of five pixels called cloud three are, however thick.
    assert counts(called, SETS.astype(np.uint8), IS_CLOUD) == (3, 5, 3)


@pytest.mark.parametrize("both", [only(CLEAR, THIN), only(SHADOW, THICK), UNKNOWN])
@pytest.mark.parametrize("called", [CLEAR, THICK, THIN, SHADOW])
def test_a_set_on_both_sides_of_the_question_does_not_count(both: int, called: int) -> None:
    found = counts(np.array([called], np.uint8), np.array([both], np.uint8), IS_CLOUD)
    assert found == (0, 0, 0)


def test_a_choice_within_what_is_not_asked_counts() -> None:
    sets = np.array([only(CLEAR, SHADOW)], np.uint8)
    assert counts(np.array([THICK], np.uint8), sets, IS_CLOUD) == (0, 1, 0)


def test_scores_of_random_masks_are_those_of_scikit_learn(make_bank: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(4)
    truth, called = draw.integers(0, 4, (2, 11, 64, 64))
    images = np.ones((11, 1, 64, 64))
    images[:, 0] = called + 1
    bank = make_bank(images, 1 << truth)

    def answer(seen: Any) -> Any:
        return np.rint(seen[:, 0] * 10_000).astype(np.intp) - 1

    found = validate(answer, bank, 4, 10.0)
    for name, codes in {"cloud": (THICK, THIN), "shadow": (SHADOW,)}.items():
        there, said = np.isin(truth, codes).ravel(), np.isin(called, codes).ravel()
        assert found[name].precision == pytest.approx(metrics.precision_score(there, said))
        assert found[name].recall == pytest.approx(metrics.recall_score(there, said))
        assert found[name].f1 == pytest.approx(metrics.f1_score(there, said))


def test_the_one_cloud_of_three_classes_is_cloud(make_bank: Any) -> None:
    bank = make_bank(np.ones((1, 1, 2, 2)), np.full((1, 2, 2), only(THIN)))
    found = validate(lambda seen: np.ones((len(seen), 2, 2), np.intp), bank, 3, 10.0)
    assert (found["cloud"].f1, found["shadow"].called) == (1.0, 0)


def test_where_nothing_is_held_out_there_is_no_score(make_bank: Any) -> None:
    assert validate(lambda _: np.empty(0, np.intp), make_bank([], []), 4, 10.0) == {}


def test_coarse_pixels_are_means_and_may_be_what_any_of_theirs_may_be() -> None:
    images = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    sets = np.array([[1, 1, 2, 8], [1, 1, 2, 2], [4, 1, 8, 8], [1, 1, 8, 8]], np.uint8)[None]
    mean, united = coarser(images, sets, 2)
    assert mean[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert united[0].tolist() == [[1, 10], [5, 8]]


def test_the_network_sees_pixels_of_its_own_size(random_bank: Any) -> None:
    seen: list[tuple[int, ...]] = []

    def answer(images: Any) -> Any:
        seen.append(images.shape)
        return np.zeros(images[:, 0].shape, np.intp)

    assert set(validate(answer, random_bank, 4, 20.0)) == set(QUESTIONS)
    assert seen == [(3, 4, 128, 128)]
