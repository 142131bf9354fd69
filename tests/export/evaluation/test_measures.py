from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.local.compare.schemes import (
    CLOUDMASK,
    CLOUDMASK_ONE_CLOUD,
    QA60,
    S2CLOUDLESS,
    SCL,
    UKIS_CSM,
    UKIS_VALID,
    Scheme,
)
from cloudmask_export.evaluation.measures import (
    IN,
    MEASURES,
    OUT,
    QUESTIONS,
    UNSAID,
    Counts,
    Pixels,
    answered,
    codes_of,
    labelled,
    sides,
)

CALLS = hnp.arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 60)))
"""(2, pixels): what is so, what was called so."""


def counted(right: np.ndarray, called: np.ndarray) -> Counts:
    pairs = list(zip(right.tolist(), called.tolist(), strict=True))
    return Counts(
        hits=pairs.count((True, True)),
        called=sum(found for _, found in pairs),
        there=sum(so for so, _ in pairs),
        counted=len(pairs),
    )


def test_the_questions_are_those_that_a_user_of_masks_asks() -> None:
    assert {name: set(each.classes) for name, each in QUESTIONS.items()} == {
        "cloud": {1, 2},
        "shadow": {3},
        "thick": {1},
        "thin": {2},
        "clear": {0},
        "invalid": {1, 2, 3},
    }


# -- against scikit-learn -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "theirs"),
    [
        ("precision", "precision_score"),
        ("recall", "recall_score"),
        ("f1", "f1_score"),
        ("iou", "jaccard_score"),
    ],
)
@given(calls=CALLS)
def test_a_share_is_that_of_scikit_learn(measure: str, theirs: str, calls: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    ours = counted(*calls).measure(measure)
    # scikit-learn gives a Jaccard score of a class that is nowhere no other value than 0 or 1.
    if math.isnan(ours) and measure == "iou":
        assert not calls.any()
        return
    options = {} if measure == "iou" else {"zero_division": math.nan}
    expected = getattr(metrics, theirs)(calls[0], calls[1], **options)
    assert ours == pytest.approx(expected, nan_ok=True)


@given(calls=CALLS)
def test_balanced_overall_accuracy_is_scikit_learns_balanced_accuracy(calls: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    assume(len(set(calls[0].tolist())) == 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        expected = metrics.balanced_accuracy_score(*calls)
    assert counted(*calls).measure("boa") == pytest.approx(expected)


@given(calls=CALLS)
def test_accuracy_is_that_of_scikit_learn(calls: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    expected = metrics.accuracy_score(*calls)
    assert counted(*calls).measure("accuracy") == pytest.approx(expected)


# -- what cannot be said --------------------------------------------------------------------


def unsaid(counts: Counts) -> set[str]:
    return {name for name in MEASURES if math.isnan(counts.measure(name))}


def test_without_pixels_nothing_can_be_said() -> None:
    assert unsaid(Counts(0, 0, 0, 0)) == set(MEASURES)


def test_of_a_class_that_neither_has_only_the_accuracy_can_be_said() -> None:
    assert unsaid(Counts(hits=0, called=0, there=0, counted=9)) == set(MEASURES) - {"accuracy"}


def test_there_is_no_precision_where_nothing_was_called_so() -> None:
    counts = Counts(hits=0, called=0, there=4, counted=9)
    assert unsaid(counts) == {"precision"}
    assert counts.measure("recall") == counts.measure("f1") == counts.measure("iou") == 0


def test_a_class_called_that_the_truth_lacks_is_wrong_and_has_no_recall() -> None:
    counts = Counts(hits=0, called=4, there=0, counted=9)
    assert unsaid(counts) == {"recall", "boa"}
    assert counts.measure("precision") == counts.measure("f1") == counts.measure("iou") == 0


def test_where_all_is_of_the_class_there_is_no_balanced_accuracy() -> None:
    assert unsaid(Counts(hits=5, called=5, there=9, counted=9)) == {"boa"}


@given(st.lists(CALLS, min_size=1, max_size=5), st.sampled_from(sorted(MEASURES)))
def test_many_counts_at_once_are_measured_as_one_by_one(
    calls: list[np.ndarray], measure: str
) -> None:
    each = [counted(*both) for both in calls]
    together = MEASURES[measure](np.array([counts.array for counts in each]))
    assert together == pytest.approx([c.measure(measure) for c in each], nan_ok=True)


def test_counts_come_back_from_their_array() -> None:
    counts = Counts(hits=1, called=2, there=3, counted=4)
    assert Counts.of(counts.array) == counts


# -- what codes say -------------------------------------------------------------------------


def test_codes_are_in_ascending_order() -> None:
    backwards = Scheme(name="x", title="", codes={9: (1, 2), 4: (3,), 0: (0,)}, source="")
    assert codes_of(backwards) == (0, 4, 9)


def test_a_code_that_may_be_either_and_no_data_take_no_side() -> None:
    assert sides(CLOUDMASK_ONE_CLOUD, QUESTIONS["thick"]).tolist() == [OUT, UNSAID, OUT, UNSAID]


def test_a_code_of_classes_that_are_all_meant_is_in() -> None:
    assert sides(CLOUDMASK_ONE_CLOUD, QUESTIONS["cloud"]).tolist() == [OUT, IN, OUT, UNSAID]


SHADED = Scheme(
    name="shaded",
    title="",
    codes={0: (0,), 1: (1,), 2: (2,), 3: (3,), 4: (1, 3), 5: (1, 2, 3)},
    source="",
)


def test_a_code_of_either_cloud_in_shadow_leaves_open_which_cloud_it_is() -> None:
    both = frozenset({5})
    answers = {name: sides(SHADED, each, both)[5] for name, each in QUESTIONS.items()}
    assert answers == {
        "cloud": IN,
        "shadow": IN,
        "thick": UNSAID,
        "thin": UNSAID,
        "clear": OUT,
        "invalid": IN,
    }


def test_a_code_that_is_cloud_and_shadow_at_once_is_in_for_both() -> None:
    both = frozenset({4})
    answers = {name: sides(SHADED, each, both)[4] for name, each in QUESTIONS.items()}
    assert answers == {
        "cloud": IN,
        "shadow": IN,
        "thick": IN,
        "thin": OUT,
        "clear": OUT,
        "invalid": IN,
    }


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (CLOUDMASK, set(QUESTIONS)),
        (SCL, set(QUESTIONS)),
        (CLOUDMASK_ONE_CLOUD, {"cloud", "shadow", "clear", "invalid"}),
        (UKIS_CSM, {"cloud", "shadow", "clear", "invalid"}),
        (S2CLOUDLESS, {"cloud"}),
        (QA60, {"cloud", "thick", "thin"}),
        (UKIS_VALID, {"clear", "invalid"}),
    ],
    ids=lambda each: each.name if isinstance(each, Scheme) else "",
)
def test_a_mask_answers_what_no_code_of_it_leaves_open(scheme: Scheme, expected: set[str]) -> None:
    assert {name for name, each in QUESTIONS.items() if answered(scheme, each)} == expected


def test_labels_with_some_doubtful_codes_can_still_decide() -> None:
    doubtful = Scheme(
        name="x", title="", codes={0: (0,), 1: (1,), 2: (2,), 3: (3,), 4: (0, 2)}, source=""
    )
    assert labelled(doubtful, QUESTIONS["thin"])
    assert not answered(doubtful, QUESTIONS["thin"])


def test_labels_with_one_cloud_class_cannot_decide_on_thick_clouds() -> None:
    assert not labelled(CLOUDMASK_ONE_CLOUD, QUESTIONS["thick"])


# -- pixels ---------------------------------------------------------------------------------


def test_the_share_without_data_is_of_the_labelled_pixels() -> None:
    assert Pixels(scored=6, no_data=2, unlabelled=100).share_without_data == 0.25


def test_without_labels_there_is_no_share_without_data() -> None:
    assert math.isnan(Pixels(scored=0, no_data=0, unlabelled=5).share_without_data)


def test_pixels_of_two_samples_add_up() -> None:
    first = Pixels(scored=1, no_data=2, unlabelled=3)
    assert first + Pixels(scored=10, no_data=20, unlabelled=30) == Pixels(
        scored=11, no_data=22, unlabelled=33
    )
