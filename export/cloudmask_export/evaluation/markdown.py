"""Results as tables in Markdown, one for each protocol: what is made differently never mixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.evaluation.measures import QUESTIONS
from cloudmask_export.evaluation.protocols import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloudmask_export.evaluation.bootstrap import Interval
    from cloudmask_export.evaluation.protocols import ClassScores, Protocol
    from cloudmask_export.evaluation.results import DatasetFacts, PredictorScores, Results

NOTHING = "-"
"""What cannot be said, and a question that a mask does not answer."""

_MADE: Mapping[Protocol, str] = {
    "pooled": "all pixels together",
    "patch medians": "median over patches; precision and recall over those with a cloud",
    "points": "all points together",
}
_COLUMNS: Mapping[Protocol, Mapping[str, str]] = {
    "pooled": {
        "precision": "precision (UA)",
        "recall": "recall (PA)",
        "f1": "F1",
        "iou": "IoU",
        "boa": "BOA",
    },
    "patch medians": {"precision": "UA", "recall": "PA", "boa": "BOA"},
    "points": {"precision": "UA", "recall": "PA", "accuracy": "OA", "boa": "BOA"},
}
"""Protocol -> measure -> heading, as those who use a protocol publish it."""


def markdown(results: Results, protocol: Protocol | None = None) -> str:
    """Write tables: a row for each predictor and class, intervals in brackets.

    Args:
        results: What was found.
        protocol: Only this one; None for all that there are.
    """
    there = {each.protocol for one in results.predictors for each in one.scores}
    asked = [each for each in PROTOCOLS if each in there and protocol in (None, each)]
    return "\n".join(line for each in asked for line in _part(results, each))


def _part(results: Results, protocol: Protocol) -> Iterator[str]:
    yield f"**{_about(results.dataset)}; {_MADE[protocol]}**"
    yield ""
    columns = _COLUMNS[protocol]
    yield from _head(("mask", "class", *columns.values()))
    for one in results.predictors:
        yield from _rows(one, protocol, tuple(columns))
    yield ""
    if protocol != "patch medians":
        yield from (_overall(one, protocol) for one in results.predictors)
        yield ""


def _about(facts: DatasetFacts) -> str:
    labels = "human labels" if facts.human else "derived labels, not human"
    what = "images" if facts.kind == "pixels" else "images with points"
    return f"{facts.title} ({labels}), {facts.samples} {what} of {facts.groups} groups"


def _head(headings: Sequence[str]) -> Iterator[str]:
    yield _line(headings)
    yield _line(["---", "---", *["---:"] * (len(headings) - 2)])


def _rows(one: PredictorScores, protocol: Protocol, measures: Sequence[str]) -> Iterator[str]:
    scores = one.by(protocol)
    for name, question in QUESTIONS.items():
        found = scores.questions.get(name)
        cells = [NOTHING if found is None else _cell(found, each) for each in measures]
        yield _line([one.mask.name, question.title, *cells])


def _cell(scores: ClassScores, measure: str) -> str:
    return said(getattr(scores, measure), scores.intervals.get(measure))


def _overall(one: PredictorScores, protocol: Protocol) -> str:
    scores = one.by(protocol)
    lost = one.pixels.share_without_data
    without = f"; {100 * lost:.2f} % not scored, no data in the mask" if lost > 0 else ""
    return (
        f"- {one.mask.name}: overall accuracy "
        f"{said(scores.accuracy, scores.accuracy_interval)} over {', '.join(one.classes)}{without}"
    )


def said(value: float, interval: Interval | None) -> str:
    """Write a share with three digits, and its interval if there is one."""
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return NOTHING
    between = "" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{value:.3f}{between}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
