"""Single fields of a manifest: what each means, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask.bands import canonical
from cloudmask.classes import code_of
from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence


def band_name(band: str | dict[str, str]) -> str:
    """Give the Sentinel-2 name of a band by any alias; another band keeps its own.

    Raises:
        ModelError: It has no name.
    """
    label = band if isinstance(band, str) else band["name"]
    if not isinstance(label, str):
        raise ModelError(f"manifest: bands must be names, {label!r} is none")
    return canonical(label) or label


def standardisation(
    scaling: Sequence[dict[str, Any]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the mean and the standard deviation of each band, in reflectance; empty for none.

    Raises:
        ModelError: The values are scaled in another way.
    """
    kinds = {entry["type"] for entry in scaling}
    if kinds - {"z-score"}:
        raise ModelError(
            f"manifest: value_scaling of type {', '.join(sorted(kinds))}; supported is z-score on "
            "reflectance. Put anything else into the ONNX graph"
        )
    mean = tuple(float(entry["mean"]) for entry in scaling)
    return mean, tuple(float(entry["stddev"]) for entry in scaling)


def codes(classes: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """Give the class code (`cloudmask.classes`) of each output channel.

    Raises:
        ModelError: A name is unknown, or the values are not the channels.
    """
    values = [entry["value"] for entry in classes]
    if values != list(range(len(values))):
        raise ModelError(
            f"manifest: class values {values} must be the output channels 0, 1, ... in order"
        )
    found = [(entry["name"], code_of(entry["name"])) for entry in classes]
    unknown = [name for name, code in found if code is None]
    if unknown:
        raise ModelError(
            f"manifest: unknown class name {', '.join(unknown)}; known are clear, cloud, "
            "thick_cloud, thin_cloud, cloud_shadow"
        )
    return tuple(code for _, code in found if code is not None)


def softmax(inference: dict[str, Any]) -> bool:
    """Tell whether the graph answers with logits.

    Raises:
        ModelError: It answers with something else.
    """
    activation = inference.get("activation", "none")
    if activation not in ("none", "softmax"):
        raise ModelError(
            f"manifest: activation {activation!r}; supported are none (the graph answers with "
            "probabilities) and softmax (it answers with logits)"
        )
    return bool(activation == "softmax")
