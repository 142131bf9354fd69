"""Take each protection away and see that the test which shows it fails: `make unprotected`.

docs/reliability.md says what holds when things go wrong, and which test shows it. A test that
passes without the protection shows nothing. tools/unprotected.toml names for each test what
protects: a text in a file, and what to put in its place. That is done to a copy of the sources,
where the test must then fail.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".toml")
COPIED = ("udf", "openeo_process", "export", "tests", "fuzz", "tools", "pyproject.toml")
SOURCES = ("udf", "openeo_process", "export")
PASSED, FAILED = 0, 1
"""Of pytest's statuses; all others mean that the test did not run."""
SECONDS = 600


@dataclass(frozen=True, slots=True)
class Protection:
    """A text in a file without which a test must fail."""

    test: str
    """As pytest names it, from the root of the project."""
    file: str
    old: str
    new: str
    hangs: bool = False
    """Whether the test waits for ever without it, and fails for that."""

    def __post_init__(self) -> None:
        """Refuse a text that is not there, or not there alone."""
        count = (ROOT / self.file).read_text("utf-8").count(self.old)
        if count != 1:
            raise ValueError(
                f"{self.file}: {self.old!r} is there {count} times; it must be there once, so "
                f"that it is known what protects {self.test}"
            )


def protections(path: Path = LIST) -> list[Protection]:
    """Read the list."""
    return [Protection(**each) for each in tomllib.loads(path.read_text("utf-8"))["protection"]]


def outcome(each: Protection, folder: Path) -> tuple[bool, str]:
    """Take a protection away in a copy of the project, and run its test there.

    Returns:
        Whether it failed as it must, and what was seen.
    """
    place = folder / each.file
    kept = place.read_text("utf-8")
    place.write_text(kept.replace(each.old, each.new), "utf-8")
    try:
        status, said = _tested(each, folder)
        if "pytest-timeout" in said and not each.hangs:
            status, said = -1, "it took too long"
    finally:
        place.write_text(kept, "utf-8")
    if status == FAILED:
        return True, _reason(said)
    return False, "it passed" if status == PASSED else f"it did not run: {said[-300:]}"


def _tested(each: Protection, folder: Path) -> tuple[int, str]:
    paths = os.pathsep.join(str(folder / source) for source in SOURCES)
    words = ("-q", "-x", "--tb=short", "-p", "no:cacheprovider", "-o")
    patience = f"timeout={60 if each.hangs else SECONDS - 100}"
    command = [sys.executable, "-m", "pytest", *words, patience, each.test]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, f"it was not done after {SECONDS} s"
    skipped = done.returncode == PASSED and " passed" not in done.stdout
    return -1 if skipped else done.returncode, done.stdout + done.stderr


def _reason(said: str) -> str:
    found = re.search(r"^E +(.+)", said, re.MULTILINE)
    return found[1][:90] if found else said.strip().splitlines()[-1][:90]


def _copied(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, folder / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, folder / name)
    if (ROOT / ".venv").is_dir():  # back-ends of tests are started from there
        (folder / ".venv").symlink_to(ROOT / ".venv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do so for all of them, or for those whose test has a word in its name; 0 if all failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("words", nargs="*", help="only tests with one of these in their names")
    words = parser.parse_args(arguments).words
    chosen = [
        each for each in protections()
        if not words or any(word in each.test for word in words)
    ]  # fmt: skip
    bad = 0
    with tempfile.TemporaryDirectory(prefix="unprotected") as name:
        _copied(Path(name))
        for each in chosen:
            good, said = outcome(each, Path(name))
            bad += not good
            print(f"{'fails ' if good else 'PASSES'} {each.test}\n       {said}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} tests fail without what protects")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main())
