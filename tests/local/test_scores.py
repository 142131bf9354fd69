from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.local.scores import Confusion, Score, score, summary

PIXELS = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.sampled_from([0, 1, 2, 3, 255])), max_size=60
)
CODES = st.sets(st.sampled_from([0, 1, 2, 3]), min_size=1).map(sorted)
MASKS = hnp.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 80)), elements=st.integers(0, 3))


def arrays(pixels: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(pixels, np.uint8).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def confusion_of(truth: np.ndarray, called: np.ndarray, classes: int = 4) -> Confusion:
    counts = [[0] * classes for _ in range(classes)]
    for right, found in zip(truth.tolist(), called.tolist(), strict=True):
        counts[right][found] += 1
    return Confusion(tuple(map(tuple, counts)))


# -- one class ------------------------------------------------------------------------------


@given(PIXELS, CODES)
def test_precision_and_recall_are_those_counted_pixel_by_pixel(
    pixels: list[tuple[int, int]], codes: list[int]
) -> None:
    known = [(found, right) for found, right in pixels if 255 not in (found, right)]
    hits = sum(found in codes and right in codes for found, right in known)
    called = sum(found in codes for found, _ in known)
    there = sum(right in codes for _, right in known)
    answer = score(*arrays(pixels), codes)
    assert answer == Score(hits, called, there)
    assert answer.precision == (hits / called if called else 1.0)
    assert answer.recall == (hits / there if there else 1.0)


@given(PIXELS, CODES)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(
    pixels: list[tuple[int, int]], codes: list[int]
) -> None:
    answer = score(*arrays(pixels), codes)
    both = answer.precision + answer.recall
    expected = 2 * answer.precision * answer.recall / both if both else 0.0
    assert answer.f1 == pytest.approx(expected)


@given(PIXELS, CODES)
def test_intersection_over_union_is_that_of_the_sets_of_pixels(
    pixels: list[tuple[int, int]], codes: list[int]
) -> None:
    known = [pair for pair in pixels if 255 not in pair]
    called = {place for place, (found, _) in enumerate(known) if found in codes}
    there = {place for place, (_, right) in enumerate(known) if right in codes}
    expected = len(called & there) / len(called | there) if called | there else 1.0
    assert score(*arrays(pixels), codes).iou == expected


def test_no_hits_at_all_score_zero() -> None:
    nothing = Score(hits=0, called=3, there=2)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.iou) == (0, 0, 0, 0)


def test_thick_for_thin_cloud_is_right_as_a_cloud() -> None:
    found, right = np.array([[1, 2, 3, 0]], np.uint8), np.array([[2, 1, 0, 3]], np.uint8)
    scores = summary(found, right)
    assert (scores["cloud"].precision, scores["cloud"].recall) == (1, 1)
    assert (scores["shadow"].precision, scores["shadow"].recall) == (0, 0)


# -- all classes, against scikit-learn ------------------------------------------------------


@given(MASKS)
def test_scores_of_each_class_are_those_of_scikit_learn(masks: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, called = masks
    confusion = confusion_of(truth, called)
    options = {"labels": [0, 1, 2, 3], "average": None, "zero_division": 1.0}
    shares = metrics.precision_recall_fscore_support(truth, called, **options)
    ious = metrics.jaccard_score(truth, called, **options)
    for place in range(4):
        ours = confusion.score(place)
        assert ours.precision == pytest.approx(shares[0][place])
        assert ours.recall == pytest.approx(shares[1][place])
        assert ours.f1 == pytest.approx(shares[2][place])
        assert ours.iou == pytest.approx(ious[place])
        assert ours.there == shares[3][place]


@given(MASKS)
def test_accuracies_and_kappa_are_those_of_scikit_learn(masks: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, called = masks
    # One and the same class all over: tested below, as scikit-learn warns.
    assume(len(np.unique(masks)) > 1)
    confusion = confusion_of(truth, called)
    assert confusion.accuracy == pytest.approx(metrics.accuracy_score(truth, called))
    assert confusion.kappa == pytest.approx(metrics.cohen_kappa_score(truth, called))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        balanced = metrics.balanced_accuracy_score(truth, called)
    assert confusion.balanced_accuracy == pytest.approx(balanced)


@given(MASKS)
def test_a_confusion_knows_its_margins(masks: np.ndarray) -> None:
    confusion = confusion_of(*masks)
    assert confusion.there == tuple(np.bincount(masks[0], minlength=4).tolist())
    assert confusion.called == tuple(np.bincount(masks[1], minlength=4).tolist())
    assert confusion.total == masks.shape[1]


def test_kappa_says_nothing_where_there_is_one_class_only() -> None:
    assert math.isnan(Confusion(((9, 0), (0, 0))).kappa)


def test_without_pixels_there_is_no_accuracy() -> None:
    empty = Confusion(((0, 0), (0, 0)))
    assert math.isnan(empty.accuracy)
    assert math.isnan(empty.balanced_accuracy)
    assert math.isnan(empty.kappa)


def test_kappa_is_exact_for_a_whole_tile() -> None:
    size = 10980 * 10980
    half = size // 2
    assert Confusion(((half, 0), (0, half))).kappa == 1
    assert Confusion(((half // 2, half // 2), (half // 2, half // 2))).kappa == 0
