"""Random damage ends in a typed error or a correct result, within little memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the limit on memory is set as Linux has it"
)

SCRIPT = Path(__file__).with_name("mutations.py")


def outcomes(path: Path, count: int, part: str = "") -> dict[str, int]:
    """Read mutated copies of a file in a process with limited memory."""
    command = [sys.executable, str(SCRIPT), str(path), str(count), "4", part]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["longest"] < 5
    counts: dict[str, int] = found["outcomes"]
    assert sum(counts.values()) == count
    return counts


@pytest.fixture
def small(arrays: Any) -> dict[str, Any]:
    return {**arrays, "half": np.ones(3, np.float16), "flags": np.array([True, False])}


@pytest.fixture
def safetensors(weight_files: Any, tmp_path: Path, small: Any) -> Path:
    path: Path = weight_files.write_safetensors(tmp_path / "net.safetensors", small)
    return path


@pytest.fixture
def pth(weight_files: Any, tmp_path: Path, small: Any) -> Path:
    path: Path = weight_files.write_pth(tmp_path / "net.pth", small)
    return path


@pytest.fixture(params=["safetensors", "pth", "network"])
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_a_thousand_damaged_files_are_refused_or_read_right(file: Path) -> None:
    counts = outcomes(file, 1000)

    assert counts.keys() == {"refused", "read"}


@pytest.mark.parametrize("name", ["pth", "network"])
def test_a_thousand_damaged_pickles_in_sound_zips_are_refused_or_read(
    request: pytest.FixtureRequest, name: str
) -> None:
    counts = outcomes(request.getfixturevalue(name), 1000, "data.pkl")

    assert counts.keys() == {"refused", "read"}
    assert counts["refused"] > 500


@pytest.mark.nightly
@pytest.mark.parametrize("layout", ["old", "new"])
def test_a_damaged_structure_of_the_real_network_is_refused_or_followed(
    weight_files: Any, tmp_path: Path, layout: str
) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(weight_files.structure(layout)[0])

    counts = outcomes(path, 100, "structure")

    assert counts.keys() == {"refused", "read"}
