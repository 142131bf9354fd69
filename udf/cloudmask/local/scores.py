"""How well a mask agrees with a truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import CLASSES, NO_DATA, SHADOW, THICK, THIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CLOUD = (THICK, THIN)
"""Class codes counted as cloud when a network does not tell thick from thin."""


@dataclass(frozen=True, slots=True)
class Score:
    """Agreement on one class, by pixels; nothing to find and nothing found is perfect."""

    hits: int
    """Pixels that were called so and are so."""
    called: int
    """Pixels that were called so."""
    there: int
    """Pixels that are so."""

    @property
    def precision(self) -> float:
        """Share of what was called so that is so (user's accuracy)."""
        return _share(self.hits, self.called)

    @property
    def recall(self) -> float:
        """Share of what is so that was called so (producer's accuracy)."""
        return _share(self.hits, self.there)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.hits, self.called + self.there)

    @property
    def iou(self) -> float:
        """Pixels that both call so, of those that either calls so (Jaccard)."""
        return _share(self.hits, self.called + self.there - self.hits)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each class met each other one."""

    counts: tuple[tuple[int, ...], ...]
    """Pixels, square: a row for each class of the truth, a column for each class called."""

    @property
    def total(self) -> int:
        """All pixels."""
        return sum(self.there)

    @property
    def there(self) -> tuple[int, ...]:
        """Pixels of each class in the truth."""
        return tuple(sum(row) for row in self.counts)

    @property
    def called(self) -> tuple[int, ...]:
        """Pixels that were called each class."""
        return tuple(sum(column) for column in zip(*self.counts, strict=True))

    @property
    def hits(self) -> tuple[int, ...]:
        """Pixels of each class that were called so."""
        return tuple(row[place] for place, row in enumerate(self.counts))

    def score(self, place: int) -> Score:
        """Score the class of a row."""
        return Score(self.hits[place], self.called[place], self.there[place])

    @property
    def accuracy(self) -> float:
        """Share of pixels that were called right (overall accuracy); NaN without pixels."""
        return sum(self.hits) / self.total if self.total else math.nan

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that the truth has; NaN without pixels."""
        recalls = [self.score(place).recall for place, count in enumerate(self.there) if count]
        return sum(recalls) / len(recalls) if recalls else math.nan

    @property
    def kappa(self) -> float:
        """Agreement beyond chance (Cohen 1960): 1 perfect, 0 chance.

        NaN without pixels, and where both have one and the same class all over: there is nothing
        to agree on then.
        """
        if not self.total:
            return math.nan
        chance = sum(there * called for there, called in zip(self.there, self.called, strict=True))
        # Whole numbers as long as it goes: with 10^8 pixels the products are exact.
        beyond = self.total * sum(self.hits) - chance
        possible = self.total**2 - chance
        return beyond / possible if possible else math.nan


def score(classes: NDArray[np.uint8], truth: NDArray[np.uint8], codes: Sequence[int]) -> Score:
    """Score some codes, taken together, on the pixels that both know.

    Args:
        classes: Class codes of a mask, any shape.
        truth: Class codes that are right, same shape; 255 = not known.
        codes: The codes to score.
    """
    known = (classes != NO_DATA) & (truth != NO_DATA)
    called = np.isin(classes[known], codes)
    right = np.isin(truth[known], codes)
    hits = np.count_nonzero(called & right)
    return Score(int(hits), int(np.count_nonzero(called)), int(np.count_nonzero(right)))


def summary(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, Score]:
    """Score clouds (thick and thin together) and shadows."""
    return {"cloud": score(classes, truth, CLOUD), "shadow": score(classes, truth, (SHADOW,))}


def by_class(
    classes: NDArray[np.uint8], truth: NDArray[np.uint8], told: Sequence[int]
) -> dict[str, Score]:
    """Score each class by its title, against a truth that tells all four apart.

    Args:
        classes: Class codes of a mask, any shape.
        truth: Class codes that are right, same shape; 255 = not known.
        told: Codes that the network tells apart. Without both clouds among them thick and thin are
            scored together, as "cloud".
    """
    asked: dict[str, tuple[int, ...]] = {each.title: (each.code,) for each in CLASSES}
    if not set(CLOUD) <= set(told):
        apart = {title: codes for title, codes in asked.items() if codes[0] not in CLOUD}
        asked = {"cloud": CLOUD, **apart}
    return {title: score(classes, truth, codes) for title, codes in asked.items()}
