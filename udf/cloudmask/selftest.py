"""A network's own test: a small image, and what the network answered when its manifest was made.

Run after an update of ONNX Runtime, on a new kind of machine or with another execution provider:
rounding may differ there, classes should not (an idea of the bioimage.io model format).
"""

from __future__ import annotations

from dataclasses import dataclass
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.bands import PRESETS, positions
from cloudmask.classes import PROBABILITY_STEPS as STEPS
from cloudmask.ensemble import Ensemble
from cloudmask.errors import ModelError
from cloudmask.runtime import Runtime
from cloudmask.scene import Plan, predict_rows
from cloudmask.source import ArraySource
from cloudmask.windows import Tiling, plan_axis

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from numpy.typing import NDArray

    from cloudmask.model import Model
    from cloudmask.registry import Entry
    from cloudmask.spec import ModelSpec


AXES = 3
"""Of an image and of an answer."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a network's answer compares with the one it gave before."""

    changed: float
    """Share of pixels whose most probable class differs, 0..1."""
    difference: float
    """Mean difference of probabilities, 0..1."""
    allowed: float
    """Greatest `changed` that the manifest tolerates."""

    @property
    def good(self) -> bool:
        """Whether the network is the one it was."""
        return self.changed <= self.allowed and self.difference <= max(self.allowed, 1 / STEPS)


def self_test(entry: Entry, runtime: Runtime = Runtime()) -> Agreement | None:
    """Run a network on its own test image; None if its manifest has no test.

    Args:
        entry: The network.
        runtime: How to run it, for example on which provider.

    Raises:
        ModelError: It is not installed, or the test's files cannot be read.
    """
    model, test = entry.load(runtime), entry.spec.test
    if test is None:
        return None
    numbers, kept = (_read(entry, name) for name in (test.input, test.output))
    if len(numbers) != len(test.bands):
        raise ModelError(
            f"model {entry.spec.name!r}: its test image has {len(numbers)} bands, the manifest "
            f"names {len(test.bands)}"
        )
    found = answer(model, numbers, test.bands)
    if kept.shape != found.shape:
        raise ModelError(
            f"model {entry.spec.name!r}: its test has an answer of shape {kept.shape}, the "
            f"network gives {found.shape}"
        )
    changed = float(np.mean(found.argmax(axis=0) != kept.argmax(axis=0)))
    difference = float(np.mean(np.abs(found.astype(np.float32) - kept.astype(np.float32))) / STEPS)
    return Agreement(changed, difference, test.tolerance)


def answer(
    model: Model, numbers: NDArray[np.generic], bands: tuple[str, ...]
) -> NDArray[np.uint8]:
    """Ask a network about a small image, by the same road as a scene goes.

    Args:
        model: The network.
        numbers: (band, y, x) reflectance x 10000.
        bands: Names along the first axis.

    Returns:
        (channel, y, x) probabilities in steps, 0..250.
    """
    chosen = numbers[positions(bands, model.spec.bands)]
    tiling = _tiling(model.spec, max(chosen.shape[1:]))
    y, x = (plan_axis(size, tiling, "crop") for size in chosen.shape[1:])
    rows = predict_rows(ArraySource(chosen), Plan(y, x, tiling), Ensemble((model,)), PRESETS["dn"])
    whole = np.concatenate([band.probabilities for band in rows], axis=1)
    return np.rint(whole * STEPS).astype(np.uint8)


def _tiling(spec: ModelSpec, edge: int) -> Tiling:
    """Choose a tile: the network's if it takes no other, else one that just holds the image."""
    return (
        spec.tiling()
        if spec.fixed_tile
        else spec.tiling(-(-edge // spec.multiple) * spec.multiple)
    )


# A header is Python's notation of a dictionary, which numpy splits with `tokenize` if it is old;
# it may claim any shape.
_UNREADABLE = (OSError, ValueError, TypeError, TokenError, MemoryError, RecursionError)


def _read(entry: Entry, name: str) -> NDArray[np.generic]:
    """Read a .npy file beside the manifest; one with Python objects in it is refused."""
    place: Traversable = entry.folder / name
    try:
        with place.open("rb") as file:
            numbers = np.lib.format.read_array(file, allow_pickle=False)
    except _UNREADABLE as error:
        raise ModelError(
            f"model {entry.spec.name!r}: test file {name} cannot be read ({error})"
        ) from error
    if numbers.dtype.kind not in "biuf":
        raise ModelError(
            f"model {entry.spec.name!r}: test file {name} has the dtype {numbers.dtype}, must be "
            "real numbers"
        )
    if numbers.ndim != AXES or not numbers.size:
        raise ModelError(
            f"model {entry.spec.name!r}: test file {name} has shape {numbers.shape}, must be "
            "(band or channel, y, x)"
        )
    return numbers
