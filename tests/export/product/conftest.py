"""One export of the smallest network there is, with random values, for all tests to look at."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export import make as module
from cloudmask_export import tiles
from cloudmask_export.make import Made, Order, make

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.trial import Trial

ARCHITECTURE = "smp-regnety_004-3"
FILE = "PM_model_OCM_7.97_R_G_NIR_3_smp_regnety_004.pycls_in1k_PT_state.safetensors"


@dataclass(frozen=True)
class Exported:
    """An export, and how it came about."""

    source: Path
    folder: Path
    made: Made
    trial: Trial


@pytest.fixture(scope="session")
def arrays(random_weights: Any) -> dict[str, Any]:
    """The network's tensors by name; to be copied before they are changed."""
    found: dict[str, Any] = random_weights(ARCHITECTURE)
    return found


@pytest.fixture(scope="session")
def weight_file(
    weight_files: Any, arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A weight file under its published name."""
    path: Path = weight_files.write_safetensors(tmp_path_factory.mktemp("weights") / FILE, arrays)
    return path


@pytest.fixture(scope="session")
def exported(weight_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Its export in fp32, to be looked at only."""
    folder = tmp_path_factory.mktemp("product") / "networks"
    trials = []
    original = module.__dict__["try_out"]

    def kept(*arguments: Any) -> Trial:
        trials.append(original(*arguments))
        return trials[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "try_out", kept)
        made = make(weight_file, Order(folder=folder))
    return Exported(weight_file, folder, made, trials[0])


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    """A copy of the export, to be changed."""
    copied: Path = shutil.copytree(exported.folder, tmp_path / "copied")
    return copied


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try networks on two tiles of 64 pixels."""
    for name, value in (("EDGE", 64), ("HELD_OUT", 2), ("CALIBRATION", 2)):
        monkeypatch.setattr(tiles, name, value)


@pytest.fixture
def tried(exported: Exported, small_tiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip what takes longest: the network is that of `exported`, whatever the weights."""
    monkeypatch.setattr(module, "try_out", lambda *_: exported.trial)
