"""How far two networks that should be the same agree."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.engines.ort import inference_session as open_session
from cloudmask.runtime import Runtime
from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Parity:
    """How one network's answers compare with another's on the same tiles."""

    tiles: int
    pixels: int
    largest: float
    """Greatest absolute difference of a probability, 0..1."""
    mean: float
    """Mean absolute difference of probabilities, 0..1."""
    equal: float
    """Share of pixels with the same most probable class, 0..1."""
    worst: float
    """The same in the worst tile, 0..1."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network says about some tiles."""

    probabilities: tuple[NDArray[np.float32], ...]
    """(class, y, x) each."""
    seconds: float
    """Of its fastest run, per megapixel."""


def answers(network: bytes, tiles: Sequence[NDArray[np.float32]]) -> Answers:
    """Run a network on tiles.

    Args:
        network: ONNX file.
        tiles: (band, y, x) reflectance each, of one size.

    Raises:
        ExportError: It answers with numbers that are not finite.
    """
    session = open_session(network, "exported", Runtime())
    del network  # as large as the weights, and the session has its own copy
    timed = [_run(session, tile) for tile in tiles]
    fastest = min(seconds for _, seconds in timed) / (tiles[0][0].size / MEGA)
    return Answers(tuple(found for found, _ in timed), fastest)


def _run(session: Any, tile: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Give the answer (class, y, x) and how many seconds it took."""
    start = time.perf_counter()
    (answer,) = session.run(None, {session.get_inputs()[0].name: tile[None]})
    seconds = time.perf_counter() - start
    only: NDArray[np.float32] = answer[0]
    if not np.isfinite(only).all():
        raise ExportError(
            "with these weights the network answers with numbers that are not finite: they are no "
            "trained ones, or damaged"
        )
    return only, seconds


def compare(mine: Answers, theirs: Answers) -> Parity:
    """Compare two networks' answers to the same tiles."""
    pairs = list(zip(mine.probabilities, theirs.probabilities, strict=True))
    differences = [np.abs(a - b) for a, b in pairs]
    same = [float(np.mean(a.argmax(axis=0) == b.argmax(axis=0))) for a, b in pairs]
    return Parity(
        tiles=len(pairs),
        pixels=sum(a[0].size for a, _ in pairs),
        largest=max(float(each.max()) for each in differences),
        mean=float(np.mean([each.mean() for each in differences])),
        equal=float(np.mean(same)),
        worst=min(same),
    )
