"""What an evaluation found: everything a page, a table or a later question needs, as JSON too."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cloudmask.local.scores import Confusion
from cloudmask_export.evaluation.bootstrap import Interval
from cloudmask_export.evaluation.measures import Counts, Pixels, SampleScores
from cloudmask_export.evaluation.protocols import ClassScores, Patches, Scores
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudmask_export.evaluation.protocols import Protocol
    from cloudmask_export.evaluation.samples import Dataset, Predictor, SampleKind

Read = TypeVar("Read")

FORMAT = "cloudmask evaluation 1"
"""What the JSON calls itself; another number when its fields change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What was scored on; the fields are those of `samples.Dataset`."""

    name: str
    title: str
    scheme: str
    kind: SampleKind
    human: bool
    licence: str
    source: str
    samples: int
    """How many."""
    groups: int
    """How many scenes or regions they are of."""

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetFacts:
        """Take them from a dataset."""
        return cls(
            name=dataset.name,
            title=dataset.title,
            scheme=dataset.scheme.name,
            kind=dataset.kind,
            human=dataset.human,
            licence=dataset.licence,
            source=dataset.source,
            samples=len(dataset.samples),
            groups=len({each.group for each in dataset.samples}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFacts:
    """Whose masks were scored."""

    name: str
    """How the predictor is asked for."""
    title: str
    scheme: str
    note: str
    """What a reader of the scores ought to know, from the scheme; may be empty."""

    @classmethod
    def of(cls, predictor: Predictor) -> MaskFacts:
        """Take them from a predictor."""
        scheme = predictor.scheme
        return cls(
            name=predictor.name, title=predictor.title, scheme=scheme.name, note=scheme.note
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorScores:
    """How one predictor did."""

    mask: MaskFacts
    classes: tuple[str, ...]
    """Names of the classes that labels and mask both tell apart: rows and columns of every
    confusion matrix."""
    pixels: Pixels
    """Where all pixels (or points) went."""
    scores: tuple[Scores, ...]
    """One for each protocol."""
    samples: tuple[SampleScores, ...]
    """In the order of the dataset."""

    def by(self, protocol: Protocol) -> Scores:
        """Give the scores by a protocol.

        Raises:
            EvaluationError: They were not made.
        """
        for each in self.scores:
            if each.protocol == protocol:
                return each
        raise EvaluationError(
            f"protocol {protocol!r}: not in these results, which have "
            f"{', '.join(each.protocol for each in self.scores)}"
        )

    def worst(self, question: str, measure: str = "f1") -> tuple[SampleScores, ...]:
        """Sort the samples that have a score, the worst first; equals as in the dataset.

        Args:
            question: A key of `measures.QUESTIONS`.
            measure: A key of `measures.MEASURES`.
        """
        scored = [
            (each.questions[question].measure(measure), place)
            for place, each in enumerate(self.samples)
            if question in each.questions
        ]
        return tuple(self.samples[place] for value, place in sorted(scored) if value == value)  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What an evaluation found."""

    dataset: DatasetFacts
    resamples: int
    """Draws that the intervals are made of; 0 for none."""
    seed: int
    predictors: tuple[PredictorScores, ...]

    def as_json(self) -> str:
        """Write everything; what cannot be said (NaN) is null."""
        fields = {"format": FORMAT, **_spoken(asdict(self))}
        return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, place: str = "results") -> Results:
        """Read what `as_json` wrote.

        Args:
            text: JSON.
            place: The file it is of, for messages.

        Raises:
            EvaluationError: It is something else.
        """
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise EvaluationError(
                f"{place}: no JSON ({error}); give what `cloudmask evaluate` wrote as results.json"
            ) from error
        named = fields.get("format") if isinstance(fields, dict) else None
        if named != FORMAT:
            raise EvaluationError(
                f"{place}: is of the format {named!r}, and {FORMAT!r} is needed; give what "
                "`cloudmask evaluate --json` of this version wrote"
            )
        try:
            return _results(fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise EvaluationError(
                f"{place}: lacks something or has too much ({error!r}); evaluate again"
            ) from error


def _spoken(value: Any) -> Any:
    """Turn NaN into None, all the way down."""
    if isinstance(value, dict):
        return {key: _spoken(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_spoken(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _results(fields: dict[str, Any]) -> Results:
    return Results(
        dataset=DatasetFacts(**fields["dataset"]),
        resamples=fields["resamples"],
        seed=fields["seed"],
        predictors=tuple(_predictor(each) for each in fields["predictors"]),
    )


def _predictor(fields: dict[str, Any]) -> PredictorScores:
    return PredictorScores(
        mask=MaskFacts(**fields["mask"]),
        classes=tuple(fields["classes"]),
        pixels=Pixels(**fields["pixels"]),
        scores=tuple(_scores(each) for each in fields["scores"]),
        samples=tuple(_sample(each) for each in fields["samples"]),
    )


def _scores(fields: dict[str, Any]) -> Scores:
    return Scores(
        protocol=fields["protocol"],
        questions=_each(fields["questions"], _class_scores),
        accuracy=_number(fields["accuracy"]),
        accuracy_interval=_maybe(fields["accuracy_interval"], _interval),
        confusion=_maybe(fields["confusion"], _confusion),
    )


def _class_scores(fields: dict[str, Any]) -> ClassScores:
    return ClassScores(
        precision=_number(fields["precision"]),
        recall=_number(fields["recall"]),
        f1=_number(fields["f1"]),
        iou=_number(fields["iou"]),
        boa=_number(fields["boa"]),
        accuracy=_number(fields["accuracy"]),
        counts=_maybe(fields["counts"], _counts),
        patches=_each(fields["patches"], _patches),
        intervals=_each(fields["intervals"], _interval),
    )


def _sample(fields: dict[str, Any]) -> SampleScores:
    return SampleScores(
        name=fields["name"],
        group=fields["group"],
        path=fields["path"],
        cloudy=fields["cloudy"],
        pixels=Pixels(**fields["pixels"]),
        confusion=_confusion(fields["confusion"]),
        questions=_each(fields["questions"], _counts),
    )


def _patches(fields: dict[str, Any]) -> Patches:
    return Patches(
        number=fields["number"],
        low=_number(fields["low"]),
        middle=_number(fields["middle"]),
        high=_number(fields["high"]),
    )


def _counts(fields: dict[str, Any]) -> Counts:
    return Counts(**fields)


def _interval(fields: dict[str, Any]) -> Interval:
    return Interval(**fields)


def _confusion(fields: dict[str, Any]) -> Confusion:
    return Confusion(tuple(tuple(row) for row in fields["counts"]))


def _each(fields: Mapping[str, Any], read: Callable[[Any], Read]) -> dict[str, Read]:
    return {name: read(each) for name, each in fields.items()}


def _maybe(fields: Any, read: Callable[[Any], Read]) -> Read | None:
    return None if fields is None else read(fields)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
