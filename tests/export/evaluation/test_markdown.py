from __future__ import annotations

import math

import pytest

from cloudmask.local.scores import Confusion
from cloudmask_export.evaluation.bootstrap import Interval
from cloudmask_export.evaluation.markdown import markdown, said
from cloudmask_export.evaluation.measures import Pixels
from cloudmask_export.evaluation.protocols import ClassScores, Protocol, Scores
from cloudmask_export.evaluation.results import (
    DatasetFacts,
    MaskFacts,
    PredictorScores,
    Results,
)

CLOUD = ClassScores(
    precision=0.7501,
    recall=0.6,
    f1=0.6667,
    iou=math.nan,
    boa=0.8,
    accuracy=0.7,
    intervals={"recall": Interval(0.5, 0.75)},
)


def results(*protocols: Protocol, human: bool = True, no_data: int = 0) -> Results:
    return Results(
        dataset=DatasetFacts(
            name="chip",
            title="Chips",
            scheme="chip",
            kind="pixels",
            human=human,
            licence="",
            source="",
            samples=3,
            groups=2,
        ),
        resamples=10,
        seed=0,
        predictors=(
            PredictorScores(
                mask=MaskFacts(name="s2cloudless", title="", scheme="s2cloudless", note=""),
                classes=("no cloud", "cloud"),
                pixels=Pixels(scored=30, no_data=no_data, unlabelled=0),
                scores=tuple(
                    Scores(
                        protocol=each,
                        questions={"cloud": CLOUD},
                        accuracy=0.9,
                        confusion=Confusion(((1, 0), (0, 1))),
                    )
                    for each in protocols
                ),
                samples=(),
            ),
        ),
    )


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_row_has_the_scores_of_a_class_and_their_intervals() -> None:
    row = lines(markdown(results("pooled")), "| s2cloudless | cloud |")
    assert row == ["| s2cloudless | cloud | 0.750 | 0.600 [0.500, 0.750] | 0.667 | - | 0.800 |"]


def test_a_class_that_a_mask_does_not_know_has_dashes() -> None:
    row = lines(markdown(results("pooled")), "| s2cloudless | cloud shadow |")
    assert row == ["| s2cloudless | cloud shadow | - | - | - | - | - |"]


def test_every_line_of_a_table_has_as_many_cells() -> None:
    for protocol in ("pooled", "patch medians", "points"):
        assert len({line.count("|") for line in lines(markdown(results(protocol)), "|")}) == 1


def test_protocols_have_tables_of_their_own() -> None:
    text = markdown(results("pooled", "patch medians"))
    headings = lines(text, "**")
    assert len(headings) == 2
    assert "all pixels together" in headings[0]
    assert "median over patches" in headings[1]
    assert lines(text, "| mask")[1] == "| mask | class | UA | PA | BOA |"


def test_one_protocol_can_be_asked_for() -> None:
    text = markdown(results("pooled", "patch medians"), "patch medians")
    assert len(lines(text, "**")) == 1
    assert "median over patches" in text


def test_points_have_the_columns_that_pixbox_is_published_with() -> None:
    text = markdown(results("points"))
    assert lines(text, "| mask") == ["| mask | class | UA | PA | OA | BOA |"]
    assert lines(text, "| s2cloudless | cloud |") == [
        "| s2cloudless | cloud | 0.750 | 0.600 [0.500, 0.750] | 0.700 | 0.800 |"
    ]


def test_the_heading_says_whether_people_drew_the_labels() -> None:
    assert "Chips (human labels), 3 images of 2 groups" in markdown(results("pooled"))
    assert "derived labels, not human" in markdown(results("pooled", human=False))


def test_the_overall_accuracy_says_over_which_classes() -> None:
    assert lines(markdown(results("pooled")), "- ") == [
        "- s2cloudless: overall accuracy 0.900 over no cloud, cloud"
    ]


def test_medians_have_no_overall_accuracy() -> None:
    assert not lines(markdown(results("patch medians")), "- ")


def test_what_was_not_scored_for_want_of_data_is_told() -> None:
    assert "; 25.00 % not scored, no data in the mask" in markdown(results("pooled", no_data=10))


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0.12345, None, "0.123"),
        (1.0, Interval(0.9, 1.0), "1.000 [0.900, 1.000]"),
        (math.nan, None, "-"),
    ],
)
def test_a_share_has_three_digits(value: float, interval: Interval, expected: str) -> None:
    assert said(value, interval) == expected
