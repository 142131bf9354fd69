from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.local.compare.schemes import CLOUDMASK, S2CLOUDLESS, Scheme
from cloudmask_export.evaluation.bootstrap import draws
from cloudmask_export.evaluation.measures import SampleScores
from cloudmask_export.evaluation.pairing import Pairing
from cloudmask_export.evaluation.protocols import patch_medians, points, pooled

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = Pairing(CLOUDMASK, CLOUDMASK)


def sample(
    truth: Sequence[int], mask: Sequence[int], group: str = "g", pairing: Pairing = OURS
) -> SampleScores:
    tally = pairing.tally(np.array(truth, np.uint8), np.array(mask, np.uint8))
    return SampleScores(
        name=f"{group}-{truth}",
        group=group,
        path="",
        cloudy=pairing.cloudy(tally),
        pixels=pairing.pixels(tally),
        confusion=pairing.confusion(tally),
        questions={name: pairing.counts(tally, name) for name in pairing.questions},
    )


# -- all pixels together --------------------------------------------------------------------


def test_pooled_scores_are_those_of_all_pixels_put_together() -> None:
    """By hand: 4 cloud pixels, 3 called so, 2 of these right; 6 others, 5 of these right."""
    samples = [
        sample([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]),
        sample([2, 0, 0, 3, 0], [0, 0, 0, 3, 0]),
    ]
    cloud = pooled(samples, None).questions["cloud"]
    assert cloud.precision == pytest.approx(2 / 3)
    assert cloud.recall == pytest.approx(2 / 4)
    assert cloud.f1 == pytest.approx(4 / 7)
    assert cloud.iou == pytest.approx(2 / 5)
    assert cloud.boa == pytest.approx((2 / 4 + 5 / 6) / 2)
    assert cloud.accuracy == pytest.approx(7 / 10)


def test_a_large_sample_weighs_more_in_pooled_scores() -> None:
    samples = [sample([1] * 99, [1] * 99), sample([1], [0])]
    assert pooled(samples, None).questions["cloud"].recall == pytest.approx(0.99)


def test_pooled_accuracy_and_matrix_are_of_the_classes_told_apart() -> None:
    samples = [sample([0, 1, 2, 3], [0, 2, 2, 0]), sample([0, 0], [0, 3])]
    scores = pooled(samples, None)
    assert scores.protocol == "pooled"
    assert scores.accuracy == pytest.approx(3 / 6)
    assert scores.confusion is not None
    assert scores.confusion.counts == ((2, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 0), (1, 0, 0, 0))


def test_a_mask_of_fewer_classes_has_only_the_scores_that_it_can_have() -> None:
    pair = Pairing(CLOUDMASK, S2CLOUDLESS)
    scores = pooled([sample([0, 1, 3, 2], [0, 1, 1, 1], pairing=pair)], None)
    assert list(scores.questions) == ["cloud"]
    assert scores.accuracy == pytest.approx(3 / 4)


def test_a_class_that_is_nowhere_has_no_pooled_score() -> None:
    thin = pooled([sample([0, 1], [0, 1])], None).questions["thin"]
    assert all(math.isnan(each) for each in (thin.precision, thin.recall, thin.f1, thin.iou))


# -- medians over patches (CloudSEN12) ------------------------------------------------------


def test_medians_are_over_patches_and_not_over_pixels() -> None:
    """By hand: PA 1, 3/4, 0; UA 1, 1, none; BOA 1, 7/8, 1/2."""
    patches = [
        sample([1, 0], [1, 0]),
        sample([1, 1, 1, 1, 0], [1, 1, 1, 0, 0]),
        sample([1] * 50 + [0] * 50, [0] * 100),
    ]
    scores = patch_medians(patches, None)
    cloud = scores.questions["cloud"]
    assert scores.protocol == "patch medians"
    assert (cloud.recall, cloud.precision, cloud.boa) == (0.75, 1, 0.875)


def test_a_patch_where_nothing_was_called_so_has_no_ua_and_a_pa_of_zero() -> None:
    cloud = patch_medians([sample([1, 0], [0, 0]), sample([1, 0], [1, 1])], None).questions[
        "cloud"
    ]
    assert cloud.patches["precision"].number == 1
    assert cloud.precision == 0.5
    assert cloud.patches["recall"].number == 2
    assert cloud.recall == 0.5


def test_a_patch_without_clouds_counts_for_nothing_whatever_was_called() -> None:
    """Its UA would be 0, but PA and UA are of patches with clouds; and it has no BOA."""
    patches = [sample([1, 0], [1, 0]), sample([0, 0], [1, 1])]
    cloud = patch_medians(patches, None).questions["cloud"]
    assert (cloud.recall, cloud.precision, cloud.boa) == (1, 1, 1)
    assert {name: each.number for name, each in cloud.patches.items()} == {
        "precision": 1,
        "recall": 1,
        "boa": 1,
    }


def test_shadows_called_in_a_cloudy_patch_without_shadows_are_a_ua_of_zero() -> None:
    patches = [sample([1, 3, 0], [1, 3, 0]), sample([1, 0, 0], [1, 3, 0])]
    shadow = patch_medians(patches, None).questions["shadow"]
    assert shadow.precision == 0.5
    assert shadow.patches["precision"].number == 2
    assert shadow.patches["recall"].number == 1


def test_shadows_of_a_patch_without_clouds_count_for_the_balanced_accuracy_alone() -> None:
    patches = [sample([1, 3, 0], [1, 3, 0]), sample([3, 0, 0], [0, 0, 0])]
    shadow = patch_medians(patches, None).questions["shadow"]
    assert shadow.recall == 1
    assert shadow.boa == (1 + 0.5) / 2
    assert shadow.patches["boa"].number == 2


def test_a_patch_all_cloud_has_no_balanced_accuracy_but_pa_and_ua() -> None:
    cloud = patch_medians([sample([1, 1], [1, 0])], None).questions["cloud"]
    assert math.isnan(cloud.boa)
    assert (cloud.recall, cloud.precision) == (0.5, 1)


def test_patches_are_low_middle_or_high_as_in_the_paper() -> None:
    """PA of 0, 0, 1/10, 9/10 and 1: the ends of the middle belong to it."""
    ten = [1] * 10
    patches = [sample([*ten, 0], [1] * right + [0] * (11 - right)) for right in (0, 0, 1, 9, 10)]
    recall = patch_medians(patches, None).questions["cloud"].patches["recall"]
    assert (recall.number, recall.low, recall.middle, recall.high) == (5, 0.4, 0.4, 0.2)


def test_without_patches_of_the_class_nothing_is_said() -> None:
    cloud = patch_medians([sample([0, 0], [0, 0])], None).questions["cloud"]
    assert all(math.isnan(each) for each in (cloud.recall, cloud.precision, cloud.boa))
    assert cloud.patches["recall"].number == 0
    assert math.isnan(cloud.patches["recall"].low)


def test_what_cloudsen12_does_not_publish_is_not_made_up() -> None:
    scores = patch_medians([sample([1, 0], [1, 0])], None)
    cloud = scores.questions["cloud"]
    assert all(math.isnan(each) for each in (cloud.f1, cloud.iou, cloud.accuracy))
    assert cloud.counts is None
    assert math.isnan(scores.accuracy)
    assert scores.confusion is None


# -- points (PixBox) ------------------------------------------------------------------------

PIXBOX = Scheme(
    name="pixbox",
    title="",
    codes={0: (0,), 1: (1, 2), 3: (3,), 4: (1, 2, 3)},
    source="",
)


def test_points_are_scored_class_by_class_over_all_points() -> None:
    """By hand: TP, FP, FN, TN are 2, 1, 1, 4 for cloud and 1, 1, 1, 5 for shadow."""
    scenes = [
        sample([1, 1, 2, 0], [1, 2, 0, 1], "a"),
        sample([3, 3, 0, 0], [3, 0, 3, 0], "b"),
    ]
    scores = points(scenes, None)
    cloud, shadow = scores.questions["cloud"], scores.questions["shadow"]
    assert scores.protocol == "points"
    assert cloud.precision == pytest.approx(2 / 3)
    assert cloud.recall == pytest.approx(2 / 3)
    assert cloud.accuracy == pytest.approx(6 / 8)
    assert cloud.boa == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert (shadow.precision, shadow.recall, shadow.accuracy) == (0.5, 0.5, 0.75)
    assert shadow.boa == pytest.approx((1 / 2 + 5 / 6) / 2)


def test_the_published_figures_of_pixbox_come_out_of_their_counts() -> None:
    """OmniCloudMask 1.5.0 on Sentinel-2: 361 points are cloud and shadow at once."""
    pair = Pairing(PIXBOX, CLOUDMASK, several=frozenset({4}))
    # One way to fill the cells of which the notebook prints sums.
    cells = {
        (0, 0): 7818, (0, 1): 396, (0, 3): 83, (1, 0): 683, (1, 1): 6964, (1, 3): 161,
        (3, 0): 141, (3, 1): 73, (3, 3): 671, (4, 0): 40, (4, 1): 200, (4, 3): 121,
    }  # fmt: skip
    truth = [right for (right, _), number in cells.items() for _ in range(number)]
    mask = [found for (_, found), number in cells.items() for _ in range(number)]
    scores = points([sample(truth, mask, pairing=pair)], None).questions
    assert len(truth) == 17_351
    found = {
        name: [round(100 * each, 2) for each in (one.precision, one.recall, one.accuracy, one.boa)]
        for name, one in scores.items()
    }
    assert found["clear"] == [90.05, 94.23, 92.26, 92.34]
    assert found["cloud"] == [93.86, 87.7, 91.5, 91.29]
    assert found["shadow"] == [76.45, 63.56, 95.98, 81.02]


# -- intervals ------------------------------------------------------------------------------


def many(groups: int, size: int = 50) -> list[SampleScores]:
    """Make samples of masks that are right more or less often, one or two a group."""
    chance = np.random.default_rng(0)
    made = []
    for place in range(groups + groups // 2):
        truth = chance.integers(0, 4, size + 10 * place)
        others = chance.integers(0, 4, truth.size)
        mask = np.where(chance.random(truth.size) < chance.uniform(0.3, 1), truth, others)
        made.append(sample(truth.tolist(), mask.tolist(), str(place % groups)))
    return made


SOME = many(6)


def weights(samples: Sequence[SampleScores], number: int = 150) -> np.ndarray | None:
    return draws([each.group for each in samples], number, 3)


@pytest.mark.parametrize("protocol", [pooled, patch_medians, points])
def test_one_group_has_no_interval(protocol: Any) -> None:
    alone = [sample([1, 0], [1, 1], "a"), sample([1, 0, 0], [1, 0, 0], "a")]
    scores = protocol(alone, weights(alone))
    assert scores.accuracy_interval is None
    assert not any(each.intervals for each in scores.questions.values())


@pytest.mark.parametrize("protocol", [pooled, patch_medians, points])
@pytest.mark.parametrize("question", ["cloud", "shadow", "clear"])
def test_intervals_are_those_of_scoring_every_draw_anew(protocol: Any, question: str) -> None:
    drawn = weights(SOME)
    assert drawn is not None
    found = protocol(SOME, drawn).questions[question]
    again = []
    for row in drawn:
        pile = [each for each, times in zip(SOME, row, strict=True) for _ in range(times)]
        again.append(protocol(pile, None).questions[question])
    assert found.intervals
    for measure, between in found.intervals.items():
        values = [getattr(each, measure) for each in again]
        expected = np.nanpercentile(values, [2.5, 97.5])
        assert (between.low, between.high) == pytest.approx(tuple(expected))


def test_the_interval_of_the_accuracy_is_that_of_scoring_every_draw_anew() -> None:
    drawn = weights(SOME)
    assert drawn is not None
    accuracies = [
        pooled(
            [e for e, times in zip(SOME, row, strict=True) for _ in range(times)], None
        ).accuracy
        for row in drawn
    ]
    found = pooled(SOME, drawn).accuracy_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(accuracies, [2.5, 97.5])))


def test_an_interval_holds_its_score() -> None:
    samples = many(20)
    for protocol in (pooled, patch_medians, points):
        for each in protocol(samples, weights(samples)).questions.values():
            for measure, between in each.intervals.items():
                assert between.low < getattr(each, measure) < between.high


def test_scenes_that_are_all_alike_leave_no_doubt() -> None:
    alike = [sample([1, 1, 0], [1, 0, 0], group) for group in "abc"]
    recall = pooled(alike, weights(alike)).questions["cloud"].intervals["recall"]
    assert (recall.low, recall.high) == (0.5, 0.5)
