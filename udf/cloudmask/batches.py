"""Full batches: tiles wait for the networks, each at an augmentation of its own.

A tile that has settled leaves its place to the next one at once, so that a batch is full until the
last tiles of a scene, and no more tiles are held than fit in one. Answers come out in the order of
the tiles, whichever was done first: sums of floats depend on it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from cloudmask.augment import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.augment import TTA, Symmetry

    Ask = Callable[[Sequence[NDArray[np.float32]], Sequence[Symmetry]], list[NDArray[np.float32]]]
    """Takes tiles (band, y, x) and an augmentation for each; answers (channel, y, x) each."""

Place = TypeVar("Place")


@dataclass(slots=True)
class _Waiting(Generic[Place]):
    """A tile between two augmentations, or something that only keeps its place in the order."""

    place: Place
    tile: NDArray[np.float32] | None
    mean: NDArray[np.float32] | None = None
    rounds: int = 0

    def take(self, answer: NDArray[np.float32], tta: TTA) -> None:
        """Put an answer into the running mean; let go of the tile when it needs no other."""
        self.rounds += 1
        if self.mean is None:
            self.mean = answer
        else:
            self.mean = self.mean + (answer - self.mean) / np.float32(self.rounds)
        if self.rounds > tta.depth or (tta.adaptive and settled(self.mean)):
            self.tile = None


def in_full_batches(
    tiles: Iterable[tuple[Place, NDArray[np.float32] | None]], size: int, ask: Ask, tta: TTA
) -> Iterator[tuple[Place, NDArray[np.float32] | None]]:
    """Put every tile through its augmentations.

    Args:
        tiles: A place and its tile (band, y, x), all of one square shape; None in place of a tile
            passes through in its order. Taken one by one, when there is room.
        size: Tiles in one call of `ask`.
        ask: The networks.
        tta: Which augmentations; with `adaptive` a tile leaves once it has settled.

    Yields:
        The places in the order given, each with its answer (channel, y, x), or with None.
    """
    source = iter(tiles)
    queue: deque[_Waiting[Place]] = deque()
    running: list[_Waiting[Place]] = []
    while True:
        _fill(running, queue, source, size)
        while queue and queue[0].tile is None:
            first = queue.popleft()
            yield first.place, first.mean
        if not running:
            return
        _round(running, ask, tta)
        running = [each for each in running if each.tile is not None]


def _fill(
    running: list[_Waiting[Place]],
    queue: deque[_Waiting[Place]],
    source: Iterator[tuple[Place, NDArray[np.float32] | None]],
    size: int,
) -> None:
    while len(running) < size:
        following = next(source, None)
        if following is None:
            return
        waiting = _Waiting(*following)
        queue.append(waiting)
        if waiting.tile is not None:
            running.append(waiting)


def _round(running: Sequence[_Waiting[Place]], ask: Ask, tta: TTA) -> None:
    tiles = [each.tile for each in running if each.tile is not None]
    answers = ask(tiles, [tta.symmetries[each.rounds] for each in running])
    for each, answer in zip(running, answers, strict=True):
        each.take(answer, tta)
