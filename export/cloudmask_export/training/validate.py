"""How well a network does on images that it is not trained on, whose labels may leave a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask.local.scores import Score
from cloudmask_export.training.bank import FINE, SCALE
from cloudmask_export.training.recipe import CHANNELS
from cloudmask_export.training.sets import IS_CLOUD, IS_SHADOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudmask_export.training.bank import Bank

    Answer = Callable[[NDArray[np.float32]], NDArray[np.intp]]
    """From reflectance (n, band, y, x) to the channel of each pixel (n, y, x)."""
    Scores = Mapping[str, Score]

QUESTIONS = {"cloud": IS_CLOUD, "shadow": IS_SHADOW}
"""What is asked of every pixel: whether it is one of these classes."""
AT_ONCE = 8
"""Images that a network is given at a time."""


def validate(answer: Answer, bank: Bank, classes: int, pixel_size: float) -> Scores:
    """Score a network on a bank, at its own pixel size.

    Args:
        answer: The network.
        bank: What is held out.
        classes: How many the network tells apart, key of `CHANNELS`.
        pixel_size: Metres.

    Returns:
        Question -> score, of all images together; none if the bank is empty.
    """
    if not len(bank.images):
        return {}
    codes = np.array([channel[0] for channel in CHANNELS[classes]], np.uint8)
    totals = {name: np.zeros(3, np.int64) for name in QUESTIONS}
    for images, sets in _batches(bank, round(pixel_size / FINE)):
        called = codes[answer(images)]
        for name, question in QUESTIONS.items():
            totals[name] += counts(called, sets, question)
    return {name: Score(*map(int, total)) for name, total in totals.items()}


def counts(
    called: NDArray[np.uint8], sets: NDArray[np.uint8], question: int
) -> tuple[int, int, int]:
    """Count where the truth is certain: all of a pixel's set is asked for, or nothing of it.

    Args:
        called: Class codes, any shape.
        sets: What each pixel may be, same shape.
        question: Set of the classes asked for.

    Returns:
        Hits, pixels called so, pixels that are so.
    """
    certain = ((sets & question) == 0) | ((sets & ~np.uint8(question)) == 0)
    said = ((1 << called) & question) > 0
    there = (sets & question) > 0
    found = (said & there & certain, said & certain, there & certain)
    return tuple(int(np.count_nonzero(each)) for each in found)  # type: ignore[return-value]


def _batches(bank: Bank, factor: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    for start in range(0, len(bank.images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        images = bank.images[part].astype(np.float32) / np.float32(SCALE)
        yield coarser(images, bank.sets[part], factor)


def coarser(
    images: NDArray[np.float32], sets: NDArray[np.uint8], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Average images (n, band, y, x), and unite the sets of their labels (n, y, x)."""
    rows, columns = (size // factor for size in sets.shape[1:])
    blocks = images.reshape(*images.shape[:2], rows, factor, columns, factor)
    united = sets.reshape(len(sets), rows, factor, columns, factor)
    return blocks.mean(axis=(3, 5)), np.bitwise_or.reduce(np.bitwise_or.reduce(united, 4), 2)
