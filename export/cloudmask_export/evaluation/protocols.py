"""Three ways to make one score of many samples; they give other numbers and are never mixed.

- "pooled": all pixels of all samples together.
- "patch medians": a score for each sample, and the median of them, as CloudSEN12 publishes.
- "points": single labelled points of all samples together, as PixBox is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from cloudmask.local.scores import Confusion
from cloudmask_export.evaluation.bootstrap import interval
from cloudmask_export.evaluation.measures import MEASURES, Counts, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.bootstrap import Interval
    from cloudmask_export.evaluation.measures import SampleScores

Protocol = Literal["pooled", "patch medians", "points"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

LOW, HIGH = 0.1, 0.9
"""Below and above, a patch's PA or UA is low or high (fig10.R, table 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """How the values behind a median are spread; the shares are NaN without patches."""

    number: int
    """Patches that have a value."""
    low: float
    """Share of them below 0.1."""
    middle: float
    """Share of them from 0.1 to 0.9."""
    high: float
    """Share of them above 0.9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """How well a question was answered; NaN where that cannot be said."""

    precision: float
    """User's accuracy, UA."""
    recall: float
    """Producer's accuracy, PA."""
    f1: float = math.nan
    iou: float = math.nan
    boa: float
    """(TPR + TNR) / 2."""
    accuracy: float = math.nan
    """Share of right answers, yes or no."""
    counts: Counts | None = None
    """All pixels or points; None for medians of patches."""
    patches: Mapping[str, Patches] = field(default_factory=dict)
    """Measure -> what its median is made of; empty unless there are medians."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Measure -> 95 % interval over groups; what has none is not in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well a mask did on all samples, by one protocol."""

    protocol: Protocol
    questions: Mapping[str, ClassScores]
    """Question -> scores; what the mask or the labels cannot tell is not in."""
    accuracy: float = math.nan
    """Share of pixels or points with the right class (overall accuracy) of `confusion`."""
    accuracy_interval: Interval | None = None
    confusion: Confusion | None = None
    """A row for each class of the labels, a column for each of the mask; None for medians."""


def pooled(samples: Sequence[SampleScores], weights: NDArray[np.int64] | None) -> Scores:
    """Score all pixels together.

    Precision, recall, F1, IoU and BOA of each question are those of all pixels of all samples;
    large samples and those full of a class weigh more. Overall accuracy is that of the classes
    which labels and mask both tell apart.

    Args:
        samples: At least one, all of one mask.
        weights: As `bootstrap.draws` gives them; None for no intervals.
    """
    return _together("pooled", samples, weights)


def points(samples: Sequence[SampleScores], weights: NDArray[np.int64] | None) -> Scores:
    """Score labelled points, all of all scenes together.

    Per class, the rule of OmniCloudMask's validation on PixBox (its notebook "Get stats", one for
    each sensor; github.com/DPIRD-DMA/OmniCloudMask, validation dataset): every point that is
    cloud, shadow or clear counts for each class, which is either its own or not: UA = TP / (TP +
    FP), PA = TP / (TP + FN), OA = (TP + TN) / all, BOA = (PA + TN / (TN + FP)) / 2. OA is here
    `ClassScores.accuracy`. A point may be cloud and shadow at once and is then right as either
    (`Pairing.several`).

    Args:
        samples: At least one, all of one mask.
        weights: As `bootstrap.draws` gives them; None for no intervals.
    """
    return _together("points", samples, weights)


def _together(
    protocol: Protocol, samples: Sequence[SampleScores], weights: NDArray[np.int64] | None
) -> Scores:
    """Sum up, then score."""
    confusion = np.sum([each.confusion.counts for each in samples], axis=0)
    right = np.array(
        [(sum(each.confusion.hits), each.confusion.total) for each in samples], np.int64
    )
    return Scores(
        protocol=protocol,
        questions={name: _summed(_counts(samples, name), weights) for name in _asked(samples)},
        accuracy=float(_right(right.sum(axis=0))),
        accuracy_interval=None if weights is None else interval(_right(weights @ right)),
        confusion=Confusion(tuple(tuple(row) for row in confusion.tolist())),
    )


def _right(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide what is right by all (..., 2)."""
    return share(numbers[..., 0], numbers[..., 1])


def _asked(samples: Sequence[SampleScores]) -> tuple[str, ...]:
    return tuple(samples[0].questions)


def _counts(samples: Sequence[SampleScores], question: str) -> NDArray[np.int64]:
    """Give the counts of each sample (sample, 4)."""
    return np.array([each.questions[question].array for each in samples])


def _summed(counts: NDArray[np.int64], weights: NDArray[np.int64] | None) -> ClassScores:
    total = counts.sum(axis=0)
    intervals: dict[str, Interval] = {}
    if weights is not None:
        again = weights @ counts
        found = {name: interval(measure(again)) for name, measure in MEASURES.items()}
        intervals = {name: each for name, each in found.items() if each is not None}
    values = {name: float(measure(total)) for name, measure in MEASURES.items()}
    return ClassScores(
        precision=values["precision"],
        recall=values["recall"],
        f1=values["f1"],
        iou=values["iou"],
        boa=values["boa"],
        accuracy=values["accuracy"],
        counts=Counts.of(total),
        intervals=intervals,
    )


def patch_medians(samples: Sequence[SampleScores], weights: NDArray[np.int64] | None) -> Scores:
    """Score each patch and give medians over patches, as CloudSEN12 does.

    The rule of Aybar et al. 2022 (doi:10.1038/s41597-022-01878-2) is that of the authors' code,
    github.com/cloudsen12/figures, figure10 (data_creator.R, utils.R, fig10.R), for cloud, shadow
    and cloud or shadow alike:

    - PA and UA are taken over patches whose labels have a cloud, also for shadows; a patch
      without the class has no PA, one where nothing was called so has no UA, and these are left
      out. Called so where the class is not there is a UA of 0.
    - BOA is taken over all patches; one whose labels are all or not at all of the class has none
      and is left out.
    - Their table has the median of BOA, and of PA and UA the shares of patches that are low (less
      than 0.1), middle, and high (more than 0.9). We add the medians of PA and UA.

    F1, IoU and overall accuracy are not part of it.

    Args:
        samples: At least one, all of one mask.
        weights: As `bootstrap.draws` gives them; None for no intervals.
    """
    cloudy = np.array([each.cloudy for each in samples])
    return Scores(
        protocol="patch medians",
        questions={
            name: _medians(_counts(samples, name), cloudy, weights) for name in _asked(samples)
        },
    )


def _medians(
    counts: NDArray[np.int64], cloudy: NDArray[np.bool_], weights: NDArray[np.int64] | None
) -> ClassScores:
    every = np.ones_like(cloudy)
    used = {"precision": cloudy, "recall": cloudy, "boa": every}
    values = {
        name: np.where(where, MEASURES[name](counts), math.nan) for name, where in used.items()
    }
    intervals: dict[str, Interval] = {}
    if weights is not None:
        found = {name: interval(_resampled(each, weights)) for name, each in values.items()}
        intervals = {name: each for name, each in found.items() if each is not None}
    return ClassScores(
        precision=median(values["precision"]),
        recall=median(values["recall"]),
        boa=median(values["boa"]),
        patches={name: _spread(each) for name, each in values.items()},
        intervals=intervals,
    )


def median(values: NDArray[np.float64]) -> float:
    """Take the median of what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else math.nan


def _resampled(values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Take the median of each draw (draw,)."""
    return np.array([median(np.repeat(values, times)) for times in weights])


def _spread(values: NDArray[np.float64]) -> Patches:
    known = values[~np.isnan(values)]
    number = known.size
    low, high = np.count_nonzero(known < LOW), np.count_nonzero(known > HIGH)
    parts = np.array([low, number - low - high, high])
    shares = share(parts, np.full(3, number))
    return Patches(
        number=number, low=float(shares[0]), middle=float(shares[1]), high=float(shares[2])
    )
