"""The ONNX files of a weight file: as shipped, and as its authors wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import helper

from cloudmask.spec import METADATA_KEY, ModelSpec
from cloudmask_export.errors import WeightsError
from cloudmask_export.golden import test_files
from cloudmask_export.graph import network, plain_network
from cloudmask_export.graph.cost import cost
from cloudmask_export.graph.ends import INPUT
from cloudmask_export.precision import quantise, store_half

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from cloudmask_export.choose import Choice
    from cloudmask_export.weights import Weights

DECODER_ACTIVATION = "layers.4.relu"
"""Where the first block of fastai's DynamicUnet keeps its `act_cls`."""
AS_WRITTEN = {"Mish": "Mish as written", "ReLU": "ReLU", "": ""}
"""What stands in the authors' graph for each; "" where the architecture leaves no choice."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes networks of one weight file."""

    weights: Weights
    choice: Choice

    @property
    def activation(self) -> str:
        """The decoder's: as the weight file says, if it is a whole model, else the family's.

        Raises:
            WeightsError: It is neither Mish nor ReLU.
        """
        named = self.weights.modules.get(DECODER_ACTIVATION)
        kind = named.rpartition(".")[2] if named else self.choice.family.activation
        if kind not in AS_WRITTEN:
            raise WeightsError(f"the decoder's activation is {named}; known are Mish and ReLU")
        return kind

    def exact(self) -> ModelProto:
        """Make the network in float32, its slow patterns rewritten."""
        choice = self.choice
        return network(choice.architecture, self.weights.arrays, choice.family, self.activation)

    def as_written(self) -> bytes:
        """Make the network operation by operation as its authors wrote it."""
        choice, kind = self.choice, AS_WRITTEN[self.activation]
        model = plain_network(choice.architecture, self.weights.arrays, choice.family, kind)
        return model.SerializeToString()

    def spec(self, name: str, precision: str) -> ModelSpec:
        """Describe the network; its file is yet to be made.

        What a call costs is counted in float32: in a smaller precision it is no more.
        """
        family = self.choice.family
        price = cost(self.exact(), family.tile)
        return ModelSpec(
            name=name,
            family=named(family.name, precision),
            title=f"{family.title}, {self.choice.member}",
            version=self.choice.member,
            level=family.level,
            licence=family.licence,
            citation=family.citation,
            bands=family.bands,
            classes=tuple(sorted(family.classes)),
            tile=family.tile,
            overlap=family.overlap,
            multiple=family.multiple,
            pixel_size=family.pixel_size,
            resampling=family.resampling,
            input_name=INPUT,
            file=f"{name}.onnx",
            bytes_per_pixel=round(price.bytes),
            flops_per_pixel=round(price.flops),
            test=test_files(name, family.bands, precision),
        )


def named(name: str, precision: str) -> str:
    """Name a network or a family by its precision, too, unless that is float32."""
    return name if precision == "fp32" else f"{name}-{precision}"


VARIANTS = {"fp16": ("fp16",), "int8": ("int8", "int8 in the decoder only")}
"""Ways to make a network smaller, in the order in which they are tried."""


def in_precision(
    model: ModelProto, variant: str, tiles: Sequence[NDArray[np.float32]]
) -> ModelProto:
    """Turn a network in float32 into a smaller one.

    Args:
        model: The network; may be changed.
        variant: One of `VARIANTS`.
        tiles: (band, y, x) reflectance each, to calibrate with.
    """
    if variant == "fp16":
        store_half(model.graph)
        return model
    return quantise(model, tiles, encoder=variant == "int8")


def with_manifest(model: ModelProto, manifest: str) -> bytes:
    """Serialise a network with its manifest inside, and nothing else beside the graph."""
    helper.set_model_props(model, {METADATA_KEY: manifest})
    return model.SerializeToString()
