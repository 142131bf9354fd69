"""The weights that a training ends with: safetensors that say themselves what they are.

The metadata of the file hold the config, the normalisation, bands and classes, so that
`cloudmask export` needs nothing beside it. Format: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.local.beside import beside
from cloudmask_export.errors import ExportError
from cloudmask_export.families import Family, FixedNormalisation
from cloudmask_export.training.bank import SCALE
from cloudmask_export.training.config import as_text, parse
from cloudmask_export.training.recipe import CHANNELS
from cloudmask_export.weights.safetensors import LENGTH, MAX_HEADER, is_safetensors
from cloudmask_export.weights.tensors import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.training.config import Config

METADATA = "__metadata__"
MARK = "cloudmask-training"
"""Key of the metadata that says who wrote the file."""
VERSION = "1"
_BY_DTYPE = {np.dtype(kind.raw): kind.name for name, kind in KINDS.items() if name != "BF16"}


def describe(
    config: Config, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> dict[str, str]:
    """Say in metadata what weights are.

    Args:
        config: What they were trained by.
        mean: (band,) reflectance, taken off each band.
        std: (band,) what is divided by.
    """
    recipe = config.recipe
    numbers = {"mean": _exact(mean), "std": _exact(std)}
    return {
        "format": "pt",
        MARK: VERSION,
        "config": as_text(config),
        "normalisation": json.dumps(numbers),
        "bands": ",".join(recipe.bands),
        "classes": ",".join(map(str, classes(config))),
    }


def classes(config: Config) -> tuple[int, ...]:
    """Give the class code of each output after the last stage; one cloud class is 1."""
    return tuple(channel[0] for channel in CHANNELS[config.recipe.stages[-1].classes])


def write_weights(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write tensors as safetensors, whole or not at all.

    Args:
        path: File to make or to replace.
        arrays: Name -> values, of one of the types that `weights.tensors.KINDS` knows.
        metadata: What else to say.
    """
    header: dict[str, Any] = {METADATA: dict(metadata)}
    position, parts = 0, []
    # The widest first, so that each begins at a multiple of its own size.
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        array = np.ascontiguousarray(arrays[name])
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        offsets = [position, position + len(raw)]
        header[name] = {
            "dtype": _BY_DTYPE[array.dtype],
            "shape": list(arrays[name].shape),
            "data_offsets": offsets,
        }
        position = offsets[1]
        parts.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    with beside(path) as partial:
        partial.write_bytes(b"".join([len(text).to_bytes(LENGTH, "little"), text, *parts]))


def described(path: Path) -> Family | None:
    """Tell what weights are by what they say themselves; None if they are not of our training.

    Raises:
        ExportError: They say it in a way that cannot be, or of another version.
    """
    told = _metadata(path)
    if MARK not in told:
        return None
    if told[MARK] != VERSION:
        raise ExportError(
            f"{path}: was written by a later version of openeo-cloudmask (its format is "
            f"{told[MARK]}, known is {VERSION}): install that"
        )
    try:
        numbers = json.loads(told["normalisation"])
        config = parse(told["config"], path.parent)
        return family(config, tuple(numbers["mean"]), tuple(numbers["std"]))
    except (KeyError, ValueError, TypeError) as error:
        raise ExportError(f"{path}: what it says of itself cannot be read: {error}") from error


def family(config: Config, mean: tuple[float, ...], std: tuple[float, ...]) -> Family:
    """Describe a trained network as published ones are.

    Args:
        config: What it was trained by.
        mean: (band,) reflectance, taken off each band.
        std: (band,) what is divided by.
    """
    recipe, card = config.recipe, config.card
    return Family(
        name=recipe.name,
        title=card.title or recipe.name,
        licence=card.licence,
        citation=card.citation,
        page=card.page,
        bands=recipe.bands,
        classes=classes(config),
        level=card.level,
        pixel_size=recipe.pixel_size,
        resampling=card.resampling,
        tile=card.tile,
        overlap=card.overlap,
        normalisation=FixedNormalisation(divisor=SCALE, mean=mean, std=std),
        # fastai's decoder takes what it is told; the networks here tell it Mish.
        activation="Mish" if recipe.architecture.startswith("dynunet-") else "",
        training_data=card.training_data or _sources(config),
        architectures=(recipe.architecture,),
    )


def _sources(config: Config) -> str:
    sources = config.recipe.sources
    names = sorted(path.name for path in (*sources.pairs, *sources.labelled))
    counted = {
        "cloud-free images under simulated clouds": sources.composed,
        "simulated scenes": sources.simulated,
    }
    return ", ".join([*names, *(f"{count} {what}" for what, count in counted.items() if count)])


def _exact(values: NDArray[np.float32]) -> list[float]:
    """Give the shortest numbers that are the same in float32."""
    return [float(str(value)) for value in values.astype(np.float32)]


def _metadata(path: Path) -> Mapping[str, str]:
    """Read what a file of safetensors says beside its tensors; nothing of any other file."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        head = file.read(LENGTH + 1)
        length = int.from_bytes(head[:LENGTH], "little")
        if not is_safetensors(head) or length > MAX_HEADER:
            return {}
        file.seek(LENGTH)
        text = file.read(length)
    try:
        told = json.loads(text).get(METADATA, {})
    except (ValueError, AttributeError, RecursionError):
        # `read_weights` says better what is wrong.
        return {}
    if not isinstance(told, dict) or not all(isinstance(each, str) for each in told.values()):
        return {}
    return told
