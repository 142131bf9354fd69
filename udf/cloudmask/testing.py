"""Fake networks with known answers, for tests of anything that runs a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudmask.model import Model


def fake_spec(
    bands: tuple[str, ...] = ("B02", "B03", "B04", "B08"),
    classes: tuple[int, ...] = (0, 1, 2, 3),
    tile: int = 16,
    overlap: int = 4,
) -> ModelSpec:
    """Describe a fake network."""
    return ModelSpec(name="fake", bands=bands, classes=classes, tile=tile, overlap=overlap)


@dataclass
class FakeModel:
    """A network that is one function; counts its calls and the tiles it saw."""

    function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    spec: ModelSpec = field(default_factory=fake_spec)
    calls: int = 0
    tiles: int = 0

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `cloudmask.model.Model`."""
        assert np.isfinite(tiles).all(), "a network must never be fed NaN"
        self.calls += 1
        self.tiles += len(tiles)
        return self.function(tiles)


def identity(spec: ModelSpec | None = None) -> FakeModel:
    """Answer with the input: as many channels as bands."""
    return FakeModel(lambda tiles: tiles.copy(), spec or fake_spec())


def constant(code: int, spec: ModelSpec | None = None) -> FakeModel:
    """Answer with one class everywhere, whatever the input."""
    spec = spec or fake_spec()

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        n, _, height, width = tiles.shape
        result = np.zeros((n, len(spec.classes), height, width), np.float32)
        result[:, spec.classes.index(code)] = 1
        return result

    return FakeModel(answer, spec)


def brightest_band(spec: ModelSpec | None = None) -> FakeModel:
    """Answer with the class of the brightest band: class number k for band number k."""
    spec = spec or fake_spec()

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        chosen = tiles[:, : len(spec.classes)].argmax(axis=1)
        return np.moveaxis(np.eye(len(spec.classes), dtype=np.float32)[chosen], -1, 1)

    return FakeModel(answer, spec)


def blurred(spec: ModelSpec | None = None, radius: int = 3) -> FakeModel:
    """Answer with the local mean of each band: a network whose context is `radius` pixels."""

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        padding = [(0, 0), (0, 0), (radius, radius), (radius, radius)]
        padded = np.pad(tiles, padding, mode="edge")
        size = 2 * radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
        return windows.mean(axis=(-2, -1), dtype=np.float32)

    return FakeModel(answer, spec or fake_spec())


def of_tile_mean(spec: ModelSpec | None = None) -> FakeModel:
    """Answer with the mean of the whole tile: the hardest case for seams and chunks."""

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = tiles.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
        return (tiles * np.float32(0.5) + mean.astype(np.float32)).astype(np.float32)

    return FakeModel(answer, spec or fake_spec())


if TYPE_CHECKING:
    # The type checker proves that the fake can stand for a network.
    _: type[Model] = FakeModel
