"""Put the values of a weight file into a graph without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from cloudmask_export.errors import WeightsError
from cloudmask_export.graph.parts import weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

COUNTERS = "num_batches_tracked"
"""What batch normalisation counts while it is trained; no part of what it computes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a weight file has too little or too much for a graph, the first of each."""

    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unknown: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.misshapen or self.unknown)

    @property
    def size(self) -> int:
        """The number of names concerned."""
        return len(self.missing) + len(self.misshapen) + len(self.unknown)

    def sentence(self) -> str:
        """Say what differs, the first of each kind by name."""
        kinds = (
            ("lacks", self.missing),
            ("has of another shape", self.misshapen),
            ("has and the network has not", self.unknown),
        )
        return "; ".join(
            f"it {what} {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
            for what, names in kinds
            if names
        )


def heads(skeleton: ModelProto) -> tuple[str, ...]:
    """Name the tensors whose first axis is the number of classes."""
    found = {prop.key: prop.value for prop in skeleton.metadata_props}
    return tuple(found["head"].split(","))


def compare(skeleton: ModelProto, arrays: Mapping[str, NDArray[np.generic]]) -> Difference:
    """Compare a weight file's tensors with those of a graph, by name and shape.

    The number of classes is free.
    """
    wanted, free = weights(skeleton.graph), heads(skeleton)
    offered = {name for name in arrays if not name.endswith(COUNTERS)}
    common = [name for name in wanted if name in offered]
    return Difference(
        missing=tuple(name for name in wanted if name not in offered),
        misshapen=tuple(
            f"{name} {arrays[name].shape} instead of {tuple(wanted[name].dims)}"
            for name in common
            if not _same_shape(arrays[name].shape, wanted[name], name in free)
        ),
        unknown=tuple(sorted(offered - wanted.keys())),
    )


def _same_shape(found: tuple[int, ...], tensor: TensorProto, free: bool) -> bool:  # noqa: FBT001
    wanted = tuple(tensor.dims)
    return len(found) == len(wanted) and found[free:] == wanted[free:]


def fill(skeleton: ModelProto, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
    """Put a weight file's tensors into a graph, in place.

    Args:
        skeleton: The graph; its initialisers bear the names of the tensors.
        arrays: Name -> values.

    Returns:
        The names used, in the graph's order.

    Raises:
        WeightsError: Names or shapes are not the graph's.
    """
    found = compare(skeleton, arrays)
    if found:
        raise WeightsError(f"these are not the weights of this network: {found.sentence()}")
    wanted = weights(skeleton.graph)
    for name, tensor in wanted.items():
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(arrays[name], np.float32), name))
    return tuple(wanted)
