"""Counting where two masks agree, piece by piece."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.errors import CubeError
from cloudmask.local.compare.groups import ABSENT, STRANGE
from cloudmask.local.compare.schemes import LARGEST_CODE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window

    from cloudmask.local.compare.aligned import Layer, Pair
    from cloudmask.local.compare.schemes import Scheme

LONGEST = 1000
"""Pixels of a look's longer edge."""

MOST_STRANGE = 5
"""Codes that a message names."""


@dataclass(frozen=True, slots=True)
class Translator:
    """Reads a layer's codes as numbers of groups, and keeps what it does not understand."""

    layer: Layer
    scheme: Scheme
    table: NDArray[np.uint8]
    """As `groups.lookup` gives it."""
    strange: Counter[int] = field(default_factory=Counter)
    """Codes that are not the scheme's, and their pixels."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read numbers of groups (y, x), ABSENT where there is no data.

        Raises:
            CubeError: The numbers are no codes.
        """
        numbers, valid = self.layer.read(window)
        if numbers.dtype.kind == "f":
            valid &= np.isfinite(numbers)
        codes = self._codes(np.where(valid, numbers, 0))
        groups = np.where(valid, self.table[codes], ABSENT).astype(np.uint8)
        if (groups == STRANGE).any():
            found, pixels = np.unique(numbers[groups == STRANGE], return_counts=True)
            self.strange.update(dict(zip(found.tolist(), pixels.tolist(), strict=True)))
        return groups

    def _codes(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Turn numbers into places in the table."""
        if numbers.dtype in (np.uint8, np.uint16):
            return numbers
        if numbers.dtype.kind not in "iufb":
            raise CubeError(f"{self.layer.place}: holds {numbers.dtype}, no class codes")
        if numbers.dtype.kind == "f" and (numbers != np.rint(numbers)).any():
            between = numbers[numbers != np.rint(numbers)].ravel()[0]
            raise CubeError(
                f"{self.layer.place}: holds numbers like {between:.4g}, probabilities perhaps; "
                f"{self.scheme.name} has class codes: apply a threshold first"
            )
        places = np.full(numbers.shape, LARGEST_CODE + 1, np.int32)
        known = (numbers >= 0) & (numbers <= LARGEST_CODE)
        np.copyto(places, numbers, where=known, casting="unsafe")
        return places

    def check(self) -> None:
        """Refuse codes that the scheme does not have.

        Raises:
            CubeError: There were some.
        """
        if not self.strange:
            return
        shown = ", ".join(
            f"{int(code)} ({pixels:,} pixels)"
            for code, pixels in self.strange.most_common(MOST_STRANGE)
        )
        more = f" and {len(self.strange) - MOST_STRANGE} more" * (len(self.strange) > MOST_STRANGE)
        raise CubeError(
            f"{self.layer.place}: has the codes {shown}{more}, but {self.scheme.name} "
            f"({self.scheme.title}) has only {', '.join(map(str, self.scheme.codes))}; is it of "
            "another scheme?"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Where the first mask's pixels went; they add up to all of them."""

    compared: int
    """Both have a class."""
    no_data_a: int
    """The first has none."""
    no_data_b: int
    """The second has none where the first has."""
    outside: int
    """Beyond the second's bounds; whether the first has a class there was not looked at."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one pass over both masks gives."""

    counts: NDArray[np.int64]
    """(groups of a, groups of b), pixels."""
    pixels: Pixels
    looks: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    """Both masks where they overlap, every so many pixels one: (y, x) numbers of groups."""


def count(pair: Pair, a: Translator, b: Translator, groups: int) -> Counted:
    """Go over both masks once.

    Args:
        pair: Where to look.
        a: Reads the first mask.
        b: Reads the second.
        groups: How many groups there are.

    Raises:
        CubeError: There are codes that a scheme does not have, or no pixel has data in both.
    """
    counts = np.zeros(groups * groups, np.int64)
    no_data_a = no_data_b = 0
    looks = _Looks.of(pair)
    for window in pair.windows():
        left, right = a.read(window), b.read(window)
        both = (left < groups) & (right < groups)
        counts += np.bincount(
            left[both].astype(np.intp) * groups + right[both], minlength=counts.size
        )
        no_data_a += int(np.count_nonzero(left == ABSENT))
        no_data_b += int(np.count_nonzero((right == ABSENT) & (left != ABSENT)))
        looks.put(window, left, right)
    a.check()
    b.check()
    compared, size = int(counts.sum()), pair.a.dataset.height * pair.a.dataset.width
    if not compared:
        raise CubeError(
            f"{pair.a.place} and {pair.b.place}: no pixel has a class in both; there is nothing "
            "to compare"
        )
    pixels = Pixels(
        compared=compared,
        no_data_a=no_data_a,
        no_data_b=no_data_b,
        outside=size - compared - no_data_a - no_data_b,
    )
    return Counted(counts.reshape(groups, groups), pixels, (looks.a, looks.b))


@dataclass(frozen=True, slots=True)
class _Looks:
    """Both masks made small, filled piece by piece."""

    top: int
    left: int
    step: int
    a: NDArray[np.uint8]
    b: NDArray[np.uint8]

    @classmethod
    def of(cls, pair: Pair) -> _Looks:
        area = pair.overlap
        step = max(1, -(-max(area.height, area.width) // LONGEST))
        shape = (-(-area.height // step), -(-area.width // step))
        a, b = np.full((2, *shape), ABSENT, np.uint8)
        return cls(area.row_off, area.col_off, step, a, b)

    def put(self, window: Window, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
        """Take the pixels of a piece that fall on the small grid."""
        rows, from_y = self._places(window.row_off - self.top, window.height)
        columns, from_x = self._places(window.col_off - self.left, window.width)
        for small, large in ((self.a, a), (self.b, b)):
            small[rows, columns] = large[from_y :: self.step, from_x :: self.step]

    def _places(self, start: int, size: int) -> tuple[slice, int]:
        """Say which small pixels start within a span, and how far in the first one does."""
        first, stop = -(-start // self.step), -(-(start + size) // self.step)
        return slice(first, stop), first * self.step - start
