"""The samples on which a mask did worst, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.classes import CLASSES
from cloudmask.local.compare.groups import title
from cloudmask_export.evaluation.labels import ALL_AT_ONCE
from cloudmask_export.evaluation.page.pictures import Looks, Meeting, draw, shares
from cloudmask_export.evaluation.pairing import Pairing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudmask.local.compare.groups import Group
    from cloudmask_export.evaluation.measures import SampleScores
    from cloudmask_export.evaluation.results import PredictorScores
    from cloudmask_export.evaluation.samples import Dataset, Predictor, Sample


@dataclass(frozen=True, slots=True)
class Card:
    """A sample as the page shows it."""

    name: str
    group: str
    wrong: float
    """Percentage of the scored pixels (or points) that have another class than their label."""
    looks: Looks
    truth: str
    """Shares of the classes in the labels, in words."""
    mask: str
    """The same of the mask."""


def worst(samples: Sequence[SampleScores], number: int) -> tuple[SampleScores, ...]:
    """Choose the samples with the largest share of wrong pixels, the worst first.

    A sample that has no scored pixel, or no wrong one, is never among them.
    """
    bad = [each for each in samples if wrong(each)]
    return tuple(sorted(bad, key=lambda each: (-wrong(each), each.name))[:number])


def wrong(scores: SampleScores) -> float:
    """Give the percentage of scored pixels (or points) with a wrong class; 0 without any."""
    confusion = scores.confusion
    return 100 * (1 - sum(confusion.hits) / confusion.total) if confusion.total else 0.0


def together(dataset: Dataset, predictor: Predictor) -> tuple[Group, ...]:
    """Give the groups of classes that labels and mask both tell apart."""
    scheme = dataset.scheme
    return Pairing(scheme, predictor.scheme, ALL_AT_ONCE.get(scheme.name, frozenset())).groups


def legend(dataset: Dataset, predictor: Predictor) -> tuple[tuple[str, str], ...]:
    """Say how groups of classes are painted: title, name of the class whose colour it has."""
    names = {each.code: each.name for each in CLASSES}
    return tuple((title(each), names[each[0]]) for each in together(dataset, predictor))


def cards(
    dataset: Dataset, predictor: Predictor, found: PredictorScores, number: int
) -> Iterator[Card]:
    """Draw the worst samples of a predictor, one after the other."""
    named = {sample.name: sample for sample in dataset.samples}
    for scores in worst(found.samples, number):
        yield _card(dataset, predictor, named[scores.name], scores)


def _card(dataset: Dataset, predictor: Predictor, sample: Sample, scores: SampleScores) -> Card:
    schemes = dataset.scheme, predictor.scheme
    groups = together(dataset, predictor)
    meeting = Meeting.of(sample.truth(), predictor.predict(sample), schemes, groups)
    return Card(
        name=sample.name,
        group=sample.group,
        wrong=wrong(scores),
        looks=draw(sample.image(), meeting),
        truth=shares(meeting.truth, groups),
        mask=shares(meeting.mask, groups),
    )
