"""The log of a training."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from cloudmask.local.scores import Score
from cloudmask_export.errors import ExportError
from cloudmask_export.training.log import COLUMNS, Row, add, begin

if TYPE_CHECKING:
    from pathlib import Path

SCORES = {"cloud": Score(6, 8, 12), "shadow": Score(0, 0, 0)}


def row(stage: int, step: int, *, scored: bool = True) -> Row:
    return Row(stage, 4, step, 0.5, 1e-3, SCORES if scored else {}, 2.25)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_has_its_values_under_their_names(tmp_path: Path) -> None:
    begin(tmp_path / "log.csv")
    add(tmp_path / "log.csv", row(2, 40))
    (found,) = read(tmp_path / "log.csv")
    assert tuple(found) == COLUMNS
    assert (found["stage"], found["step"], float(found["loss"])) == ("2", "40", 0.5)
    scores = [float(found[f"cloud_{name}"]) for name in ("precision", "recall", "f1")]
    assert scores == [0.75, 0.5, 0.6]


def test_without_scores_their_cells_are_empty(tmp_path: Path) -> None:
    begin(tmp_path / "log.csv")
    add(tmp_path / "log.csv", row(1, 20, scored=False))
    (found,) = read(tmp_path / "log.csv")
    assert (found["cloud_f1"], found["shadow_recall"], found["seconds"]) == ("", "", "2.2")


def test_going_on_drops_the_rows_of_steps_that_are_done_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    begin(path)
    for stage, step in ((1, 20), (1, 40), (2, 20), (2, 40)):
        add(path, row(stage, step))
    begin(path, 2, 20)
    assert [(each["stage"], each["step"]) for each in read(path)] == [
        ("1", "20"), ("1", "40"), ("2", "20"),
    ]  # fmt: skip


def test_a_row_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    begin(path)
    add(path, row(1, 20))
    with path.open("a") as file:
        file.write("1,4,40,0.3")
    begin(path, 2, 0)
    assert [each["step"] for each in read(path)] == ["20"]


def test_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ExportError, match=r"log\.csv: is no log of a training"):
        begin(path)
    assert path.read_text() == "a,b\n1,2\n"
