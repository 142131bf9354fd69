"""Bare virtual environments to try a built package in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.checks import CheckError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Nothing of this shell's may reach what is tried: neither paths nor networks of the user.
_STRIPPED = ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "CLOUDMASK_MODELS", "VIRTUAL_ENV")


def run(
    words: Sequence[str | Path], cwd: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, and wait; whatever its exit status."""
    clean = {key: value for key, value in os.environ.items() if key not in _STRIPPED}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd, env={**clean, **(more or {})}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def must(words: Sequence[str | Path], cwd: Path) -> str:
    """Run a command that has to succeed, and return what it said.

    Raises:
        CheckError: It did not.
    """
    done = run(words, cwd)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        shown = " ".join(Path(word).name for word in map(str, words[:4]))
        raise CheckError(f"{shown} ... exits with {done.returncode}:\n{said[-3000:]}")
    return done.stdout


class Venv:
    """A virtual environment in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        must([sys.executable, "-m", "venv", folder], folder.parent)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.command("python")

    def command(self, name: str) -> Path:
        """Find one of its commands."""
        return self.folder / "bin" / name

    def install(self, *what: str | Path) -> None:
        """Install with pip, whose own options are taken, too.

        Raises:
            CheckError: pip cannot.
        """
        quiet = ("--disable-pip-version-check", "--quiet", "install")
        must([self.python, "-m", "pip", *quiet, *what], self.folder)

    def packages(self) -> dict[str, str]:
        """List what is installed, name to version."""
        code = (
            "import importlib.metadata as m\n"
            "for each in m.distributions(): print(each.name.lower(), each.version)"
        )
        lines = must([self.python, "-I", "-c", code], self.folder).splitlines()
        return dict(sorted(line.split() for line in lines))
