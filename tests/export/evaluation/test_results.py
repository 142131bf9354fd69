from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from cloudmask.local.scores import Confusion
from cloudmask_export.evaluation.bootstrap import Interval
from cloudmask_export.evaluation.measures import Counts, Pixels, SampleScores
from cloudmask_export.evaluation.protocols import ClassScores, Patches, Scores
from cloudmask_export.evaluation.results import (
    DatasetFacts,
    MaskFacts,
    PredictorScores,
    Results,
)
from cloudmask_export.evaluation.samples import EvaluationError

CONFUSION = Confusion(((5, 1), (2, 2)))


def tile(name: str, **questions: Counts) -> SampleScores:
    return SampleScores(
        name=name,
        group="T31",
        path=f"data/{name}.tif",
        cloudy=True,
        pixels=Pixels(scored=10, no_data=1, unlabelled=3),
        confusion=CONFUSION,
        questions=questions,
    )


POOLED = Scores(
    protocol="pooled",
    questions={
        "cloud": ClassScores(
            precision=0.75,
            recall=0.6,
            f1=2 / 3,
            iou=0.5,
            boa=math.nan,
            accuracy=0.7,
            counts=Counts(hits=3, called=4, there=5, counted=10),
            intervals={"recall": Interval(0.5, 0.7)},
        )
    },
    accuracy=0.7,
    accuracy_interval=Interval(0.6, 0.8),
    confusion=CONFUSION,
)
MEDIANS = Scores(
    protocol="patch medians",
    questions={
        "cloud": ClassScores(
            precision=0.5,
            recall=math.nan,
            boa=0.8,
            patches={"recall": Patches(number=0, low=math.nan, middle=math.nan, high=math.nan)},
        )
    },
)
RESULTS = Results(
    dataset=DatasetFacts(
        name="pairs",
        title="Pairs, größer",
        scheme="pairs",
        kind="pixels",
        human=False,
        licence="?",
        source="https://example.org",
        samples=2,
        groups=1,
    ),
    resamples=100,
    seed=7,
    predictors=(
        PredictorScores(
            mask=MaskFacts(name="ukis:4b_l1c", title="ukis", scheme="ukis-csm", note=""),
            classes=("no cloud", "cloud"),
            pixels=Pixels(scored=20, no_data=2, unlabelled=6),
            scores=(POOLED, MEDIANS),
            samples=(tile("a", cloud=Counts(1, 2, 3, 4)), tile("b")),
        ),
    ),
)


def pure(value: object) -> object:
    """Make NaN equal to itself."""
    return repr(value)


# -- JSON -----------------------------------------------------------------------------------


def test_results_come_back_from_their_json() -> None:
    assert pure(Results.from_json(RESULTS.as_json())) == pure(RESULTS)


def test_what_cannot_be_said_is_null() -> None:
    fields = json.loads(RESULTS.as_json())
    assert fields["predictors"][0]["scores"][0]["questions"]["cloud"]["boa"] is None
    assert fields["predictors"][0]["scores"][1]["accuracy"] is None


def test_the_json_has_names_and_numbers_that_people_find() -> None:
    text = RESULTS.as_json()
    fields = json.loads(text)
    cloud = fields["predictors"][0]["scores"][0]["questions"]["cloud"]
    assert fields["format"] == "cloudmask evaluation 1"
    assert '"title": "Pairs, größer"' in text
    assert cloud["precision"] == 0.75
    assert cloud["intervals"] == {"recall": {"low": 0.5, "high": 0.7}}
    assert fields["predictors"][0]["samples"][0]["questions"]["cloud"]["there"] == 3


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"scores\.json: no JSON .*give what `cloudmask eva"):
        Results.from_json("<html>", "scores.json")


@pytest.mark.parametrize("text", ["{}", "[1]", '{"format": "cloudmask evaluation 0"}'])
def test_another_format_is_refused(text: str) -> None:
    with pytest.raises(EvaluationError, match=r"x: is of the format .*'cloudmask evaluation 1'"):
        Results.from_json(text, "x")


@pytest.mark.parametrize("lost", ["seed", "predictors", "dataset"])
def test_results_with_something_lost_are_refused(lost: str) -> None:
    fields = json.loads(RESULTS.as_json())
    del fields[lost]
    with pytest.raises(EvaluationError, match=rf"x: lacks something .*{lost}.*evaluate again"):
        Results.from_json(json.dumps(fields), "x")


# -- asking ---------------------------------------------------------------------------------


def test_scores_are_found_by_their_protocol() -> None:
    one = RESULTS.predictors[0]
    assert one.by("pooled") is POOLED
    assert one.by("patch medians") is MEDIANS


def test_a_protocol_that_was_not_used_is_refused() -> None:
    with pytest.raises(
        EvaluationError,
        match="protocol 'points': not in these results, which have pooled, patch medians",
    ):
        RESULTS.predictors[0].by("points")


def with_samples(*samples: SampleScores) -> PredictorScores:
    return replace(RESULTS.predictors[0], samples=samples)


def test_the_worst_samples_come_first() -> None:
    good, bad, middling = (
        tile(name, cloud=Counts(hits, 4, 4, 9)) for name, hits in (("g", 4), ("b", 0), ("m", 2))
    )
    assert with_samples(good, bad, middling).worst("cloud") == (bad, middling, good)


def test_samples_may_be_sorted_by_another_measure() -> None:
    careful = tile("careful", cloud=Counts(hits=1, called=1, there=9, counted=20))
    eager = tile("eager", cloud=Counts(hits=9, called=18, there=9, counted=20))
    assert with_samples(careful, eager).worst("cloud", "precision") == (eager, careful)
    assert with_samples(careful, eager).worst("cloud", "recall") == (careful, eager)


def test_samples_without_a_score_are_not_among_the_worst() -> None:
    empty, unasked = tile("empty", cloud=Counts(0, 0, 0, 9)), tile("unasked")
    some = tile("some", cloud=Counts(1, 2, 3, 9))
    assert with_samples(empty, unasked, some).worst("cloud") == (some,)


def test_equally_bad_samples_stay_in_the_order_of_the_dataset() -> None:
    same = [tile(name, cloud=Counts(1, 2, 3, 9)) for name in "zab"]
    assert with_samples(*same).worst("cloud") == tuple(same)
