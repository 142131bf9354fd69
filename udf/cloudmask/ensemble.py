"""Models x augmentations -> the class probabilities of a tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.augment import TTA
from cloudmask.batches import in_full_batches
from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.augment import Symmetry
    from cloudmask.batches import Place
    from cloudmask.model import Model
    from cloudmask.spec import ModelSpec


SHARED = ("bands", "classes", "pixel_size", "resampling")
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
        answers = self.answers(enumerate(tiles), len(tiles))
        return np.stack([answer for _, answer in answers if answer is not None])

    def answers(
        self, tiles: Iterable[tuple[Place, NDArray[np.float32] | None]], batch: int
    ) -> Iterator[tuple[Place, NDArray[np.float32] | None]]:
        """Predict tiles one after the other, `batch` in one call of a network.

        See `cloudmask.batches.in_full_batches`.
        """
        return in_full_batches(tiles, batch, self._ask, self.tta)

    def _ask(
        self, tiles: Sequence[NDArray[np.float32]], symmetries: Sequence[Symmetry]
    ) -> list[NDArray[np.float32]]:
        """Average the networks' answers to tiles, each turned its own way, and turn them back."""
        pairs = list(zip(symmetries, tiles, strict=True))
        turned = [symmetry.forward(tile) for symmetry, tile in pairs]
        # One tile needs no copy.
        stack = turned[0][None] if len(turned) == 1 else np.stack(turned)
        total = self.models[0](stack)
        for model in self.models[1:]:
            total = total + model(stack)
        if len(self.models) > 1:
            total /= np.float32(len(self.models))
        return [each.inverse(answer) for each, answer in zip(symmetries, total, strict=True)]
