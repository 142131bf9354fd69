from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")
typer = pytest.importorskip("typer")

from typer.testing import CliRunner  # noqa: E402

from cloudmask.errors import OptionError  # noqa: E402
from cloudmask.local.compare import command  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS = {
    "TIFFTAG_SOFTWARE": "openeo-cloudmask 0.1.0",
    "PERCENT_THICK_CLOUD": "1.0",
    "PERCENT_THIN_CLOUD": "1.0",
}


def run(*words: object) -> Any:
    app = typer.Typer()
    app.command(epilog=command.EXAMPLES)(command.compare)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def masks(raster: Callable[..., Path]) -> tuple[Path, Path]:
    ours = raster(
        "mask.tif",
        np.array([[0, 0, 0, 0, 1, 2, 3, 255]], np.uint8),
        tags=OURS,
        descriptions=["class"],
    )
    return ours, raster("x_SCL_20m.tif", np.array([[4, 5, 6, 8, 9, 10, 3, 4]], np.uint8))


def test_masks_that_say_what_they_are_need_no_option(masks: tuple[Path, Path]) -> None:
    done = run(*masks)
    assert done.exit_code == 0
    assert "mask.tif (cloudmask: ours, four classes)" in done.output
    assert "compared as: clear, thick cloud, thin cloud, cloud shadow" in done.output
    assert "pixels: 7; left out: 1 a has no data" in done.output
    assert "overall accuracy 85.71 %, balanced 93.75 % (mean recall), kappa 0.788" in done.output


def test_it_says_which_mask_is_the_truth(masks: tuple[Path, Path]) -> None:
    assert "scores of b, a as truth" in run(*masks).output


def test_counts_and_percent_of_rows_are_printed(masks: tuple[Path, Path]) -> None:
    lines = run(*masks).output.splitlines()
    (row,) = [line for line in lines if "(75.00 %)" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "clear", "3 (75.00 %)", "1 (25.00 %)", "0 (0.00 %)", "0 (0.00 %)", "4",
    ]  # fmt: skip


def test_fewer_classes_can_be_asked_for(masks: tuple[Path, Path]) -> None:
    done = run(*masks, "--classes", "cloud")
    assert done.exit_code == 0
    assert "compared as: no cloud, cloud" in done.output


def test_a_class_that_does_not_occur_has_no_score(raster: Callable[..., Path]) -> None:
    paths = (
        raster("a.tif", np.array([[0, 1]], np.uint8)),
        raster("b.tif", np.array([[0, 0]], np.uint8)),
    )
    lines = run(*paths, "--a", "ukis-csm", "--b", "ukis-csm").output.splitlines()
    shares = [line.strip("│").split("│") for line in lines if line.count("│") == 6]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in shares}
    assert cells["cloud shadow"] == ["-", "-", "-", "-"]
    assert cells["cloud"] == ["-", "0.00 %", "0.00 %", "0.00 %"]


def test_the_numbers_are_written_as_json(masks: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(*masks, "--json", tmp_path / "scores.json")
    assert done.exit_code == 0
    found = json.loads((tmp_path / "scores.json").read_text("utf-8"))
    assert found["confusion"][0] == [3, 1, 0, 0]


def test_the_picture_is_written(masks: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run(*masks, "-o", tmp_path / "look.png").exit_code == 0
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_what_a_reader_ought_to_know_is_said_once(raster: Callable[..., Path]) -> None:
    codes = np.array([[0, 1, 2, 3]], np.uint8)
    paths = raster("a.tif", codes), raster("b.tif", codes)
    output = run(*paths, "--a", "clouds2mask", "--b", "clouds2mask").output
    assert output.count("note: CloudS2Mask writes clear where the scene has no data") == 1


def test_a_mask_that_does_not_say_what_it_is_ends_with_the_list(
    raster: Callable[..., Path], masks: tuple[Path, Path]
) -> None:
    done = run(masks[0], raster("b.tif", np.zeros((1, 8), np.uint8)))
    assert isinstance(done.exception, OptionError)
    assert "say it with --b: cloudmask, " in str(done.exception)


def test_help_names_every_scheme() -> None:
    from cloudmask.local.compare.schemes import SCHEMES

    output = "".join(run("--help").output.replace("│", " ").split())
    assert ",".join(SCHEMES) in output
