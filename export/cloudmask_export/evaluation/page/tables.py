"""Scores as the page and the terminal write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask_export.evaluation.measures import MEASURES, QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudmask_export.evaluation.bootstrap import Interval
    from cloudmask_export.evaluation.protocols import ClassScores, Protocol
    from cloudmask_export.evaluation.results import PredictorScores, Results

HEADINGS = {
    "precision": "precision (user's)",
    "recall": "recall (producer's)",
    "f1": "F1",
    "iou": "IoU",
    "boa": "BOA",
    "accuracy": "accuracy",
}
"""Measure -> heading of its column."""

NOTHING = "-"

PROTOCOL_WORDS = {
    "pooled": "all pixels of all samples together",
    "patch medians": "a score for each sample, and the median of them, as CloudSEN12 publishes",
    "points": "labelled points of all samples together",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One score."""

    value: float | None
    """None where it cannot be said."""
    interval: Interval | None

    @property
    def text(self) -> str:
        """Three digits, or a dash."""
        return NOTHING if self.value is None else f"{self.value:.3f}"

    @property
    def spread(self) -> str:
        """The interval, or nothing."""
        between = self.interval
        return "" if between is None else f"{between.low:.3f} to {between.high:.3f}"


@dataclass(frozen=True, slots=True)
class Row:
    """The scores of one predictor; dashes if it cannot answer."""

    name: str
    cells: Mapping[str, Cell]
    """Measure -> score, in the order of the table's headings."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The scores, three digits each or a dash."""
        return tuple(each.text for each in self.cells.values())


@dataclass(frozen=True, slots=True)
class Table:
    """The scores of all predictors on one question, by one protocol."""

    protocol: Protocol
    question: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(results: Results) -> Iterator[Table]:
    """Make a table of each protocol and question that somebody answers."""
    for protocol in protocols(results):
        for name, question in QUESTIONS.items():
            found = {each.mask.name: _scores(each, protocol, name) for each in results.predictors}
            known = [scores for scores in found.values() if scores]
            if known:
                shown = measures(protocol)
                yield Table(
                    protocol,
                    name,
                    question.title,
                    tuple(HEADINGS[each] for each in shown),
                    tuple(Row(who, _cells(scores, shown)) for who, scores in found.items()),
                )


def protocols(results: Results) -> tuple[Protocol, ...]:
    """List the protocols, in the order in which they were made."""
    every = (scores.protocol for each in results.predictors for scores in each.scores)
    return tuple(dict.fromkeys(every))


def measures(protocol: Protocol) -> tuple[str, ...]:
    """List the measures that those who use a protocol publish, keys of `MEASURES`."""
    if protocol == "patch medians":
        return ("precision", "recall", "boa")
    left_out = {"pooled": "accuracy", "points": "iou"}[protocol]
    return tuple(each for each in MEASURES if each != left_out)


def _scores(found: PredictorScores, protocol: Protocol, question: str) -> ClassScores | None:
    return found.by(protocol).questions.get(question)


def _cells(scores: ClassScores | None, shown: tuple[str, ...]) -> dict[str, Cell]:
    if scores is None:
        return dict.fromkeys(shown, Cell(None, None))
    return {each: Cell(_value(scores, each), scores.intervals.get(each)) for each in shown}


def _value(scores: ClassScores, measure: str) -> float | None:
    value: float = getattr(scores, measure)
    return None if value != value else value  # noqa: PLR0124 - NaN


def basis(results: Results) -> str:
    """Say in a sentence what was scored on, and by whom it was labelled."""
    facts = results.dataset
    return (
        f"{facts.title} ({facts.name}): {facts.samples} sample{'s' * (facts.samples != 1)} of "
        f"{facts.groups} scene{'s' * (facts.groups != 1)} or region{'s' * (facts.groups != 1)}, "
        f"{drawn(results)}"
    )


def drawn(results: Results) -> str:
    """Say whether people drew the labels."""
    return (
        "labels drawn by people"
        if results.dataset.human
        else "labels DERIVED, not drawn by people"
    )
