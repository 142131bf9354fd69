"""A training where torch is: its parts against independent answers, and whole, to the mask."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from cloudmask import mask_clouds
from cloudmask.classes import NO_DATA, THICK, THIN
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.registry import local
from cloudmask.selftest import self_test
from cloudmask_export.make import Order, make
from cloudmask_export.training.validate import coarser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LAB = Path(__file__).parent / "lab"
ROOT = Path(__file__).parents[3]
TINY = ROOT / "examples" / "training" / "tiny.toml"


@pytest.fixture(scope="module")
def parts(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the parts of a training made of what, see `lab/training.py`."""
    folder = tmp_path_factory.mktemp("parts")
    lab("training.py", folder)
    return folder


@pytest.fixture(scope="module")
def losses(parts: Path) -> Mapping[str, Any]:
    with np.load(parts / "losses.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def augmented(parts: Path) -> Mapping[str, Any]:
    with np.load(parts / "augmented.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def transfer(parts: Path) -> Mapping[str, Any]:
    with np.load(parts / "transfer.npz") as file:
        return dict(file)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def dice(p: NDArray[np.float64], truth: NDArray[Any]) -> float:
    """One minus Dice of each class, with one added above and below, on average."""
    both, either = (p * truth).sum((0, 2, 3)), (p + truth).sum((0, 2, 3))
    return float(np.mean(1 - (2 * both + 1) / (either + 1)))


def test_the_entropy_of_certain_labels_is_the_usual_one(losses: Mapping[str, Any]) -> None:
    p = softmax(losses["logits"])
    expected = -np.log(p[losses["single"]]).mean()
    assert losses["single entropy"] == pytest.approx(expected)


def test_the_dice_of_certain_labels_is_the_usual_one(losses: Mapping[str, Any]) -> None:
    expected = dice(softmax(losses["logits"]), losses["single"])
    assert losses["single dice"] == pytest.approx(expected)


def test_both_losses_are_added(losses: Mapping[str, Any]) -> None:
    expected = losses["single entropy"] + losses["single dice"]
    assert losses["single both"] == pytest.approx(expected)


def test_the_entropy_of_a_set_is_that_of_its_classes_together(losses: Mapping[str, Any]) -> None:
    p, several = softmax(losses["logits"]), losses["several"]
    certain = ~several.all(axis=1)
    inside = (p * several).sum(axis=1)[certain]
    assert losses["several entropy"] == pytest.approx(-np.log(inside).mean())


@pytest.mark.parametrize("kind", ["entropy", "dice"])
def test_what_is_said_of_an_unknown_pixel_costs_nothing(
    losses: Mapping[str, Any], kind: str
) -> None:
    assert losses["several"].all(axis=1).any()
    assert losses[f"other {kind}"] == pytest.approx(losses[f"several {kind}"])
    assert losses["unknown"] == 0


def dihedral(image: NDArray[Any]) -> list[NDArray[Any]]:
    """All flips and quarter turns of (..., y, x)."""
    turned = [np.rot90(image, n, axes=(-2, -1)) for n in range(4)]
    return [*turned, *(each[..., ::-1] for each in turned)]


def test_images_and_labels_are_flipped_and_turned_alike(augmented: Mapping[str, Any]) -> None:
    found = []
    names = ("images", "sets", "moved", "labels")
    for image, sets, moved, labels in zip(*(augmented[name] for name in names), strict=True):
        off = [np.abs(each - moved).max() for each in dihedral(image)]
        found.append(int(np.argmin(off)))
        assert min(off) < 1e-4
        np.testing.assert_array_equal(dihedral(sets)[found[-1]], labels)
    assert len(set(found)) == 8


def test_coarse_labels_may_be_what_any_of_their_pixels_may_be(
    augmented: Mapping[str, Any],
) -> None:
    mean, united = coarser(augmented["images"], augmented["sets"], 2)
    np.testing.assert_allclose(augmented["coarse"], mean, atol=1e-6)
    np.testing.assert_array_equal(augmented["united"], united)


def test_lost_bands_become_the_mean_and_the_others_stay(augmented: Mapping[str, Any]) -> None:
    images, lost = augmented["images"], augmented["lost"]
    gone = (lost == 0).all(axis=(2, 3))
    assert 0 < gone.any(axis=1).mean() < 1
    np.testing.assert_array_equal(lost[~gone], images[~gone])


def test_the_transfer_keeps_everything_but_the_last_layer(transfer: Mapping[str, Any]) -> None:
    *kept, weight, bias = transfer["names"]
    for name in kept:
        np.testing.assert_array_equal(transfer[f"after {name}"], transfer[f"before {name}"])
    for name in (weight, bias):
        before, after = transfer[f"before {name}"], transfer[f"after {name}"]
        # Clear, cloud, shadow become clear, thick and thin cloud, shadow.
        np.testing.assert_array_equal(after, before[[0, 1, 1, 2]])


def test_the_next_stage_begins_with_its_first_step(transfer: Mapping[str, Any]) -> None:
    assert transfer["fresh"].tolist() == [1, 0, 0]


@pytest.fixture(scope="module")
def resumed(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, whole and interrupted, see `lab/resuming.py`."""
    folder = tmp_path_factory.mktemp("resumed")
    lab("resuming.py", folder)
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("where", ["first", "border", "second"])
def test_an_interrupted_training_ends_with_the_same_weights(resumed: Path, where: str) -> None:
    told = json.loads((resumed / "stopped.json").read_text())[where]
    assert told == ["checkpoint.pt", "log.csv"]
    whole, parted = (
        (resumed / name / "weights.safetensors").read_bytes() for name in ("whole", where)
    )
    assert whole == parted


@pytest.mark.nightly
@pytest.mark.parametrize("where", ["first", "border", "second"])
def test_its_log_is_the_same_but_for_the_time(resumed: Path, where: str) -> None:
    whole, parted = (rows(resumed / name / "log.csv") for name in ("whole", where))
    assert [(row["stage"], row["step"]) for row in whole] == [
        ("1", "2"), ("1", "4"), ("2", "2"), ("2", "4"),
    ]  # fmt: skip
    for row in (*whole, *parted):
        assert float(row.pop("seconds")) > 0
    assert parted == whole


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_checkpoint_is_read_without_executing_anything(lab: Any, tmp_path: Path) -> None:
    lab("evil.py", tmp_path)
    assert (tmp_path / "message").read_text().startswith(f"{tmp_path}/checkpoint.pt: cannot be")
    assert not (tmp_path / "executed").exists()


@dataclass(frozen=True)
class Trained:
    """The example, trained by the command and pressed Ctrl-C once."""

    folder: Path
    stopped: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def trained(torch_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("tiny") / "out"
    order = ["train", str(TINY), "-o", str(folder), "--threads", "1"]

    def run(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [torch_python, LAB / "command.py", *order, *more],
            env={**os.environ, "PYTHONPATH": str(ROOT / "export"), **environment},
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip

    return Trained(folder, run(CLOUDMASK_STOP_AT="43"), run(), run("--resume"))


@pytest.mark.nightly
def test_ctrl_c_ends_after_the_step_and_says_how_to_go_on(trained: Trained) -> None:
    assert trained.stopped.returncode == 130
    assert trained.stopped.stderr == (
        f"cloudmask: stopped after step 43 of 80; go on with: cloudmask train {TINY} -o "
        f"{trained.folder} --resume\n"
    )


@pytest.mark.nightly
def test_a_folder_with_a_training_is_not_begun_anew(trained: Trained) -> None:
    assert trained.refused.returncode == 2
    assert "a training has begun in this folder; say --resume" in trained.refused.stderr


@pytest.mark.nightly
def test_the_example_ends_with_a_network_that_is_what_its_report_says(trained: Trained) -> None:
    assert (trained.done.returncode, trained.done.stderr) == (0, "")
    assert (
        f"cloudmask mask S2.tif -o mask.tif -m {trained.folder}/tiny.onnx" in trained.done.stdout
    )
    report = json.loads((trained.folder / "tiny.report.json").read_text())
    assert report["rewrites"]["largest"] < 1e-4
    assert report["classes"] == ["clear", "thick_cloud", "thin_cloud", "cloud_shadow"]
    assert [row["classes"] for row in rows(trained.folder / "log.csv")] == ["3", "3", "4", "4"]


@pytest.mark.nightly
def test_its_own_test_is_passed_here_where_no_torch_is(trained: Trained) -> None:
    found = self_test(local(trained.folder / "tiny.onnx"))
    assert found is not None
    assert found.good


@pytest.mark.nightly
def test_the_network_masks_a_scene_better_than_by_chance(trained: Trained) -> None:
    scene = simulate(SceneSettings(shape=(256, 256), seed=77, pixel_size=20.0, thick_cover=0.3))
    cube = xr.DataArray(
        scene.reflectance_dn, dims=("bands", "y", "x"), coords={"bands": list(scene.bands)}
    )
    mask = mask_clouds(cube, str(trained.folder / "tiny.onnx"), preset="dn")
    valid = scene.truth != NO_DATA
    truth = np.isin(scene.truth, (THICK, THIN))[valid]
    called = np.isin(mask.sel(bands="class"), (THICK, THIN))[valid]
    right = (called[truth].mean() + (~called[~truth]).mean()) / 2
    assert right > 0.7


@pytest.mark.nightly
def test_the_weights_alone_are_enough_to_export(trained: Trained, tmp_path: Path) -> None:
    made = make(trained.folder / "weights.safetensors", Order(folder=tmp_path))
    first = json.loads((trained.folder / "tiny.json").read_text())
    again = json.loads(made.path.with_suffix(".json").read_text())
    assert made.path.name == f"tiny-{made.report.source.sha256[:8]}.onnx"
    for key in ("mlm:input", "mlm:output", "license", "bands", "gsd", "cloudmask:weights"):
        assert again["properties"][key] == first["properties"][key]
    assert first["properties"]["license"] == "MIT"


@pytest.mark.nightly
def test_torch_answers_as_the_exported_network_does(
    trained: Trained, lab: Any, tmp_path: Path
) -> None:
    import onnxruntime

    scene = simulate(SceneSettings(shape=(160, 192), seed=8, pixel_size=20.0, no_data_edge=False))
    image = scene.reflectance_dn[None].astype(np.float32) / np.float32(10_000)
    np.save(tmp_path / "image.npy", image)
    lab("answering.py", trained.folder / "checkpoint.pt", tmp_path)
    theirs = np.load(tmp_path / "probabilities.npy")
    session = onnxruntime.InferenceSession((trained.folder / "tiny.onnx").read_bytes())
    (ours,) = session.run(None, {"reflectance": image})
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.nightly
@pytest.mark.parametrize("architecture", ["smp-regnety_002-5", "dynunet-regnety_002-5"])
def test_an_architecture_that_does_not_ship_is_exported_where_torch_is(
    architecture: str, lab: Any, tmp_path: Path
) -> None:
    lab("other.py", architecture, tmp_path)
    report = json.loads((tmp_path / "other.report.json").read_text())
    assert report["architecture"] == architecture
    assert report["rewrites"]["largest"] < 1e-4
    found = self_test(local(tmp_path / "other.onnx"))
    assert found is not None
    assert found.good
