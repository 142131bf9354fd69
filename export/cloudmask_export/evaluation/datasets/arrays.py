"""CloudSEN12 as plain arrays, the way it is on Hugging Face (csaybar/CloudSEN12-high).

Each of the folders `train`, `val` and `test` holds for each band `L1C_B1.dat` to `L1C_B12.dat`,
(patch, 512, 512) int16, reflectance x 10000, `LABEL_manual_hq.dat`, (patch, 512, 512) int8, and
`metadata.csv` with a row for each patch in the same order (`roi_id`, `s2_id_gee`). No header: the
number of patches follows from the size of the file. Images are of 2018 to 2020, before baseline
04.00: there is no offset. Patches of 509 x 509 are padded with zeros; on which sides, sources
disagree, so every pixel that is 0 in all bands counts as padding and has no label.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import PRESETS
from cloudmask_export.evaluation.datasets.layout import MSI, Layout, checked, found, image_of
from cloudmask_export.evaluation.datasets.rasters import unpadded
from cloudmask_export.evaluation.labels import CLOUDSEN12
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.samples import Image

EDGE = 512
"""Pixels of a padded patch."""

LABELS = "LABEL_manual_hq.dat"
METADATA = "metadata.csv"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ArrayPatch:
    """One patch of the arrays; see `Sample`."""

    folder: Path
    """The split's."""
    index: int
    """Place of it in the arrays."""
    group: str
    """Its region of interest (`roi_id`)."""
    name: str

    @property
    def path(self) -> Path:
        """The labels' file, which all patches of a split share."""
        return self.folder / LABELS

    def shape(self) -> tuple[int, int]:
        """Rows and columns, padding and all."""
        return EDGE, EDGE

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: The numbers are not as the layout says.
        """
        return image_of(self._numbers(), PRESETS["dn"], path=_band(self.folder, "B02"))

    def truth(self) -> Truth:
        """Read the labels; see `Sample`.

        Raises:
            EvaluationError: They have codes that CloudSEN12 does not have.
        """
        codes = np.array(_patches(self.path, np.int8)[self.index])
        return Truth(unpadded(checked(codes, CLOUDSEN12, self.path), self._numbers()))

    def _numbers(self) -> NDArray[np.int16]:
        """Read all bands (band, y, x)."""
        bands = [_patches(_band(self.folder, band), np.int16)[self.index] for band in MSI]
        return np.stack(bands)


def _patches(path: Path, dtype: type[np.integer]) -> NDArray[Any]:
    """Map a file (patch, y, x); nothing is read yet.

    Raises:
        EvaluationError: It cannot be, or its size is not that of whole patches.
    """
    try:
        flat = np.memmap(path, dtype, mode="r")
        return flat.reshape(-1, EDGE, EDGE)
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"{path}: cannot be read as patches of {EDGE} x {EDGE} {np.dtype(dtype)} ({error}); "
            "fetch it again"
        ) from error


def _band(folder: Path, band: str) -> Path:
    return folder / f"L1C_B{band.removeprefix('B').lstrip('0')}.dat"


def _split(folder: Path) -> list[ArrayPatch]:
    """List the patches of a split.

    Raises:
        EvaluationError: A file is missing, or is not of as many patches as there are rows.
    """
    rows = _rows(folder / METADATA)
    sizes = {folder / LABELS: 1} | {_band(folder, band): 2 for band in MSI}
    for file, depth in sizes.items():
        _check(file, len(rows), depth)
    names = [row.get("s2_id_gee") or str(place) for place, row in enumerate(rows)]
    return [
        ArrayPatch(folder, place, row["roi_id"], f"{folder.name}/{row['roi_id']}/{name}")
        for place, (row, name) in enumerate(zip(rows, names, strict=True))
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        raise EvaluationError(
            f"{path}: is not there, but says which patches are of one place; fetch it too"
        )
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "roi_id" not in rows[0]:
        raise EvaluationError(f"{path}: has no rows with a column roi_id; fetch it again")
    return rows


def _check(file: Path, patches: int, depth: int) -> None:
    """Refuse a file that is not there, or is not of so many patches."""
    if not file.exists():
        raise EvaluationError(f"{file}: is not there; the arrays of all 13 bands are needed")
    has, wanted = file.stat().st_size, patches * EDGE * EDGE * depth
    if has != wanted:
        raise EvaluationError(
            f"{file}: has {has} bytes, but {METADATA} has {patches} rows, which makes {wanted} "
            f"({patches} x {EDGE} x {EDGE} x {depth}); fetch it again"
        )


def _folders(path: Path) -> list[Path]:
    return [
        label.parent for label in found(path, (LABELS, *(f"{each}/{LABELS}" for each in SPLITS)))
    ]


LAYOUT = Layout(
    name="cloudsen12-arrays",
    title="CloudSEN12, high-quality labels (arrays)",
    licence="CC BY-NC 4.0 (its data card)",
    source="https://huggingface.co/datasets/csaybar/CloudSEN12-high",
    folder=f"L1C_B1.dat to L1C_B12.dat, {LABELS} and {METADATA}, or folders {', '.join(SPLITS)} "
    "with them",
    unverified="That labels are int8 follows from their size and from others who read them.",
    scheme=CLOUDSEN12,
    human=True,
    one_size=True,
    fits=lambda path: path.is_dir() and bool(_folders(path)),
    samples=lambda path: [each for folder in _folders(path) for each in _split(folder)],
)
