"""How well a mask agrees with a truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import NO_DATA, SHADOW, THICK, THIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CLOUD = (THICK, THIN)
"""Class codes counted as cloud when a network does not tell thick from thin."""


@dataclass(frozen=True, slots=True)
class Score:
    """Agreement on one class, by pixels."""

    precision: float
    """Share of what was called so that is so (user's accuracy)."""
    recall: float
    """Share of what is so that was called so (producer's accuracy)."""

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


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
    hits = int(np.count_nonzero(called & right))
    return Score(_share(hits, called), _share(hits, right))


def _share(hits: int, of: NDArray[np.bool_]) -> float:
    """Divide; nothing to find and nothing found is perfect."""
    total = np.count_nonzero(of)
    return hits / total if total else float(hits == 0)


def summary(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, Score]:
    """Score clouds (thick and thin together) and shadows."""
    return {"cloud": score(classes, truth, CLOUD), "shadow": score(classes, truth, (SHADOW,))}
