"""Values for a network that nobody trained, which behave as trained ones do.

For tests: take the fixture `random_weights`. Layers neither die nor explode, and the classes are
told apart by clear margins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudmask_export.graph.fill import heads
from cloudmask_export.graph.parts import weights
from cloudmask_export.skeletons import load_skeleton

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_weights(
    architecture: str, classes: int = 4, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Draw every tensor of a network, by name."""
    skeleton, draw = load_skeleton(architecture), np.random.default_rng(seed)
    head = heads(skeleton)
    found = {}
    for name, tensor in weights(skeleton.graph).items():
        shape = (classes, *tensor.dims[1:]) if name in head else tuple(tensor.dims)
        values = _drawn(name, shape, draw)
        found[name] = (values * 8 if name == head[0] else values).astype(np.float32)
    return found


def _drawn(name: str, shape: tuple[int, ...], draw: np.random.Generator) -> NDArray[np.float64]:
    noise = draw.normal(size=shape)
    if name.endswith("running_var"):
        return 1 + 0.2 * np.tanh(noise)
    if len(shape) > 1:
        return noise * np.sqrt(1.5 / max(1, int(np.prod(shape[1:]))))
    return (1.0 if name.endswith("weight") else 0.0) + 0.1 * noise
