from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask_export.evaluation.page import tables

if TYPE_CHECKING:
    from collections.abc import Callable


def test_there_is_a_table_for_each_protocol_and_question_that_somebody_answers(two: Any) -> None:
    made = [(each.protocol, each.question) for each in tables.tables(two.results)]
    asked = ["cloud", "shadow", "thick", "thin", "clear", "invalid"]
    assert made == [(each, name) for each in ("pooled", "patch medians") for name in asked]


def test_measures_are_those_that_a_protocol_publishes(two: Any) -> None:
    headings = {each.protocol: each.headings for each in tables.tables(two.results)}
    assert headings["pooled"][2:] == ("F1", "IoU", "BOA")
    assert headings["patch medians"] == ("precision (user's)", "recall (producer's)", "BOA")


def test_a_row_has_the_scores_of_its_predictor(two: Any) -> None:
    cloud = next(tables.tables(two.results))
    for row, each in zip(cloud.rows, two.results.predictors, strict=True):
        scores = each.by("pooled").questions["cloud"]
        assert row.name == each.mask.name
        assert row.texts == tuple(
            f"{getattr(scores, name):.3f}" for name in ("precision", "recall", "f1", "iou", "boa")
        )
        assert row.cells["f1"].spread.startswith(f"{scores.intervals['f1'].low:.3f} to ")


def test_who_cannot_answer_has_dashes(two: Any) -> None:
    shadow = list(tables.tables(two.results))[1]
    assert shadow.rows[1].texts == ("-",) * 5


def test_the_basis_says_how_many_samples_and_who_labelled_them(
    found: Callable[..., Any], predictor: Any
) -> None:
    about = "Made-up labels (made): 4 samples of 2 scenes or regions, labels "
    drawn = found(predictor("ours")).results
    assert tables.basis(drawn) == about + "drawn by people"
    derived = found(predictor("ours"), human=False).results
    assert tables.basis(derived) == about + "DERIVED, not drawn by people"
