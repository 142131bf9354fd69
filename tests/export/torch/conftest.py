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
import onnxruntime
import pytest

from cloudmask_export.build import Builder
from cloudmask_export.choose import Choice
from cloudmask_export.families import Family, PatchNormalisation
from cloudmask_export.skeletons import ARCHITECTURES
from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cloudmask_export.families.normalisation import Normalisation

    Lab = Callable[..., None]
    Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
    Exported = Callable[[Path, str, Family], Network]

LAB = Path(__file__).parent / "lab"
SOURCES = Path(__file__).parents[3] / "export"
ALL = ("1x256x256", "3x256x256", "1x500x500", "1x512x512", "1x328x328", "3x168x232")
SHAPES = ("1x256x256", "3x168x232") if os.environ.get("CI") else ALL
"""Batch x rows x columns. Batch 3 at 256 and an odd size only, and on CI two shapes: a big network
costs torch 7 to 17 s per megapixel."""


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
    """Find the environment with torch; its absence is a failure only to who asks for it."""
    python = Path(sys.prefix) / "torch" / "bin" / "python"
    if not python.exists():
        report = pytest.fail if os.environ.get("CLOUDMASK_REQUIRE_TORCH") else pytest.skip
        report(f"torch is not installed in {python.parents[1]}: make test-torch")
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


QUICK = ("dynunet-regnety_006-13", "smp-edgenext_small-3", "slim-regnety_002-4")
"""One of each kind, for every merge; all others are tried in a nightly run."""
NETWORKS = [
    each if each in QUICK else pytest.param(each, marks=pytest.mark.nightly)
    for each in ARCHITECTURES
]


@pytest.fixture(scope="session", params=NETWORKS)
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
def exported() -> Exported:
    """Export a weight file as the product does: image as it enters it -> probabilities."""

    def export(path: Path, architecture: str, family: Family) -> Network:
        builder = Builder(read_weights(path), Choice(family, "authors", architecture))
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False
        options.intra_op_num_threads = 2
        model = builder.exact().SerializeToString()
        session = onnxruntime.InferenceSession(model, options)

        def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
            reflectance = _reflectance(image, family.normalisation)
            (found,) = session.run(None, {"reflectance": reflectance})
            return np.asarray(found)

        return run

    return export


def _reflectance(image: NDArray[np.float32], by: Normalisation) -> NDArray[np.float32]:
    """Undo the authors' normalisation: a z-score by tile takes any mean and deviation."""
    if isinstance(by, PatchNormalisation):
        return np.asarray(0.2 + 0.05 * image, np.float32)
    mean, std = (np.reshape(values, (1, -1, 1, 1)) for values in (by.mean, by.std))
    return np.asarray((image.astype(np.float64) * std + mean) * by.divisor / 1e4, np.float32)
