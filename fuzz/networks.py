"""Fake networks whose answers are probabilities, and known, or hard to tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask.testing import FakeModel, brightest_band, constant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudmask.spec import ModelSpec


def brightest(spec: ModelSpec) -> FakeModel:
    """Answer with the class of the brightest band, a pixel by itself."""
    return brightest_band(spec)


def surrounded(spec: ModelSpec) -> FakeModel:
    """Answer with probabilities that depend on all of a tile, in arithmetic that is exact.

    Whatever is cut, filled, turned or put into another batch shows; the same tile gives the same
    bytes wherever it stands in memory.
    """

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        tiles = np.ascontiguousarray(tiles)
        mean = tiles.reshape(*tiles.shape[:2], -1).mean(axis=-1, dtype=np.float64)
        apart = tiles - mean.astype(np.float32)[..., None, None]
        bands = np.arange(len(spec.classes)) % tiles.shape[1]
        weights = apart[:, bands] ** 2 + np.float32(0.01)
        # Classes that share a band are told apart.
        weights *= (1 + np.arange(len(spec.classes), dtype=np.float32))[:, None, None]
        total: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
        return total

    return FakeModel(answer, spec)


def last_class(spec: ModelSpec) -> FakeModel:
    """Answer with one class everywhere."""
    return constant(spec.classes[-1], spec)


NETWORKS: Mapping[str, Callable[[ModelSpec], FakeModel]] = {
    "brightest": brightest,
    "surrounded": surrounded,
    "last class": last_class,
}
"""Name -> what makes it; the first needs as many bands as classes."""
