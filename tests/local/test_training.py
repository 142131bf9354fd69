"""`cloudmask train` as a user runs it where no torch is; where it is, see tests/export/torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("rasterio")
pytest.importorskip("typer")

from PIL import Image

from cloudmask.classes import CLASSES, CLEAR, THICK
from cloudmask.local.cli import main
from cloudmask_export.training import cache
from cloudmask_export.training.bank import Bank

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.training.recipe import Recipe

    Command = Callable[..., int]

TINY = Path(__file__).parents[2] / "examples" / "training" / "tiny.toml"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process: words -> status."""

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["cloudmask", "train", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return run


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have images ready at once: all clear but the first, which is thick cloud."""

    def build(recipe: Recipe, tell: Any) -> tuple[Bank, Bank]:
        count = recipe.sources.simulated
        sets = np.full((count, 256, 256), 1, np.uint8)
        sets[0] = 2
        images = np.full((count, 13, 256, 256), 1_000, np.uint16)
        images[:, :, ::2] = 2_000
        whole = Bank(images, sets, np.ones(count, np.uint8), np.ones(count, np.float32))
        return whole, Bank(*(getattr(whole, part)[:0] for part in cache.PARTS))

    monkeypatch.setattr(cache, "build", build)


@pytest.mark.usefixtures("bank")
def test_a_dry_run_counts_the_images_and_draws_some(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(TINY, "--dry-run", "-o", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "to train on: 8 images (8 simulated)" in said.out
    assert "clear 87.5 %, thick cloud 12.5 %, thin cloud 0.0 %" in said.out
    assert "held out: 0 images" in said.out
    with Image.open(tmp_path / "out" / "examples.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(2**24) or []}
    assert {each.colour for each in CLASSES if each.code in (CLEAR, THICK)} <= colours
    assert sorted(path.name[:5] for path in (tmp_path / "out").iterdir()) == ["bank-", "examp"]


@pytest.mark.usefixtures("bank")
def test_quiet_says_nothing(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(TINY, "--dry-run", "-q", "-o", tmp_path / "out") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is here")
def test_without_torch_it_says_what_to_install(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(TINY, "-o", tmp_path / "out") == 1
    assert "pip install 'openeo-cloudmask[local,export,train]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bad_config_is_refused_in_one_line_before_anything_is_made(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TINY.read_text("utf-8").replace("batch =", "bach ="), "utf-8")
    assert command(path, "-o", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cloudmask: {path}: bach: there is no such key; did you mean batch?")
    assert not (tmp_path / "out").exists()
