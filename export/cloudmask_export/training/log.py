"""The log of a training: a row of CSV for each checkpoint."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.local.beside import beside
from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cloudmask_export.training.validate import Scores

FILE = "log.csv"
COLUMNS = (
    "stage", "classes", "step", "loss", "rate",
    "cloud_f1", "cloud_precision", "cloud_recall",
    "shadow_f1", "shadow_precision", "shadow_recall", "seconds",
)  # fmt: skip
"""Stage and step count from 1; the loss is the mean since the row before; scores are empty where
nothing is held out; seconds are those of all steps so far."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a checkpoint adds to the log."""

    stage: int
    classes: int
    step: int
    loss: float
    rate: float
    scores: Scores
    seconds: float

    def cells(self) -> list[str]:
        """Write the values, in the order of `COLUMNS`."""
        told = [
            f"{value:.4f}"
            for score in self.scores.values()
            for value in (score.f1, score.precision, score.recall)
        ]
        head = [str(self.stage), str(self.classes), str(self.step)]
        numbers = [f"{self.loss:.6f}", f"{self.rate:.6g}"]
        return [*head, *numbers, *(told or [""] * 6), f"{self.seconds:.1f}"]


def begin(path: Path, stage: int = 0, step: int = 0) -> None:
    """Begin a log, or go on with the rows up to a step of a stage.

    Later rows are of steps that will be done again.

    Raises:
        ExportError: The file is no such log.
    """
    kept = [row for row in _rows(path) if (int(row[0]), int(row[2])) <= (stage, step)]
    with beside(path) as partial:
        partial.write_text(_as_text([COLUMNS, *kept]), "utf-8")


def add(path: Path, row: Row) -> None:
    """Add a row."""
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(_as_text([row.cells()]))


def _rows(path: Path) -> list[list[str]]:
    """Read the rows that are whole; a machine that goes down may leave a part of one."""
    if not path.exists():
        return []
    head, *rows = list(csv.reader(io.StringIO(path.read_text("utf-8")))) or [list(COLUMNS)]
    if tuple(head) != COLUMNS:
        raise ExportError(f"{path}: is no log of a training: move it away")
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdigit()]


def _as_text(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
