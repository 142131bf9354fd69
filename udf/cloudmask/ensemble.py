"""Models x augmentations -> the class probabilities of a tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.augment import TTA, settled
from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudmask.augment import Symmetry
    from cloudmask.model import Model
    from cloudmask.spec import ModelSpec


SHARED = ("bands", "classes", "pixel_size")
"""What the members of an ensemble have in common."""


def check_alike(specs: Sequence[ModelSpec], shared: Sequence[str] = SHARED) -> None:
    """Refuse networks that cannot take each other's place.

    Raises:
        ModelError: Two differ in something that they must share.
    """
    first, *others = specs
    for other in others:
        for what in shared:
            mine, theirs = getattr(first, what), getattr(other, what)
            if mine != theirs:
                raise ModelError(
                    f"models {first.name!r} and {other.name!r} differ in {what}: {mine} and "
                    f"{theirs}; the members of an ensemble must share them"
                )


@dataclass(frozen=True, slots=True)
class Ensemble:
    """One or more networks with the same bands and classes, asked together."""

    models: tuple[Model, ...]
    tta: TTA = TTA()

    def __post_init__(self) -> None:
        """Refuse networks whose answers cannot be averaged."""
        if not self.models:
            raise ModelError("no model: an ensemble needs at least one")
        check_alike([model.spec for model in self.models])

    @property
    def spec(self) -> ModelSpec:
        """The first network's; bands, classes and pixel size are those of all."""
        return self.models[0].spec

    @property
    def name(self) -> str:
        """The networks' names, joined."""
        return "+".join(model.spec.name for model in self.models)

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a batch of tiles.

        Each augmentation is put to every network; a tile's answer is the running mean, and with
        `tta.adaptive` a tile leaves the batch once it has settled.

        Args:
            tiles: (n, band, y, x) reflectance, finite, square.

        Returns:
            (n, channel, y, x) probabilities.
        """
        first, *others = self.tta.symmetries
        mean = self._augmented(tiles, first)
        active = np.arange(len(tiles))
        for done, symmetry in enumerate(others, start=1):
            if self.tta.adaptive:
                active = active[[not settled(mean[number]) for number in active]]
            if not active.size:
                break
            answer = self._augmented(tiles[active], symmetry)
            mean[active] += (answer - mean[active]) / np.float32(done + 1)
        return mean

    def _augmented(self, tiles: NDArray[np.float32], symmetry: Symmetry) -> NDArray[np.float32]:
        """Average the networks' answers to one augmentation, turned back."""
        turned = symmetry.forward(tiles)
        total = self.models[0](turned)
        for model in self.models[1:]:
            total = total + model(turned)
        return symmetry.inverse(total / np.float32(len(self.models)))
