"""The whole command in a process of its own, where none of the training libraries can be had."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from cloudmask.engines.ort import inference_session as open_session
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.runtime import Runtime
from cloudmask_export.families import family
from cloudmask_export.graph import network

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nightly

NAME = "clouds2mask-20m-v3.44"
BANNED = ("torch", "torchvision", "timm", "fastai", "safetensors", "segmentation_models_pytorch")
SCRIPT = f"""
import json, sys
from pathlib import Path

BANNED = {BANNED!r}

class Refusing:
    asked = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BANNED:
            self.asked.append(name)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refusing())
from cloudmask.local.cli import main

try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
there = [name for name in sys.modules if name.partition(".")[0] in BANNED]
print(json.dumps({{"peak": peak * 1024, "there": there, "asked": Refusing.asked}}))
"""


@dataclass(frozen=True)
class Ran:
    """What a run left."""

    folder: Path
    out: str
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def ran(weight_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Export a network pickled whole, 125 MB, whose decoder has another activation than usual."""
    folder = tmp_path_factory.mktemp("pickle")
    weight_files.write_pkl(folder / "v3.44_regnety_006_4C_Dice_1_20m.pkl", activation="ReLU")
    arguments = ["export", "v3.44_regnety_006_4C_Dice_1_20m.pkl", "-o", "out", "--check"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    *lines, facts = done.stdout.splitlines()
    return Ran(folder / "out", "\n".join(lines), json.loads(facts))


def test_a_whole_model_is_exported_where_nothing_it_was_trained_with_can_be_imported(
    ran: Ran,
) -> None:
    assert f"out/{NAME}.onnx" in ran.out
    assert len(list(ran.folder.iterdir())) == 6
    assert ran.facts["there"] == []
    assert ran.facts["asked"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_whole_model_is_exported_within_a_gibibyte_and_a_half(ran: Ran) -> None:
    assert ran.facts["peak"] < 1.5 * 2**30


def test_the_report_says_which_activation_the_pickle_names(ran: Ran) -> None:
    found = json.loads((ran.folder / f"{NAME}.report.json").read_text())
    assert (found["activation"], found["source"]["format"]) == ("ReLU", "pkl")
    assert (found["family"], found["architecture"]) == (
        "clouds2mask-20m", "dynunet-regnety_006-13",
    )  # fmt: skip
    assert found["source"]["published"] is False
    assert all(name.endswith("num_batches_tracked") for name in found["tensors_unused"])
    assert found["tensors_used"] + len(found["tensors_unused"]) == 421


def test_the_activation_is_read_from_the_pickle(ran: Ran, weight_files: Any) -> None:
    made = ran.folder / f"{NAME}.onnx"
    assert not {"Softplus", "Softsign", "HardSigmoid"} & {
        each.op_type for each in onnx.load(made).graph.node
    }
    scene = simulate(SceneSettings(shape=(64, 64), no_data_edge=False))
    order = [scene.bands.index(band) for band in family("clouds2mask-20m").bands]
    tile = scene.reflectance_dn[order][None].astype(np.float32) / 10000
    expected = {
        kind: network(
            "dynunet-regnety_006-13", weight_files.clouds2mask(), family("clouds2mask-20m"), kind
        ).SerializeToString()
        for kind in ("ReLU", "Mish")
    }
    answers = {
        kind: open_session(content, kind, Runtime()).run(None, {"reflectance": tile})[0]
        for kind, content in {**expected, "made": made.read_bytes()}.items()
    }
    np.testing.assert_allclose(answers["made"], answers["ReLU"], atol=1e-6)
    assert np.abs(answers["made"] - answers["Mish"]).max() > 1e-3
