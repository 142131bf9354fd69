"""Weights become the files that ship inside the package."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from cloudmask.bands import SENTINEL2
from cloudmask.default import BUILT_IN
from cloudmask.errors import CloudmaskError
from cloudmask.model import embedded_manifest
from cloudmask.registry import local
from cloudmask.selftest import answer, self_test
from cloudmask.spec import parse_manifest
from cloudmask_export import builtin
from cloudmask_export.builtin import SUFFIXES, TEST_INPUT, export
from cloudmask_export.errors import ExportError
from cloudmask_export.families import FixedNormalisation, family
from cloudmask_export.graph import network
from cloudmask_export.training.config import parse
from cloudmask_export.training.weights import describe, write_weights

if TYPE_CHECKING:
    from pathlib import Path

NAME = "cloudmask-s2-small-4b"
ARCHITECTURE = "slim-regnety_002-4"


@pytest.fixture(scope="module")
def weights(
    weight_files: Any, random_weights: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path: Path = weight_files.write_safetensors(
        tmp_path_factory.mktemp("weights") / "1.0.safetensors", random_weights(ARCHITECTURE)
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the test image that all networks of the package share."""
    made = tmp_path_factory.mktemp("models")
    shared = resources.files("cloudmask") / "models" / TEST_INPUT
    (made / TEST_INPUT).write_bytes(shared.read_bytes())
    return made


@pytest.fixture(scope="module")
def made(weights: Path, folder: Path) -> Path:
    """Where the files are that were made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["builtin", str(weights), NAME, str(folder)])
        builtin.main()
    return folder


def test_three_files_are_made_under_the_familys_name(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    assert names == {TEST_INPUT, *(f"{NAME}{suffix}" for suffix in SUFFIXES)}


def test_the_manifest_is_that_of_a_network_of_the_package(made: Path) -> None:
    entry = local(made / f"{NAME}.onnx")
    spec = entry.spec
    assert (spec.name, spec.version, spec.family) == (NAME, "1.0", "")
    assert (spec.package, spec.extra, spec.file) == ("", "", f"{NAME}.onnx")
    assert spec.test is not None
    assert (spec.test.input, spec.test.bands) == (TEST_INPUT, tuple(SENTINEL2))
    # The one inside, for who has the file alone, says the same of the network.
    inside = embedded_manifest(made / f"{NAME}.onnx")
    assert inside is not None
    alone = parse_manifest(inside)
    assert (alone.name, alone.bands, alone.test) == (NAME, spec.bands, None)


def test_the_test_passes_with_the_image_that_all_share(made: Path) -> None:
    entry = local(made / f"{NAME}.onnx")
    found = self_test(entry)
    assert found is not None
    assert (found.changed, found.good) == (0, True)
    kept = np.load(made / f"{NAME}.test-output.npy")
    np.testing.assert_array_equal(
        kept, answer(entry.load(), np.load(made / TEST_INPUT), tuple(SENTINEL2))
    )


def test_the_network_is_the_one_of_the_weights(
    made: Path, random_weights: Any, tmp_path: Path
) -> None:
    model = network(ARCHITECTURE, random_weights(ARCHITECTURE), family(NAME), "")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    tiles = np.random.default_rng(0).uniform(0, 0.5, (1, 4, 64, 64)).astype(np.float32)
    (expected,) = session.run(None, {"reflectance": tiles})
    np.testing.assert_allclose(local(made / f"{NAME}.onnx").load()(tiles), expected, atol=1e-5)


def test_half_the_bits_are_half_the_file(made: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / TEST_INPUT).write_bytes((made / TEST_INPUT).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin, "THRESHOLD", 0.0)  # of random weights nothing is asked
        spec = export(weights, NAME, tmp_path, "fp16")
    assert spec.name == NAME
    assert spec.size < 0.6 * (made / f"{NAME}.onnx").stat().st_size


def test_a_network_that_is_too_large_leaves_nothing(
    weights: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / TEST_INPUT).write_bytes((folder / TEST_INPUT).read_bytes())
    monkeypatch.setattr(builtin, "LARGEST", 1_000_000)
    with pytest.raises(ExportError, match="bytes, 1000000 may ship in the package; make it fp16"):
        export(weights, NAME, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [TEST_INPUT]


def test_without_the_shared_image_nothing_is_done(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"test-input\.npy: the test image of the package's"):
        export(weights, NAME, tmp_path)


def test_weights_of_the_other_network_are_refused(weights: Path, folder: Path) -> None:
    with pytest.raises(CloudmaskError, match=r"not the weights of slim-regnety_002-13\. "):
        export(weights, "cloudmask-s2-small", folder)


def trained(folder: Path, name: str, arrays: Any) -> Path:
    """Write weights as `cloudmask train` does: they say how they are normalised."""
    text = f"""
name = "{name}"
architecture = "{ARCHITECTURE}"
bands = ["B02", "B03", "B04", "B08"]
pixel_size = 20
[network]
title = "Trained"
licence = "MIT"
[sources]
simulated = 1
[[stage]]
classes = 4
steps = 1
"""
    numbers = np.full(4, 0.125, np.float32)
    path = folder / "weights.safetensors"
    write_weights(path, arrays, describe(parse(text, folder), numbers, 2 * numbers))
    return path


def test_trained_weights_are_normalised_as_they_say(
    folder: Path, random_weights: Any, tmp_path: Path
) -> None:
    (tmp_path / TEST_INPUT).write_bytes((folder / TEST_INPUT).read_bytes())
    arrays = random_weights(ARCHITECTURE)
    spec = export(trained(tmp_path, NAME, arrays), NAME, tmp_path)
    assert (spec.name, spec.title[:7], spec.bands) == (NAME, "Trained", family(NAME).bands)
    by = FixedNormalisation(divisor=1e4, mean=(0.125,) * 4, std=(0.25,) * 4)
    model = network(ARCHITECTURE, arrays, replace(family(NAME), normalisation=by), "")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    tiles = np.random.default_rng(0).uniform(0, 0.5, (1, 4, 64, 64)).astype(np.float32)
    (expected,) = session.run(None, {"reflectance": tiles})
    found = local(tmp_path / f"{NAME}.onnx").load()(tiles)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_trained_weights_of_another_name_are_refused(
    folder: Path, random_weights: Any, tmp_path: Path
) -> None:
    path = trained(tmp_path, "tiny", random_weights(ARCHITECTURE))
    with pytest.raises(ExportError, match="say that they are those of 'tiny'; export them under"):
        export(path, NAME, folder)


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_ships_was_made_so(name: str) -> None:
    shipped = resources.files("cloudmask") / "models" / f"{name}.json"
    found = json.loads(shipped.read_text("utf-8"))
    spec, own = parse_manifest(json.dumps(found)), family(name)
    assert spec.bands == own.bands
    assert (spec.tile, spec.overlap, spec.multiple) == (own.tile, own.overlap, own.multiple)
    assert (spec.pixel_size, spec.resampling, spec.level) == (20, "average", own.level)
    assert found["properties"]["description"].startswith("Trained on: ")
