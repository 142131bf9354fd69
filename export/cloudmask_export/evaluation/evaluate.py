"""Masks of labelled images, made and scored: `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from cloudmask.errors import OptionError
from cloudmask_export.evaluation.bootstrap import draws
from cloudmask_export.evaluation.labels import ALL_AT_ONCE
from cloudmask_export.evaluation.measures import SampleScores
from cloudmask_export.evaluation.pairing import Codes, Pairing
from cloudmask_export.evaluation.protocols import PROTOCOLS, patch_medians, points, pooled
from cloudmask_export.evaluation.results import DatasetFacts, MaskFacts, PredictorScores, Results
from cloudmask_export.evaluation.samples import EvaluationError, Image, Truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.protocols import Protocol, Scores
    from cloudmask_export.evaluation.samples import Dataset, Predictor, Sample, SampleKind

Tell = Callable[[str, int, int], None]
"""Called before each step with what is done now, how many steps are done, and of how many; once
more at the end, with no words."""

OF_KIND: Mapping[SampleKind, tuple[Protocol, ...]] = {
    "pixels": ("pooled", "patch medians"),
    "points": ("points",),
}
"""The protocols that labels of a kind allow."""

_MAKERS: Mapping[Protocol, Callable[..., Scores]] = {
    "pooled": pooled,
    "patch medians": patch_medians,
    "points": points,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How to score."""

    protocols: tuple[Protocol, ...] = ()
    """Empty for all that the kind of labels allows (`OF_KIND`)."""
    resamples: int = 1000
    """Draws that the intervals are made of; 0 for no intervals."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        unknown = [each for each in self.protocols if each not in PROTOCOLS]
        if unknown:
            raise OptionError(f"protocols {unknown}: choose among {', '.join(PROTOCOLS)}")
        if self.resamples < 0 or self.seed < 0:
            raise OptionError(
                f"resamples {self.resamples}, seed {self.seed}: both are whole numbers from 0"
            )

    def of(self, kind: SampleKind) -> tuple[Protocol, ...]:
        """Give the protocols for labels of a kind.

        Raises:
            OptionError: One that was asked for needs the other kind.
        """
        wrong = [each for each in self.protocols if each not in OF_KIND[kind]]
        if wrong:
            raise OptionError(
                f"protocols {wrong}: these labels are {kind}; choose among "
                f"{', '.join(OF_KIND[kind])}"
            )
        return self.protocols or OF_KIND[kind]


ALL = Evaluation()


def _silent(_words: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def evaluate(
    dataset: Dataset,
    predictors: Sequence[Predictor],
    options: Evaluation = ALL,
    tell: Tell = _silent,
) -> Results:
    """Mask every sample with every predictor, and score the masks.

    One sample is held at a time, read once for all predictors, and only counts are kept of it.
    Where a mask has no data though the labels have a class, the pixel is not scored, but its
    share is told (`Pixels.share_without_data`). The first thing that goes wrong ends it all.

    Args:
        dataset: Labelled images.
        predictors: At least one, of different names.
        options: How to score.
        tell: See `Tell`.

    Raises:
        EvaluationError: There is nothing to score or nothing to score it with; labels or masks
            have codes that are not their scheme's or a shape that does not fit; labels and a mask
            tell no two classes apart; a predictor cannot mask a sample.
        OptionError: A protocol is for another kind of labels.
    """
    protocols = options.of(dataset.kind)
    _check(dataset, predictors)
    judges = [_Judge(each, _pairing(dataset.scheme, each.scheme)) for each in predictors]
    _go(dataset, judges, tell)
    groups = [each.group for each in dataset.samples]
    weights = draws(groups, options.resamples, options.seed)
    return Results(
        dataset=DatasetFacts.of(dataset),
        resamples=options.resamples,
        seed=options.seed,
        predictors=tuple(judge.scored(protocols, weights) for judge in judges),
    )


def _pairing(labels: Scheme, mask: Scheme) -> Pairing:
    return Pairing(labels, mask, ALL_AT_ONCE.get(labels.name, frozenset()))


def _check(dataset: Dataset, predictors: Sequence[Predictor]) -> None:
    """Refuse what would make empty or ambiguous results."""
    if not dataset.samples:
        raise EvaluationError(f"{dataset.name}: has no samples; nothing can be scored")
    if not predictors:
        raise EvaluationError("no predictor: nothing makes masks to score; name one or more")
    for what, names in (
        (f"{dataset.name}: samples", [each.name for each in dataset.samples]),
        ("predictors", [each.name for each in predictors]),
    ):
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise EvaluationError(f"{what} {', '.join(twice)}: each name may be there only once")


def _go(dataset: Dataset, judges: Sequence[_Judge], tell: Tell) -> None:
    """Go over all samples, one after the other."""
    labels, total = Codes(dataset.scheme), len(dataset.samples) * len(judges)
    done = 0
    for sample in dataset.samples:
        held = _Held(sample)
        truth = held.truth()
        labels.check(truth.codes, f"labels of {sample.name} ({sample.path})")
        for judge in judges:
            tell(f"{sample.name}: {judge.predictor.name}", done, total)
            judge.judge(held, truth)
            done += 1
    tell("", total, total)


class _Held:
    """A sample that is read once, and whose pixels nobody changes for those who come after."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._read: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return self._sample.name

    @property
    def group(self) -> str:
        return self._sample.group

    @property
    def path(self) -> Path:
        return self._sample.path

    def image(self) -> Image:
        if "image" not in self._read:
            image = self._sample.image()
            image.reflectance.flags.writeable = False
            self._read["image"] = image
        found: Image = self._read["image"]
        return found

    def truth(self) -> Truth:
        if "truth" not in self._read:
            self._read["truth"] = self._sample.truth()
        found: Truth = self._read["truth"]
        return found


@dataclass(frozen=True, slots=True)
class _Judge:
    """Scores one predictor, sample by sample."""

    predictor: Predictor
    pairing: Pairing
    samples: list[SampleScores] = field(default_factory=list)

    def judge(self, sample: _Held, truth: Truth) -> None:
        """Make the mask of a sample, and count.

        Raises:
            EvaluationError: The mask does not fit the labels.
        """
        place = f"mask of {sample.name} by {self.predictor.name}"
        mask = self.predictor.predict(sample)
        _check_fits(truth, mask, place)
        there = truth.of(mask)
        Codes(self.pairing.mask).check(there, place)
        tally = self.pairing.tally(truth.codes, there)
        self.samples.append(
            SampleScores(
                name=sample.name,
                group=sample.group,
                path=str(sample.path),
                cloudy=self.pairing.cloudy(tally),
                pixels=self.pairing.pixels(tally),
                confusion=self.pairing.confusion(tally),
                questions={
                    name: self.pairing.counts(tally, name) for name in self.pairing.questions
                },
            )
        )

    def scored(
        self, protocols: Sequence[Protocol], weights: NDArray[np.int64] | None
    ) -> PredictorScores:
        """Score all samples together."""
        return PredictorScores(
            mask=MaskFacts.of(self.predictor),
            classes=self.pairing.classes,
            pixels=reduce(add, (each.pixels for each in self.samples)),
            scores=tuple(_MAKERS[each](self.samples, weights) for each in protocols),
            samples=tuple(self.samples),
        )


def _check_fits(truth: Truth, mask: NDArray[np.integer], place: str) -> None:
    """Refuse a mask that is not on the grid of the labels."""
    rows, columns = truth.rows, truth.columns
    if rows is None or columns is None:
        if mask.shape != truth.codes.shape:
            raise EvaluationError(
                f"{place}: is of the shape {mask.shape}, its labels of {truth.codes.shape}; a "
                "mask on the grid of the labels is needed"
            )
    elif rows.size and not _inside(rows, columns, mask.shape):
        raise EvaluationError(
            f"{place}: is of the shape {mask.shape}, but there are labels at rows {rows.min()} to "
            f"{rows.max()}, columns {columns.min()} to {columns.max()}; a mask on the grid of the "
            "image is needed"
        )


def _inside(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]) -> bool:
    """Tell whether all points are within a mask; negative places would count from its end."""
    return bool(
        min(rows.min(), columns.min()) >= 0 and rows.max() < shape[0] and columns.max() < shape[1]
    )
