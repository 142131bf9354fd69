"""Make the files of a network that ships inside the package.

Run `python -m cloudmask_export.builtin WEIGHTS NAME FOLDER`; the results for `cloudmask-s2-small`
and `cloudmask-s2-small-4b` are committed in `cloudmask/models/`. They are exports like any other
(`cloudmask_export.make`), but their test image is the one that all networks of the package share,
and their names are those of their families.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.bands import SENTINEL2
from cloudmask.runtime import Runtime
from cloudmask.selftest import answer
from cloudmask.spec import parse_manifest
from cloudmask_export.errors import ExportError
from cloudmask_export.golden import opened
from cloudmask_export.make import Order, make
from cloudmask_export.training.weights import described
from cloudmask_export.write import together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.spec import ModelSpec

SUFFIXES = (".onnx", ".test-output.npy", ".json")
"""Endings of the files that ship; the manifest, which makes them known, is last."""
TEST_INPUT = "test-input.npy"
"""The image that all networks of the package share; `cloudmask_export.ukis` makes it."""
LARGEST = 4_000_000
"""Bytes of a network that may ship."""
THRESHOLD = 99.9
"""Per cent of pixels that must have the class that the weights give in float32."""


def export(weights: Path, name: str, folder: Path, precision: str = "fp32") -> ModelSpec:
    """Export weights as a network of the package.

    Args:
        weights: What `cloudmask train` ended with, which says itself what it is; or a
            .safetensors, .pth or .pkl of the family.
        name: Of the network, and of its family.
        folder: Where the files go, replacing those of that name; holds `TEST_INPUT`.
        precision: fp32, or fp16 to halve the file.

    Raises:
        ExportError: They are not the weights of that family, or say that they are others, the
            test image is not there, or the network is larger than may ship.
    """
    image = _image(folder / TEST_INPUT)
    with TemporaryDirectory() as scratch:
        order = Order(
            folder=Path(scratch), family=_family(weights, name), name=name,
            precision=precision, threshold=THRESHOLD,
        )  # fmt: skip
        network = make(weights, order).path
        content, item = network.read_bytes(), json.loads(network.with_suffix(".json").read_bytes())
    if len(content) > LARGEST:
        raise ExportError(
            f"{weights}: makes a network of {len(content)} bytes, {LARGEST} may ship in the "
            "package; make it fp16"
        )
    # Its name is its family's.
    del item["properties"]["cloudmask:family"]
    bands = [{"name": band} for band in SENTINEL2]
    item["assets"]["test-input"] |= {"href": TEST_INPUT, "bands": bands}
    return _write([folder / f"{name}{suffix}" for suffix in SUFFIXES], content, item, image)


def _family(weights: Path, name: str) -> str | None:
    """Name the family to take the weights for; None if they say it themselves."""
    own = described(weights) if weights.is_file() else None
    if own is not None and own.name != name:
        raise ExportError(
            f"{weights}: say that they are those of {own.name!r}; export them under that name, or "
            f"train them with a config that calls them {name!r}"
        )
    return name if own is None else None


def _image(path: Path) -> NDArray[np.generic]:
    try:
        found: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except OSError as error:
        raise ExportError(
            f"{path}: the test image of the package's networks cannot be read ({error}); name the "
            "folder cloudmask/models, or copy it from there"
        ) from error
    return found


def _write(
    paths: list[Path], content: bytes, item: dict[str, object], image: NDArray[np.generic]
) -> ModelSpec:
    text = json.dumps(item, indent=2, ensure_ascii=False) + "\n"
    spec = parse_manifest(text)
    with together(paths) as (network, output, manifest):
        network.write_bytes(content)
        model = opened(content, spec, network, Runtime())
        np.save(output, answer(model, image, tuple(SENTINEL2)))
        manifest.write_text(text, "utf-8")
    return spec


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m cloudmask_export.builtin")
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "fp16"])
    options = parser.parse_args()
    export(options.weights, options.name, options.folder, options.precision)


if __name__ == "__main__":
    main()
