"""What torch and safetensors write is read without them, to the bit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.timeout(900)

STATES = {"plain": "fp32", "strided": "fp32", "fp16": "fp16", "bf16": "bf16", "mixed": "mixed"}
"""File of `lab/tensors.py` -> how its floats are stored."""
FILES = [f"{name}.{kind}" for name in STATES for kind in ("pth", "safetensors")]


@pytest.mark.slow
def test_every_entry_of_the_authors_network_is_read_to_the_bit(authors: Any) -> None:
    arrays = read_weights(authors.weights).arrays
    found = {
        name: [list(a.shape), str(a.dtype), hashlib.sha256(a.tobytes()).hexdigest()]
        for name, a in arrays.items()
    }
    assert found == {name: list(entry) for name, *entry in authors.state}


@pytest.mark.nightly
def test_the_classes_of_a_pickled_network_are_told(lab: Any, tmp_path: Path) -> None:
    lab(
        "author.py",
        "dynunet-edgenext_small-3",
        "--kind",
        "pkl",
        "--activation",
        "ReLU",
        "--out",
        tmp_path,
    )
    modules = read_weights(tmp_path / "weights.pkl").modules
    assert modules["layers.4.relu"].endswith("ReLU")


@pytest.mark.slow
@pytest.mark.parametrize("file", [*FILES, "whole.pkl"])
def test_names_and_values_are_those_that_torch_knows(saved: Path, file: str) -> None:
    arrays = read_weights(saved / file).arrays
    with np.load(saved / f"{file.partition('.')[0]}.npz") as expected:
        assert set(arrays) == set(expected.files)
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_how_the_floats_are_stored_is_told(saved: Path, file: str) -> None:
    name, kind = file.split(".")
    weights = read_weights(saved / file)
    assert (weights.stored, weights.format) == (STATES[name], kind)
