"""Test the built wheel on the oldest, the newest and VITO's dependencies: `make compat`.

Each set is a constraint file in tools/constraints/ and gets a bare virtual environment with the
wheel and none of its extras. Tests run in a folder of their own, so that the source tree cannot be
imported by mistake, with deprecations as errors. What ran and what was skipped, and why, is
counted: a skip that is not foreseen is a failure, and so are fewer tests than there must be.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tools.checks import CheckError, Checks
from tools.venv import Venv, must, run

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "tools" / "constraints"

CORE = (
    "accessor", "augment", "bands", "batches", "blend", "chunk", "chunk_plan", "classes",
    "context", "cube", "default", "ensemble", "families", "fill", "guarantees", "memory", "model",
    "registry", "runtime", "scene", "selftest", "simulator", "spec", "uses", "windows", "zipped",
)  # fmt: skip
"""Tests that need no more than the core: tests/test_NAME.py."""
ELSEWHERE = {
    "audit": "of tools/, which is in no wheel",
    "accuracy_study": "of benchmarks/, which is in no wheel",
    "benchmarks": "of benchmarks/, which is in no wheel",
    "docs": "of the documentation's pages, with all extras",
    "examples": "of the notebooks, with all extras",
    "release": "of tools/, which is in no wheel",
    "security": "of the source tree",
    "site": "of the documentation's pages",
    "stability": "imports the package with all extras",
    "strategies": "needs the extra `testing`",
}
"""The other tests at the top, and why they are not among those."""
FOLDERS = ("engines",)
"""Folders of tests that need no more than the core, and onnx."""

EXTRAS = (
    "rasterio", "dask", "distributed", "torch", "openeo", "matplotlib", "typer", "rich", "jinja2",
    "zarr", "netCDF4", "rioxarray", "odc", "pystac", "openvino", "ukis_csmask", "pooch",
)  # fmt: skip
"""Modules that must not be there, and without which a test may be skipped."""
FLOOR = 1300
"""Tests that must have passed in each set."""
FORESEEN = re.compile(
    r"dask|distributed|rasterio|openvino|ukis|stac_model|stac-model|pystac|test data are not here"
)
"""Reasons for which a test may be skipped here."""

PROBE = f"""
import importlib.util, sys
import cloudmask
assert cloudmask.__file__.startswith(sys.prefix), cloudmask.__file__
there = [name for name in {EXTRAS!r} if importlib.util.find_spec(name)]
assert not there, there
print(cloudmask.__version__)
"""
INI = """[pytest]
addopts = --import-mode=importlib --strict-markers -p without_dask
timeout = 300
filterwarnings =
    error::DeprecationWarning
    error::PendingDeprecationWarning
    error::FutureWarning
markers =
    slow: takes more than about ten seconds
    nightly: takes up to minutes
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How tests ended."""

    passed: int
    failed: tuple[str, ...]
    """Their names."""
    skipped: Counter[str]
    """By reason."""


def read_count(path: Path) -> Count:
    """Read pytest's JUnit file."""
    failed, skipped, passed = [], Counter[str](), 0
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - pytest has just written it
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif skip is not None:
            skipped[_reason(skip)] += 1
        else:
            passed += 1
    return Count(passed, tuple(failed), skipped)


def _reason(skip: ET.Element) -> str:
    """Say why a test was skipped; of a whole module, whose file pytest counts as one, too."""
    message = skip.get("message", "")
    whole = re.search(r"Skipped: (.*)[\"']\)\s*$", skip.text or "", re.DOTALL)
    return whole[1] if whole and message == "collection skipped" else message


def judge(count: Count, floor: int = FLOOR) -> str:
    """Say how many ran.

    Raises:
        CheckError: A test failed, was skipped for a reason not foreseen, or too few ran.
    """
    strange = [reason for reason in count.skipped if not FORESEEN.search(reason)]
    if count.failed:
        raise CheckError(f"{len(count.failed)} tests failed: {', '.join(count.failed[:20])}")
    if strange:
        raise CheckError(f"skipped for a reason not foreseen: {strange}; see FORESEEN")
    if count.passed < floor:
        raise CheckError(f"only {count.passed} tests ran, at least {floor} must")
    reasons = ", ".join(f"{number} x {why}" for why, number in count.skipped.most_common())
    skipped = count.skipped.total()
    return f"{count.passed} passed, {skipped} skipped" + (f"\n   {reasons}" if reasons else "")


def lay_out(folder: Path) -> None:
    """Copy the tests to where nothing but the installed package can be imported."""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    for name in ("conftest.py", *(f"test_{name}.py" for name in CORE)):
        shutil.copy(ROOT / "tests" / name, tests)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / "tests" / name, tests / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "tools" / "without_dask.py", folder)
    (folder / "pytest.ini").write_text(INI, "utf-8")


def install(venv: Venv, wheel: Path, name: str, *, pre: bool = False) -> str:
    """Install the wheel and what its tests need; tell what was resolved."""
    held = ["--constraint", str(CONSTRAINTS / f"{name}.txt"), *(["--pre"] if pre else [])]
    venv.install(wheel, "pytest", "pytest-timeout", "hypothesis", "onnx", *held)
    found = venv.packages()
    shown = ("numpy", "scipy", "xarray", "onnxruntime", "pandas", "onnx")
    return ", ".join(f"{each} {found[each]}" for each in shown)


def test(venv: Venv, folder: Path) -> str:
    """Run the tests; see `judge`."""
    lay_out(folder)
    report = folder / "report.xml"
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "tests"]
    done = run([venv.python, *words, f"--junit-xml={report}"], folder, {"CI": "true"})
    if not report.is_file():
        raise CheckError(f"pytest ended early:\n{(done.stdout + done.stderr)[-3000:]}")
    try:
        return judge(read_count(report))
    except CheckError as error:
        raise CheckError(f"{error}\n{done.stdout[-6000:]}") from None


def build(folder: Path) -> Path:
    """Build the wheel."""
    must([sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], ROOT)
    return next(folder.glob("*.whl"))


def sets() -> list[str]:
    """Name the sets of dependencies."""
    return sorted(path.stem for path in CONSTRAINTS.glob("*.txt"))


def main(given: Sequence[str] | None = None) -> int:
    """Try each set; 1 if one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", action="append", choices=sets(), help="default: all of them")
    parser.add_argument("--wheel", type=Path, help="default: built from the source tree")
    parser.add_argument("--pre", action="store_true", help="pre-releases, too, in `newest`")
    order = parser.parse_args(given)
    checks = Checks(tell=lambda line: print(line, flush=True))
    with tempfile.TemporaryDirectory(prefix="compat-") as scratch:
        wheel = order.wheel.resolve() if order.wheel else build(Path(scratch))
        for name in order.set or sets():
            try_set(checks, name, wheel, Path(scratch), pre=order.pre and name == "newest")
    return checks.end()


def try_set(checks: Checks, name: str, wheel: Path, scratch: Path, *, pre: bool) -> None:
    """Install, look, test; the environment is deleted."""
    place = scratch / name
    place.mkdir()
    venv = Venv(place / "venv")
    good = checks.run(f"{name}: installs", lambda: install(venv, wheel, name, pre=pre))
    good = good and checks.run(
        f"{name}: the wheel alone, no extras",
        lambda: must([venv.python, "-c", PROBE], place).strip(),
    )
    if good:
        checks.run(f"{name}: tests", lambda: test(venv, place / "tried"))
    shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
