"""Labels and a mask counted together, code by code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.local.compare.groups import finest, title
from cloudmask.local.compare.schemes import LARGEST_CODE
from cloudmask.local.scores import Confusion
from cloudmask_export.evaluation.measures import (
    IN,
    QUESTIONS,
    UNSAID,
    Counts,
    Pixels,
    answered,
    codes_of,
    labelled,
    sides,
)
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.compare.groups import Group
    from cloudmask.local.compare.schemes import Scheme

PIECE = 1 << 22
"""Pixels counted at once, so that a whole tile needs little more than it takes itself."""

MOST_STRANGE = 5
"""Codes that a message names."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Reads codes of a scheme as their places in `measures.codes_of`."""

    scheme: Scheme
    table: NDArray[np.int32] = field(init=False, repr=False)
    """(LARGEST_CODE + 2,): code -> place, -1 for what the scheme does not have."""

    def __post_init__(self) -> None:
        """Make the table."""
        table = np.full(LARGEST_CODE + 2, -1, np.int32)
        table[list(codes_of(self.scheme))] = np.arange(len(self.scheme.codes))
        object.__setattr__(self, "table", table)

    def places(self, codes: NDArray[np.integer]) -> NDArray[np.int32]:
        """Find the places of codes, any shape; -1 for what the scheme does not have."""
        if codes.dtype not in (np.uint8, np.uint16):
            codes = np.where((codes < 0) | (codes > LARGEST_CODE), LARGEST_CODE + 1, codes)
        return np.asarray(self.table[codes])

    def check(self, codes: NDArray[Any], place: str) -> None:
        """Refuse what is no code of the scheme.

        Args:
            codes: Any shape.
            place: What they are of, for the message.

        Raises:
            EvaluationError: They are no whole numbers, or not all of them are the scheme's.
        """
        if codes.dtype.kind not in "iu":
            raise EvaluationError(
                f"{place}: holds {codes.dtype}; {self.scheme.name} has class codes, whole numbers"
            )
        strange = np.unique(codes[self.places(codes) < 0]).tolist()
        if strange:
            shown = ", ".join(map(str, strange[:MOST_STRANGE]))
            more = f" and {len(strange) - MOST_STRANGE} more" * (len(strange) > MOST_STRANGE)
            raise EvaluationError(
                f"{place}: has the codes {shown}{more}, but {self.scheme.name} "
                f"({self.scheme.title}) has only {', '.join(map(str, codes_of(self.scheme)))}; is "
                "it of another scheme?"
            )


@dataclass(frozen=True, slots=True)
class Pairing:
    """What labels and a mask have in common, by their schemes."""

    truth: Scheme
    mask: Scheme
    several: frozenset[int] = frozenset()
    """Codes of the labels that are cloud and shadow at once; not in the confusion matrix, where
    each pixel has one class."""
    groups: tuple[Group, ...] = field(init=False)
    """The classes that both tell apart."""

    def __post_init__(self) -> None:
        """Find the classes.

        Raises:
            EvaluationError: There are no two.
        """
        single = {each: of for each, of in self.truth.codes.items() if each not in self.several}
        object.__setattr__(self, "groups", finest(replace(self.truth, codes=single), self.mask))
        if len(self.groups) == 1:
            raise EvaluationError(
                f"labels {self.truth.name} and mask {self.mask.name} have no two classes that "
                "both tell apart: nothing can be scored"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(title(group) for group in self.groups)

    @property
    def questions(self) -> tuple[str, ...]:
        """Those that the labels can decide and the mask answers."""
        return tuple(
            name
            for name, each in QUESTIONS.items()
            if labelled(self.truth, each, self.several) and answered(self.mask, each)
        )

    def tally(self, truth: NDArray[np.integer], mask: NDArray[np.integer]) -> NDArray[np.int64]:
        """Count how often each code of the labels met each code of the mask.

        Args:
            truth: Codes of the labels, any shape, checked.
            mask: Codes of the mask, same shape, checked.

        Returns:
            (codes of the labels, codes of the mask), in the order of `measures.codes_of`.
        """
        rows, columns = Codes(self.truth), Codes(self.mask)
        width, size = len(self.mask.codes), len(self.truth.codes) * len(self.mask.codes)
        counts = np.zeros(size, np.int64)
        flat = truth.ravel(), mask.ravel()
        for start in range(0, truth.size, PIECE):
            right, found = (each[start : start + PIECE] for each in flat)
            pairs = rows.places(right) * np.intp(width) + columns.places(found)
            counts += np.bincount(pairs, minlength=size)
        return counts.reshape(-1, width)

    def counts(self, tally: NDArray[np.int64], question: str) -> Counts:
        """Answer a question by what `tally` counted; only what has an answer in both counts."""
        right = sides(self.truth, QUESTIONS[question], self.several)
        found = sides(self.mask, QUESTIONS[question])
        known = tally * np.outer(right != UNSAID, found != UNSAID)
        return Counts(
            hits=int(known[np.ix_(right == IN, found == IN)].sum()),
            called=int(known[:, found == IN].sum()),
            there=int(known[right == IN].sum()),
            counted=int(known.sum()),
        )

    def confusion(self, tally: NDArray[np.int64]) -> Confusion:
        """Merge codes to classes: a row for each of the labels, a column for each of the mask."""
        right = self._members(self.truth, left_out=self.several)
        merged = right.T @ tally @ self._members(self.mask)
        return Confusion(tuple(tuple(row) for row in merged.tolist()))

    def _members(
        self, scheme: Scheme, left_out: frozenset[int] = frozenset()
    ) -> NDArray[np.int64]:
        """Say which code is of which group: (codes, groups), 1 where it is."""
        members = [
            [
                code not in left_out and bool(set(scheme.codes[code]) & set(group))
                for group in self.groups
            ]
            for code in codes_of(scheme)
        ]
        return np.array(members, np.int64)

    def pixels(self, tally: NDArray[np.int64]) -> Pixels:
        """Say where all pixels went."""
        right, found = _says(self.truth), _says(self.mask)
        return Pixels(
            scored=int(tally[np.ix_(right, found)].sum()),
            no_data=int(tally[np.ix_(right, ~found)].sum()),
            unlabelled=int(tally[~right].sum()),
        )

    def cloudy(self, tally: NDArray[np.int64]) -> bool:
        """Tell whether the labels have a cloud for sure, whatever the mask has there."""
        cloud = sides(self.truth, QUESTIONS["cloud"], self.several) == IN
        return bool(tally[cloud].any())


def _says(scheme: Scheme) -> NDArray[np.bool_]:
    """Say which codes stand for some class (codes,)."""
    return np.array([bool(scheme.codes[code]) for code in codes_of(scheme)])
