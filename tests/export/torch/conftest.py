"""The authors' side: networks made, saved and run where torch is, in an environment of its own.

The tests run where no torch is, as the code under test does, and start the scripts in `lab/` by
`.venv/torch/bin/python`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from cloudmask_export.skeletons import ARCHITECTURES, load_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from onnx import NodeProto

    Array = NDArray[np.generic]
    Lab = Callable[..., None]
    Fill = Callable[[str, Mapping[str, Array]], ModelProto]

LAB = Path(__file__).parent / "lab"
SOURCES = Path(__file__).parents[3] / "export"
SHAPES = ("1x256x256", "3x256x256", "1x500x500", "1x512x512", "1x333x333", "3x161x235")
"""Batch x rows x columns. Batch 3 at 256 and an odd size only: a big network costs torch 7 to 17 s
per megapixel."""


@dataclass(frozen=True, slots=True)
class Authors:
    """What the authors' own code made."""

    architecture: str
    folder: Path

    @property
    def weights(self) -> Path:
        """The weight file, as they publish it."""
        return next(self.folder.glob("weights.*"))

    @property
    def state(self) -> list[tuple[str, list[int], str, str]]:
        """Name, shape, dtype and SHA-256 of every entry of the state dict, in order."""
        return json.loads((self.folder / "state.json").read_text("utf-8"))

    def forward(self, shape: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Get an image (batch, band, y, x) and its probabilities (batch, class, y, x)."""
        with np.load(self.folder / f"{shape}.npz") as file:
            return file["image"], file["probabilities"]


@pytest.fixture(scope="session")
def torch_python() -> Path:
    """Find the environment with torch; on CI its absence is a failure, elsewhere a skip."""
    python = Path(sys.prefix) / "torch" / "bin" / "python"
    if not python.exists():
        required = os.environ.get("CI") or os.environ.get("CLOUDMASK_REQUIRE_TORCH")
        report = pytest.fail if required else pytest.skip
        report(f"torch is not installed in {python.parents[1]}: make .venv/torch/.made")
    return python


@pytest.fixture(scope="session")
def lab(torch_python: Path) -> Lab:
    """Start a script of `lab/` with arguments, where torch is."""

    def start(script: str, *arguments: str | Path) -> None:
        command = [torch_python, LAB / script, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=800, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return start


@pytest.fixture(scope="session", params=ARCHITECTURES)
def authors(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Authors]:
    """Make one network, save it and run it on all `SHAPES`."""
    folder = tmp_path_factory.mktemp(request.param)
    lab("author.py", request.param, "--seed", "1", "--out", folder, "--shapes", *SHAPES)
    yield Authors(request.param, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def saved(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of small files that torch and safetensors wrote, see `lab/tensors.py`."""
    folder = tmp_path_factory.mktemp("saved")
    lab("tensors.py", folder)
    return folder


@pytest.fixture(scope="session")
def fill() -> Fill:
    """Put arrays into a skeleton, and Mish as torch writes it: image -> logits.

    The plainest way there is, so that what fails is the skeleton.
    """

    def filled(architecture: str, arrays: Mapping[str, Array]) -> ModelProto:
        model = load_skeleton(architecture)
        for tensor in model.graph.initializer:
            if not tensor.name.startswith("const/"):
                values = np.ascontiguousarray(arrays[tensor.name])
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        nodes = [made for node in model.graph.node for made in _mish(node)]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        return model

    return filled


def _mish(node: NodeProto) -> list[NodeProto]:
    if node.op_type != "Activation":
        return [node]
    x, y = node.input[0], node.output[0]
    return [
        helper.make_node("Softplus", [x], [f"{y}/softplus"]),
        helper.make_node("Tanh", [f"{y}/softplus"], [f"{y}/tanh"]),
        helper.make_node("Mul", [x, f"{y}/tanh"], [y]),
    ]
