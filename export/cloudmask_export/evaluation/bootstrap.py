"""How far a score would have come out otherwise with other scenes (Efron 1979).

Pixels of one scene are alike, so that whole scenes (or regions) are drawn, with replacement, as
many as there are; the scores of many such draws spread as those of other scenes would. With one
scene nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PERCENTILES = (2.5, 97.5)
"""Between which 95 % of the draws lie."""

ENOUGH = 0.5
"""Share of the draws that must have a score for there to be an interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval, 95 %."""

    low: float
    high: float


def draws(groups: Sequence[str], number: int, seed: int) -> NDArray[np.int64] | None:
    """Draw groups with replacement, as many as there are, again and again.

    Args:
        groups: The group of each sample.
        number: Of draws.
        seed: Same seed, same draws, whatever the order of the groups' samples.

    Returns:
        (draw, sample): how many times each sample is in; samples of one group together. None
        where there is but one group, or no draw is wanted.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2 or not number:  # noqa: PLR2004 - one alone cannot differ
        return None
    even = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), even, size=number)
    return np.asarray(drawn[:, group])


def interval(values: NDArray[np.float64]) -> Interval | None:
    """Make the interval of the scores of all draws.

    Args:
        values: (draw,); NaN where a draw has no score, as it holds no such class: left out.

    Returns:
        None if fewer than half of the draws have one.
    """
    known = values[np.isfinite(values)]
    if not known.size or known.size < ENOUGH * values.size:
        return None
    low, high = np.percentile(known, PERCENTILES)
    return Interval(float(low), float(high))
