from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cloudmask.registry import Entry

ROOT = Path(__file__).parents[1]


def unchanged() -> dict[Path, bytes]:
    """Read what a full run would write."""
    kept = [ROOT / "README.md", *(ROOT / "benchmarks").glob("results/*")]
    return {path: path.read_bytes() for path in kept if path.is_file()}


@pytest.fixture(scope="module")
def smoke(ukis_4b: Entry) -> tuple[subprocess.CompletedProcess[str], bool]:
    """Run all benchmarks small; and tell whether the kept results are as before."""
    for package in ("rasterio", "onnx", "ukis_csmask"):
        pytest.importorskip(package)
    before = unchanged()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--smoke"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return done, unchanged() == before


@pytest.mark.slow
def test_the_benchmarks_still_run_and_print_a_table(
    smoke: tuple[subprocess.CompletedProcess[str], bool],
) -> None:
    done, _ = smoke
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) >= 5
    assert len({row.count("|") for row in rows}) == 1
    assert any("times as fast" in row for row in rows)
    assert "nan" not in done.stdout.replace("granule", "")


@pytest.mark.slow
def test_a_smoke_run_keeps_no_results(
    smoke: tuple[subprocess.CompletedProcess[str], bool],
) -> None:
    _, same = smoke
    assert same
