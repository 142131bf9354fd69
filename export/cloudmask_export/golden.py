"""A network's own test: a small simulated image and what the network answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.bands import positions
from cloudmask.engines import open_session
from cloudmask.model import OnnxModel, load_onnx
from cloudmask.runtime import Runtime
from cloudmask.selftest import answer
from cloudmask.spec import TestFiles

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.spec import ModelSpec

EDGE = 128
"""Pixels."""
SEED = 5
TOLERANCE = {"fp32": 0.005, "fp16": 0.005, "int8": 0.02}
"""Share of pixels whose class may differ on another machine; 8-bit arithmetic differs most."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The content of a network's test files."""

    image: NDArray[np.uint16]
    """(band, y, x) reflectance x 10000."""
    answer: NDArray[np.uint8]
    """(channel, y, x) probability x 250."""


def test_files(name: str, bands: tuple[str, ...], precision: str) -> TestFiles:
    """Name the files of a network's test."""
    return TestFiles(
        input=f"{name}.test-input.npy",
        bands=bands,
        output=f"{name}.test-output.npy",
        tolerance=TOLERANCE[precision],
    )


def golden(content: bytes, spec: ModelSpec, path: Path) -> Golden:
    """Simulate a test image with all classes in it, and ask a network about it.

    Args:
        content: The ONNX file.
        spec: Its manifest.
        path: Where the file is or will be.
    """
    image = _image(spec)
    return Golden(image, answer(opened(content, spec, path, Runtime()), image, spec.bands))


def opened(content: bytes, spec: ModelSpec, path: Path, runtime: Runtime) -> OnnxModel:
    """Open a network for this one use; `load_onnx` would keep it as long as the process lives."""
    session = open_session(content, spec.name, runtime)
    return OnnxModel(spec, session, (load_onnx, (path, spec, runtime)))


def _image(spec: ModelSpec) -> NDArray[np.uint16]:
    from cloudmask.local.simulator import SceneSettings, simulate

    scene = simulate(
        SceneSettings(
            shape=(EDGE, EDGE),
            seed=SEED,
            thick_cover=0.3,
            pixel_size=spec.pixel_size,
            no_data_edge=False,
        )
    )
    return scene.reflectance_dn[positions(scene.bands, spec.bands)]
