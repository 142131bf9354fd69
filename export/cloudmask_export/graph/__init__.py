"""From a graph without weights and a weight file to a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.errors import WeightsError
from cloudmask_export.graph.activation import DOMAIN, set_activation
from cloudmask_export.graph.ends import normalise, order_classes, softmax
from cloudmask_export.graph.exact import keep_even_sizes
from cloudmask_export.graph.fill import Difference, compare, fill, heads
from cloudmask_export.graph.fold import fold_batch_norm
from cloudmask_export.graph.rewrite import turn_gathers, write_out_shuffles, write_out_softmax
from cloudmask_export.skeletons import load_skeleton

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from cloudmask_export.families import Family

__all__ = ["Difference", "compare", "network", "plain_network"]


def network(
    architecture: str,
    arrays: Mapping[str, NDArray[np.generic]],
    family: Family,
    activation: str = "Mish",
) -> ModelProto:
    """Make the network that is shipped: reflectance in, probabilities out.

    Args:
        architecture: Name of the graph without weights.
        arrays: Tensor name -> values, as `read_weights` gives them.
        family: Says how to normalise, which classes there are, and what tiles are multiples of.
        activation: The decoder's: "Mish" or "ReLU".

    Returns:
        Opset 17, IR 8. Input `reflectance` (batch, bands, height, width) float32,
        height and width multiples of `family.multiple`; output
        `probabilities` (batch, classes, height, width) float32, classes in ascending order of
        their codes.

    Raises:
        WeightsError: These are not the weights of that architecture and family.
    """
    model = plain_network(architecture, arrays, family, activation)
    fold_batch_norm(model.graph)
    keep_even_sizes(model, family.multiple)
    turn_gathers(model.graph)
    write_out_shuffles(model.graph)
    write_out_softmax(model.graph)
    return model


def plain_network(
    architecture: str,
    arrays: Mapping[str, NDArray[np.generic]],
    family: Family,
    activation: str = "Mish as written",
) -> ModelProto:
    """Make the same network operation by operation as its authors wrote it, to compare with.

    Raises:
        WeightsError: These are not the weights of that architecture and family.
    """
    model = load_skeleton(architecture)
    fill(model, arrays)
    _check_classes(arrays[heads(model)[0]].shape[0], family)
    set_activation(model.graph, activation)
    order_classes(model, sorted(range(len(family.classes)), key=family.classes.__getitem__))
    normalise(model.graph, family.normalisation)
    softmax(model.graph, len(family.classes))
    kept = [each for each in model.opset_import if each.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _check_classes(found: int, family: Family) -> None:
    if found != len(family.classes):
        raise WeightsError(
            f"the weights have {found} classes, family {family.name!r} has "
            f"{len(family.classes)}; choose another family"
        )
