"""The examples run, and the notebooks show what their cells give."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from base64 import b64decode
from importlib.util import find_spec
from inspect import signature
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudmask.classes import CLASSES, NO_DATA_CLASS

FOLDER = Path(__file__).parents[1] / "examples"
MAKE = FOLDER / "make.py"
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {MAKE})
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400_000
"""Bytes of a notebook."""
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?")
OF_A_MACHINE = {
    "a folder": r"(?<![\w.:/])/(?:home|root|tmp|usr|work|opt|var|mnt|Users)/|\b[A-Z]:\\",
    "an address of memory": r"\b0x[0-9a-f]{6,}",
    "an address of the network": r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\blocalhost\b",
    "a token": r"\beyJ[\w-]{10,}|\bBearer\s|\b(?:gh[pos]|glpat|hf)_\w{10,}|AKIA[0-9A-Z]{12,}",
    "a secret": r"(?i)(?:secret|password|token)\s*[=:]\s*['\"][^'\"]+",
}

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_without_a_warning(example: Path, tmp_path: Path) -> None:
    for package in ("ukis_csmask", "openeo", "openeo_pg_parser_networkx"):
        pytest.importorskip(package, reason="examples need the extras ukis and openeo-local")
    words = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs_and_gives_what_stands_in_it(notebook: Path, tmp_path: Path) -> None:
    for package in ("openeo_processes_dask", "matplotlib", "distributed", "onnx", "nbclient"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    words = [sys.executable, "-W", "ignore", str(MAKE), notebook.name, "--output", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    stored, executed = code_cells(notebook), code_cells(tmp_path / notebook.name)
    assert len(stored) == len(executed)
    for before, now in zip(stored, executed, strict=True):
        assert now["source"] == before["source"]
        assert kinds(now) == kinds(before), source(now)
        if not varies(now):
            assert "stderr" not in names(now), text(now)
            assert difference(text(before), text(now)) is None, source(now)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ("49% clear of 100%", "50% clear of 100%", None),
        ("49% clear of 100%", "61% clear of 100%", "49 became 61"),
        ("['mask', 'class']", "['class', 'mask']", "['mask', 'class'] became ['class', 'mask']"),
        ("probabilities within 5e-07", "probabilities within 4e-07", None),
        ("B04 at 10 m", "B08 at 10 m", "B04 at # m became B08 at # m"),
        ("one 1", "one 1 2", "one # became one # #"),
    ],
)
def test_outputs_are_alike_if_their_words_are_and_their_numbers_nearly(
    before: str, now: str, found: str | None
) -> None:
    assert difference(before, now) == found


@each_notebook
def test_a_stored_notebook_was_run_from_top_to_bottom(notebook: Path) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert {name for cell in cells for name in names(cell)} <= {"stdout", "result", "picture"}


@each_notebook
def test_a_cell_that_shows_something_has_it_stored(notebook: Path) -> None:
    silent = [
        source(cell) for cell in code_cells(notebook) if shows(source(cell)) and not kinds(cell)
    ]
    assert silent == []


@each_notebook
def test_a_stored_notebook_tells_nothing_of_a_machine(notebook: Path) -> None:
    said = "\n".join(source(cell) + "\n" + text(cell) for cell in read(notebook)["cells"])
    found = {what: re.findall(rule, said) for what, rule in OF_A_MACHINE.items()}
    assert {what: hits for what, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    "said",
    [
        "/root/x", "in '/tmp/x'", "C:\\Users", "<Cube at 0x7fd008364350>", "tcp://127.0.0.1:87",
        "eyJhbGciOiJSUzI1NiJ9", "Bearer x", "client_secret='x'",
    ],
)  # fmt: skip
def test_what_tells_of_a_machine_would_be_found(said: str) -> None:
    assert any(re.search(rule, said) for rule in OF_A_MACHINE.values())


@each_notebook
def test_a_stored_notebook_is_small_and_of_no_kernel_of_anybodys(notebook: Path) -> None:
    assert notebook.stat().st_size < LARGEST
    book = read(notebook)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert book["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    assert [cell["id"] for cell in book["cells"]] == [
        f"cell-{number:02}" for number in range(len(book["cells"]))
    ]
    assert all(cell["metadata"] in ({}, {"tags": ["varies"]}) for cell in book["cells"])


@each_notebook
def test_a_notebook_begins_with_a_title_and_what_to_install(notebook: Path) -> None:
    first = read(notebook)["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert "pip install" in source(first)


@each_notebook
def test_the_pictures_of_a_notebook_show_something(notebook: Path) -> None:
    for picture in pictures(notebook):
        assert max(picture.shape) <= 1100
        assert picture.std(axis=(0, 1)).min() > 15
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    "name", ["local_connection", "time_series", "cluster", "bring_your_weights"]
)
def test_a_picture_of_classes_has_their_colours(name: str) -> None:
    first = pictures(FOLDER / f"{name}.ipynb")[0].astype(int)
    for each in (*CLASSES, NO_DATA_CLASS):
        distance = np.abs(first - each.colour).max(axis=-1)
        assert (distance <= 4).sum() > 50, each.title


def test_the_lines_that_submit_a_job_fit_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    openeo = pytest.importorskip("openeo", reason="the client is in the extra openeo")
    done: list[str] = []

    class Backend:
        """Stands for a connection, a job and its results."""

        def authenticate_oidc(self) -> Backend:
            done.append("log in")
            return self

        def create_job(self, *graph: Any, **others: Any) -> Backend:
            signature(openeo.Connection.create_job).bind(self, *graph, **others)
            done.extend([*graph[0].flat_graph(), *others["job_options"]])
            return self

        def start_and_wait(self) -> Backend:
            return self

        def get_results(self) -> Backend:
            return self

        def download_files(self, folder: str) -> None:
            done.append(folder)

    for method in ("start_and_wait", "get_results"):
        assert callable(getattr(openeo.BatchJob, method))
    monkeypatch.setattr(openeo, "connect", lambda _address: Backend())
    cells = [source(cell) for cell in code_cells(FOLDER / "openeo_job_on_cdse.ipynb")]
    assert cells[-1].startswith("submit = False\n")
    cells[-1] = cells[-1].replace("submit = False", "submit = True")
    exec(compile("\n".join(cells), "openeo_job_on_cdse", "exec"), {})  # noqa: S102
    assert done[0] == "log in"
    assert {"saveresult1", "udf-dependency-archives"} <= set(done)
    assert done[-1] == "cloud-free-june"


def test_every_example_is_in_the_list() -> None:
    listed = (FOLDER / "README.md").read_text("utf-8")
    missing = [path.name for path in [*EXAMPLES, *NOTEBOOKS] if f"]({path.name})" not in listed]
    assert missing == []


def test_everything_in_the_list_is_there() -> None:
    listed = (FOLDER / "README.md").read_text("utf-8")
    names = re.findall(r"\]\(([\w./]+)\)", listed)
    assert names
    assert [name for name in names if not (FOLDER / name).exists()] == []


def read(notebook: Path) -> dict[str, Any]:
    book: dict[str, Any] = json.loads(notebook.read_text("utf-8"))
    return book


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(notebook)["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def varies(cell: dict[str, Any]) -> bool:
    """Tell whether what a cell says is another with each run, by chance or the clock."""
    return "varies" in cell["metadata"].get("tags", [])


def names(cell: dict[str, Any]) -> list[str]:
    """Name what each output is: a stream, a result, a picture, an error."""
    return [
        output.get("name")
        or ("picture" if "image/png" in output.get("data", {}) else None)
        or ("result" if "data" in output else output["output_type"])
        for output in cell["outputs"]
    ]


def kinds(cell: dict[str, Any]) -> set[str]:
    """Name the kinds of outputs that a reader is meant to see."""
    return set(names(cell)) - {"stderr"}


def text(cell: dict[str, Any]) -> str:
    """Give all text that a cell shows."""
    shown = [
        found.get("text") or found.get("data", {}).get("text/plain", "")
        for found in cell.get("outputs", [])
    ]
    return "".join("".join(each) for each in shown)


def difference(before: str, now: str) -> str | None:
    """Say what differs: any word, or a number by more than a twentieth and two hundredths."""
    old, new = NUMBER.sub("#", before), NUMBER.sub("#", now)
    if old != new:
        return f"{old} became {new}"
    for one, other in zip(NUMBER.findall(before), NUMBER.findall(now), strict=True):
        if not math.isclose(float(one), float(other), rel_tol=0.05, abs_tol=0.02):
            return f"{one} became {other}"
    return None


def shows(code: str) -> bool:
    """Tell whether a reader expects something under a cell."""
    if code.startswith("%%"):
        return "--quiet" not in code
    if "print(" in code or "plt.subplots(" in code:
        return True
    last = ast.parse(code).body[-1]
    return isinstance(last, ast.Expr) and not isinstance(last.value, ast.Call)


def pictures(notebook: Path) -> list[Any]:
    """Give the pictures of a notebook, each (y, x, 3), 0..255."""
    from PIL import Image

    stored = [
        found["data"]["image/png"]
        for cell in code_cells(notebook)
        for found in cell["outputs"]
        if "image/png" in found.get("data", {})
    ]
    return [
        np.asarray(Image.open(BytesIO(b64decode("".join(each)))).convert("RGB")) for each in stored
    ]
