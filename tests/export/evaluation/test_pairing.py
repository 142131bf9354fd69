from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.local.compare.schemes import (
    CLOUDMASK,
    S2CLOUDLESS,
    SCL,
    UKIS_CSM,
    UKIS_VALID,
    Scheme,
)
from cloudmask_export.evaluation import pairing
from cloudmask_export.evaluation.measures import QUESTIONS, Counts, Pixels
from cloudmask_export.evaluation.pairing import Codes, Pairing
from cloudmask_export.evaluation.samples import EvaluationError

CODES = st.sampled_from([0, 1, 2, 3, 255])
MASKS = hnp.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 60)), elements=CODES)
SHADED = Scheme(
    name="shaded",
    title="",
    codes={0: (0,), 1: (1,), 2: (2,), 3: (3,), 4: (1, 2, 3), 9: ()},
    source="",
)


def array(*codes: int) -> np.ndarray:
    return np.array(codes, np.uint8)


# -- counting -------------------------------------------------------------------------------


@given(MASKS)
def test_the_confusion_matrix_is_that_of_scikit_learn(masks: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pair = Pairing(CLOUDMASK, CLOUDMASK)
    known = (masks != 255).all(axis=0)
    # scikit-learn wants at least one label to be there.
    expected = (
        metrics.confusion_matrix(*masks[:, known], labels=[0, 1, 2, 3])
        if known.any()
        else np.zeros((4, 4))
    )
    found = pair.confusion(pair.tally(*masks))
    assert np.array_equal(found.counts, expected)
    if known.any():
        assert found.accuracy == pytest.approx(metrics.accuracy_score(*masks[:, known]))


@given(MASKS, st.sampled_from(sorted(QUESTIONS)))
def test_a_question_is_counted_as_sets_of_pixels(masks: np.ndarray, name: str) -> None:
    pair, meant = Pairing(CLOUDMASK, CLOUDMASK), QUESTIONS[name].classes
    truth, mask = (dict(enumerate(each.tolist())) for each in masks)
    known = {place for place in truth if 255 not in (truth[place], mask[place])}
    there = {place for place in known if truth[place] in meant}
    called = {place for place in known if mask[place] in meant}
    expected = Counts(len(there & called), len(called), len(there), len(known))
    assert pair.counts(pair.tally(*masks), name) == expected


@given(MASKS, st.integers(1, 9))
def test_pieces_do_not_change_the_counts(masks: np.ndarray, size: int) -> None:
    pair = Pairing(CLOUDMASK, CLOUDMASK)
    whole = pair.tally(*masks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "PIECE", size)
        assert np.array_equal(pair.tally(*masks), whole)


@given(MASKS)
def test_every_pixel_goes_somewhere(masks: np.ndarray) -> None:
    truth, mask = masks
    pair = Pairing(CLOUDMASK, CLOUDMASK)
    assert pair.pixels(pair.tally(truth, mask)) == Pixels(
        scored=int(((truth != 255) & (mask != 255)).sum()),
        no_data=int(((truth != 255) & (mask == 255)).sum()),
        unlabelled=int((truth == 255).sum()),
    )


def test_codes_far_apart_and_of_any_integer_type_are_counted() -> None:
    far = Scheme(name="far", title="", codes={7: (0,), 400: (1, 2), 65_535: (3,)}, source="")
    pair = Pairing(far, UKIS_CSM)
    truth = np.array([[7, 400], [65_535, 7]], np.int64)
    mask = np.array([[0, 1], [2, 1]], np.int8)
    assert pair.confusion(pair.tally(truth, mask)).counts == ((1, 1, 0), (0, 1, 0), (0, 0, 1))


# -- what both tell apart -------------------------------------------------------------------


def test_classes_that_one_does_not_tell_apart_are_one_in_the_matrix() -> None:
    assert Pairing(CLOUDMASK, S2CLOUDLESS).classes == ("no cloud", "cloud")
    assert Pairing(CLOUDMASK, UKIS_CSM).classes == ("clear", "cloud", "cloud shadow")


def test_what_labels_or_mask_do_not_tell_apart_is_not_asked() -> None:
    assert Pairing(CLOUDMASK, S2CLOUDLESS).questions == ("cloud",)
    assert Pairing(S2CLOUDLESS, CLOUDMASK).questions == ("cloud",)
    assert Pairing(CLOUDMASK, SCL).questions == tuple(QUESTIONS)


def test_labels_and_mask_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(
        EvaluationError,
        match="labels s2cloudless and mask ukis-valid have no two classes that both tell apart",
    ):
        Pairing(S2CLOUDLESS, UKIS_VALID)


def test_a_label_that_may_be_in_or_out_of_a_question_is_not_counted_for_it() -> None:
    doubtful = Scheme(
        name="x", title="", codes={0: (0,), 1: (1,), 2: (2,), 3: (3,), 4: (0, 2)}, source=""
    )
    pair = Pairing(doubtful, CLOUDMASK)
    tally = pair.tally(array(2, 4, 4, 1), array(2, 2, 0, 1))
    assert pair.counts(tally, "thin") == Counts(hits=1, called=1, there=1, counted=2)
    assert pair.counts(tally, "thick") == Counts(hits=1, called=1, there=1, counted=4)


# -- labels that are several classes at once ------------------------------------------------


def test_a_shaded_cloud_is_right_as_cloud_and_as_shadow() -> None:
    pair = Pairing(SHADED, CLOUDMASK, several=frozenset({4}))
    tally = pair.tally(array(4, 4, 0), array(1, 3, 0))
    assert pair.counts(tally, "cloud") == Counts(hits=1, called=1, there=2, counted=3)
    assert pair.counts(tally, "shadow") == Counts(hits=1, called=1, there=2, counted=3)


def test_a_shaded_cloud_is_in_no_cell_of_the_matrix() -> None:
    pair = Pairing(SHADED, CLOUDMASK, several=frozenset({4}))
    assert pair.classes == ("clear", "thick cloud", "thin cloud", "cloud shadow")
    tally = pair.tally(array(4, 4, 0), array(1, 3, 0))
    assert pair.confusion(tally).counts == ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))
    assert pair.pixels(tally).scored == 3


# -- clouds of the labels -------------------------------------------------------------------


def test_a_cloud_of_the_labels_is_seen_where_the_mask_has_no_data() -> None:
    pair = Pairing(CLOUDMASK, CLOUDMASK)
    assert pair.cloudy(pair.tally(array(0, 2), array(0, 255)))


def test_shadows_and_clouds_of_the_mask_are_no_clouds_of_the_labels() -> None:
    pair = Pairing(CLOUDMASK, CLOUDMASK)
    assert not pair.cloudy(pair.tally(array(0, 3, 255), array(1, 1, 1)))


# -- codes that are not the scheme's --------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
def test_all_codes_of_a_scheme_pass(dtype: type) -> None:
    Codes(SCL).check(np.arange(12).astype(dtype), "labels of a")


def test_a_strange_code_is_named_with_the_sample_and_the_codes_known() -> None:
    with pytest.raises(
        EvaluationError,
        match=r"labels of tile-7: has the codes 4, 9, but cloudmask \(ours, four classes\) has "
        r"only 0, 1, 2, 3, 255; is it of another scheme\?",
    ):
        Codes(CLOUDMASK).check(array(0, 9, 4, 4), "labels of tile-7")


@pytest.mark.parametrize("code", [-1, -300, 65_536, 65_537, 1 << 40])
def test_codes_beyond_the_table_are_strange(code: int) -> None:
    with pytest.raises(EvaluationError, match=rf"x: has the codes {code}, but cloudmask"):
        Codes(CLOUDMASK).check(np.array([[0, code]]), "x")


def test_a_negative_code_is_not_counted_from_the_end() -> None:
    last = Scheme(name="last", title="", codes={0: (0, 1, 2, 3), 65_535: ()}, source="")
    with pytest.raises(EvaluationError, match="x: has the codes -2, but last"):
        Codes(last).check(np.array([0, -2]), "x")


def test_of_many_strange_codes_five_are_named() -> None:
    with pytest.raises(EvaluationError, match=r"has the codes 10, 11, 12, 13, 14 and 3 more, but"):
        Codes(CLOUDMASK).check(np.arange(10, 18), "x")


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_numbers_that_are_no_codes_are_refused(dtype: type) -> None:
    with pytest.raises(EvaluationError, match=r"x: holds (float32|bool); cloudmask has class co"):
        Codes(CLOUDMASK).check(np.zeros(3, dtype), "x")
