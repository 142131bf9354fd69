"""Static 8-bit quantisation with ONNX Runtime's own tools.

QDQ form, weights signed and per channel, activations unsigned, convolutions only: with all
operators quantised hardly more than half of the pixels keep their class.
"""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto


class _Tiles:
    """Tiles as ONNX Runtime's calibrator asks for them, one by one."""

    def __init__(self, name: str, tiles: Sequence[NDArray[np.float32]]) -> None:
        self._name = name
        self._left: Iterator[NDArray[np.float32]] = iter(tiles)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Give the next tile, None after the last."""
        tile = next(self._left, None)
        return None if tile is None else {self._name: tile[None]}


ENCODERS = ("encoder.", "layers.0.")
"""What the names of an encoder's weights begin with: segmentation-models-pytorch's, fastai's."""


def quantise(
    model: ModelProto, tiles: Sequence[NDArray[np.float32]], *, encoder: bool = True
) -> ModelProto:
    """Quantise a network's convolutions.

    Args:
        model: The network in float32, batch normalisation folded.
        tiles: (band, y, x) reflectance each; what it sees of values between its layers decides
            their ranges.
        encoder: Whether the encoder's are quantised as well as the decoder's. Some encoders lose
            much by it and cost little of the time.

    Returns:
        A network with the same input and output, about a quarter of the size.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    CalibrationDataReader.register(_Tiles)
    # It advises to preprocess; batch normalisation is folded already.
    logging.getLogger().addFilter(_no_advice)
    try:
        with TemporaryDirectory() as folder:
            source, target = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
            onnx.save(model, source)
            quantize_static(
                source,
                target,
                _Tiles(model.graph.input[0].name, tiles),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=_of_positions(model)
                + _of_the_classes(model)
                + ([] if encoder else _of_the_encoder(model)),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
            return onnx.load(target)
    finally:
        logging.getLogger().removeFilter(_no_advice)


def _of_the_encoder(model: ModelProto) -> list[str]:
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1].startswith(ENCODERS)
    ]


def _of_the_classes(model: ModelProto) -> list[str]:
    """Name the last convolution: it costs little, and what it gives is compared number by number.

    Nearly the most a tensor holds goes into it, and would have to be rounded and turned for it.
    """
    last = [each.name for each in model.graph.node if each.op_type == "Conv"]
    return last[-1:]


def _of_positions(model: ModelProto) -> list[str]:
    """Name convolutions that see the size of a tile only: OpenVINO compiles none in 8 bits."""
    seen = {each.name for each in model.graph.input}
    for node in model.graph.node:
        if node.op_type != "Shape" and seen & set(node.input):
            seen.update(node.output)
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[0] not in seen
    ]


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
