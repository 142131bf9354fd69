"""Test-time augmentation: the eight symmetries of a square, and when to stop.

Order and stopping rule are those of CloudS2Mask: the four quarter turns, then the four turns of
the flipped tile; after each, a tile is done when hardly a pixel stands alone in its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.checks import whole
from cloudmask.classes import most_probable
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Symmetry:
    """A turn by quarters, anticlockwise, after an optional left-right flip."""

    turns: int
    flip: bool

    def forward(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform (..., y, x)."""
        flipped = tiles[..., ::-1] if self.flip else tiles
        return np.rot90(flipped, self.turns, axes=(-2, -1))

    def inverse(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Undo `forward` on (..., y, x)."""
        turned = np.rot90(tiles, -self.turns, axes=(-2, -1))
        return turned[..., ::-1] if self.flip else turned


SYMMETRIES = tuple(Symmetry(turns, flip) for flip in (False, True) for turns in range(4))
"""In the order of CloudS2Mask: r0, r90, r180, r270, then the same flipped."""

ISOLATED_ALLOWED = 10 / 512**2
"""Isolated pixels per pixel at which a tile is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TTA:
    """How much test-time augmentation to do."""

    depth: int = 0
    """Augmentations beyond the plain one, 0..7."""
    adaptive: bool = True
    """Stop early where the classes have become smooth."""

    def __post_init__(self) -> None:
        """Refuse depths that there are no symmetries for."""
        object.__setattr__(self, "depth", whole("tta depth", self.depth, least=0))
        if self.depth >= len(SYMMETRIES):
            raise OptionError(
                f"tta depth={self.depth!r}: must be from 0 (none) to 7 (all rotations and flips)"
            )

    @property
    def symmetries(self) -> Sequence[Symmetry]:
        """The augmentations to run, in order."""
        return SYMMETRIES[: self.depth + 1]


def isolated_pixels(classes: NDArray[np.integer]) -> int:
    """Count the pixels without an 8-neighbour of their own class.

    Beyond the border lies class 0, as in CloudS2Mask.

    Args:
        classes: (y, x) channel numbers.
    """
    padded = np.pad(classes, 1)
    alone = np.ones(padded.shape, bool)
    # Each pair of neighbours once: right, below, and both below at an angle.
    for y, x in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one, other = _apart(y, x), _apart(-y, -x)
        differ = padded[one] != padded[other]
        alone[one] &= differ
        alone[other] &= differ
    return int(np.count_nonzero(alone[1:-1, 1:-1]))


def _apart(y: int, x: int) -> tuple[slice, slice]:
    """Give the pixels of an image that have a neighbour y below and x to the right."""
    return slice(max(0, -y), -y if y > 0 else None), slice(max(0, -x), -x if x > 0 else None)


def settled(probabilities: NDArray[np.float32]) -> bool:
    """Tell whether a tile (channel, y, x) needs no further augmentation."""
    classes = most_probable(probabilities)
    return isolated_pixels(classes) <= ISOLATED_ALLOWED * classes.size
