"""The examples run."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_without_a_warning(example: Path, tmp_path: Path) -> None:
    for package in ("ukis_csmask", "openeo", "openeo_pg_parser_networkx"):
        pytest.importorskip(package, reason="examples need the extras ukis and openeo-local")
    words = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_what_stands_in_it(notebook: Path, tmp_path: Path) -> None:
    for package in ("ukis_csmask", "openeo_processes_dask", "matplotlib"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    stored = json.loads(notebook.read_text("utf-8"))
    words = [sys.executable, "-W", "ignore", "-c", EXECUTE, str(notebook)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = json.loads(done.stdout)
    assert texts(executed) == texts(stored)
    assert pictures(executed) == pictures(stored) > 0


EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
NotebookClient(book, timeout=280, kernel_name="python3").execute()
print(nbformat.writes(book))
"""


def outputs(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for cell in book["cells"] for found in cell.get("outputs", [])]


def texts(book: dict[str, Any]) -> list[str]:
    """What a reader is shown as text, figures left out."""
    shown = [found.get("data", {}) for found in outputs(book)]
    return ["".join(data["text/plain"]) for data in shown if set(data) == {"text/plain"}]


def pictures(book: dict[str, Any]) -> int:
    return sum("image/png" in found.get("data", {}) for found in outputs(book))


def test_every_example_is_in_the_list() -> None:
    listed = (FOLDER / "README.md").read_text("utf-8")
    assert [path.name for path in [*EXAMPLES, *NOTEBOOKS] if path.name not in listed] == []
