"""What is asked of a mask, and the shares that say how well it answers.

A mask and its labels have codes of their own; a `Pairing` of their two schemes counts how often
each code met each other one. Everything else is made of these counts: the confusion matrix of the
classes that both tell apart, and per question four numbers.

What cannot be said is NaN, never 0 and never 1: precision where nothing was called so, recall
where the truth has none, F1 and IoU where neither has any, BOA where the truth has only one of
the two sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import CLEAR, SHADOW, THICK, THIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask.local.scores import Confusion

HITS, CALLED, THERE, COUNTED = range(4)
"""Places in an array of counts (..., 4); as the fields of `Counts`."""

IN, OUT, UNSAID = 1, 0, -1
"""Sides of a question: yes, no, and may be either or says nothing."""


CLOUDS = frozenset({THICK, THIN})


@dataclass(frozen=True, slots=True)
class Question:
    """Some of our classes, taken together, against all others."""

    name: str
    title: str
    classes: frozenset[int]
    """Our class codes that are meant."""


QUESTIONS: Mapping[str, Question] = {
    each.name: each
    for each in (
        Question("cloud", "cloud", CLOUDS),
        Question("shadow", "cloud shadow", frozenset({SHADOW})),
        Question("thick", "thick cloud", frozenset({THICK})),
        Question("thin", "thin cloud", frozenset({THIN})),
        Question("clear", "clear", frozenset({CLEAR})),
        Question("invalid", "cloud or shadow", frozenset({THICK, THIN, SHADOW})),
    )
}
"""Name -> question, in the order in which they are shown."""


def codes_of(scheme: Scheme) -> tuple[int, ...]:
    """Give the codes of a scheme in ascending order, as arrays here have them."""
    return tuple(sorted(scheme.codes))


def sides(
    scheme: Scheme, question: Question, several: frozenset[int] = frozenset()
) -> NDArray[np.int8]:
    """Say on which side of a question each code stands.

    Args:
        scheme: What the codes mean.
        question: What is asked.
        several: Codes that are a cloud and a shadow at once, where others are one of their
            classes: such a cloud counts for both. Which cloud may still be open.

    Returns:
        (codes,), in the order of `codes_of`: IN, OUT or UNSAID.
    """
    answers = [
        _side(_parts(frozenset(scheme.codes[code]), apart=code in several), question.classes)
        for code in codes_of(scheme)
    ]
    return np.array(answers, np.int8)


def _parts(meant: frozenset[int], *, apart: bool) -> tuple[frozenset[int], ...]:
    """Give what a code is all of; it is one class of each part."""
    parts = (meant & CLOUDS, meant - CLOUDS) if apart else (meant,)
    return tuple(part for part in parts if part)


def _side(parts: tuple[frozenset[int], ...], asked: frozenset[int]) -> int:
    if any(part <= asked for part in parts):
        return IN
    return UNSAID if not parts or any(part & asked for part in parts) else OUT


def labelled(scheme: Scheme, question: Question, several: frozenset[int] = frozenset()) -> bool:
    """Tell whether labels can decide a question: some code says yes for sure, and some no."""
    return {IN, OUT} <= set(sides(scheme, question, several).tolist())


def answered(scheme: Scheme, question: Question) -> bool:
    """Tell whether a mask answers a question: no code of it may be either."""
    meanings = (frozenset(meant) for meant in scheme.codes.values())
    return all(meant <= question.classes or not meant & question.classes for meant in meanings)


@dataclass(frozen=True, slots=True)
class Counts:
    """How a question was answered, by pixels or points; what the labels leave open is not in."""

    hits: int
    """Called so, and are so."""
    called: int
    """Called so."""
    there: int
    """Are so."""
    counted: int
    """All that have an answer in both."""

    def measure(self, name: str) -> float:
        """Give one of `MEASURES`; NaN where it cannot be said."""
        return float(MEASURES[name](self.array))

    @property
    def array(self) -> NDArray[np.int64]:
        """The four numbers (4,)."""
        return np.array((self.hits, self.called, self.there, self.counted), np.int64)

    @classmethod
    def of(cls, array: NDArray[np.int64]) -> Counts:
        """Take the four numbers from an array (4,)."""
        return cls(*array.tolist())


def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(np.shape(whole), math.nan), where=whole > 0)


def precision(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of what was called so that is so (user's accuracy, UA)."""
    return share(counts[..., HITS], counts[..., CALLED])


def recall(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of what is so that was called so (producer's accuracy, PA; TPR)."""
    return share(counts[..., HITS], counts[..., THERE])


def f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Harmonic mean of precision and recall (Dice)."""
    return share(2 * counts[..., HITS], counts[..., CALLED] + counts[..., THERE])


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What both call so, of what either calls so (Jaccard)."""
    either = counts[..., CALLED] + counts[..., THERE] - counts[..., HITS]
    return share(counts[..., HITS], either)


def boa(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Balanced overall accuracy: mean of the recalls of both sides, (TPR + TNR) / 2.

    Aybar et al. 2022, doi:10.1038/s41597-022-01878-2.
    """
    others = counts[..., COUNTED] - counts[..., THERE]
    return (recall(counts) + share(_rejected(counts), others)) / 2


def accuracy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share that was answered right, yes or no (OA of the question)."""
    return share(counts[..., HITS] + _rejected(counts), counts[..., COUNTED])


def _rejected(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count what is not so and was not called so (true negatives)."""
    either = counts[..., CALLED] + counts[..., THERE] - counts[..., HITS]
    return np.asarray(counts[..., COUNTED] - either)


MEASURES: Mapping[str, Callable[[NDArray[np.int64]], NDArray[np.float64]]] = {
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "iou": iou,
    "boa": boa,
    "accuracy": accuracy,
}
"""Name -> function of counts (..., 4), which gives (...), NaN where it cannot be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Where the pixels (or points) of a sample went."""

    scored: int
    """Have a class in the labels and in the mask."""
    no_data: int
    """Have a class in the labels, but no data in the mask: not scored."""
    unlabelled: int
    """Have no class in the labels."""

    @property
    def share_without_data(self) -> float:
        """Share of what has a label that the mask has no data for; NaN without labels."""
        known = self.scored + self.no_data
        return self.no_data / known if known else math.nan

    def __add__(self, other: Pixels) -> Pixels:
        return Pixels(
            scored=self.scored + other.scored,
            no_data=self.no_data + other.no_data,
            unlabelled=self.unlabelled + other.unlabelled,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleScores:
    """What one mask of one sample gave; all scores are made of these counts."""

    name: str
    group: str
    """Scene or region."""
    path: str
    cloudy: bool
    """Whether the labels have a pixel that is a cloud for sure, whatever the mask."""
    pixels: Pixels
    confusion: Confusion
    """A row for each class of the labels, a column for each of the mask."""
    questions: Mapping[str, Counts]
    """Question -> counts; what the mask or the labels cannot tell is not in."""
