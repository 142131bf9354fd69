"""Labels that may leave a choice: for each pixel the set of classes that it may be.

A set is a number: bit `c` says that the pixel may be class `c` of `cloudmask.classes`. Where the
truth is known the set has one member, where nothing is known it has all. So every kind of label
speaks one language: exact ones, "cloud, thick or thin", "thin, or still clear", "no idea".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import CLEAR, SHADOW, THICK, THIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Sets = NDArray[np.uint8]
    """(y, x) or a stack of them."""


def only(*classes: int) -> int:
    """Make the set of some classes."""
    return sum(1 << code for code in set(classes))


IS_CLEAR, IS_THICK, IS_THIN, IS_SHADOW = (only(c) for c in (CLEAR, THICK, THIN, SHADOW))
IS_CLOUD = only(THICK, THIN)
UNKNOWN = only(CLEAR, THICK, THIN, SHADOW)
"""All classes: says nothing, and costs a network nothing whatever it answers."""


def as_sets(codes: NDArray[np.integer], meaning: Mapping[int, Sequence[int]]) -> Sets:
    """Translate the codes of labels.

    Args:
        codes: (y, x), those of a dataset.
        meaning: Code -> our classes that it may stand for; none for no data.

    Raises:
        ValueError: A code has no meaning; gives the first.
    """
    sets = np.zeros(codes.shape, np.uint8)
    for code, classes in meaning.items():
        sets[codes == code] = only(*classes) or UNKNOWN
    if not sets.all():
        raise ValueError(f"code {codes[sets == 0][0]}: known are {sorted(meaning)}")
    return sets


def members(sets: Sets, channels: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Tell which outputs of a network each pixel may be.

    Args:
        sets: (..., y, x).
        channels: For each output the classes that it stands for, such as (1, 2) for "cloud".

    Returns:
        (..., channel, y, x): True where the set and the output's classes meet.
    """
    return np.stack([(sets & only(*classes)) > 0 for classes in channels], axis=-3)
