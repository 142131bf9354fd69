"""Labelled chips of DLR's ukis-csmask: one .npz each.

An .npz holds `img` (y, x, 6) float32, reflectance at the top of the atmosphere (L1C) of B02, B03,
B04, B08, B11 and B12 at about 30 m, NaN = no data; and `msk` (y, x, 1) uint8. Reflectance carries
no offset. That pixels are 30 m and the level is L1C is what ukis-csmask says of its networks; the
files themselves do not say it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import PRESETS
from cloudmask_export.evaluation.datasets.layout import Layout, alike, checked, image_of
from cloudmask_export.evaluation.labels import CHIPS
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.samples import Image

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
PIXEL_SIZE = 30.0
IMAGE, LABELS = "img", "msk"


@dataclass(frozen=True, slots=True)
class Chip:
    """One .npz; see `Sample`."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.stem

    @property
    def group(self) -> str:
        """Each is a scene of its own."""
        return self.path.stem

    def shape(self) -> tuple[int, int]:
        """Read rows and columns off the image's header."""
        return self._header(IMAGE, len(BANDS))[:2]

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: It cannot be read, or is not as the layout says.
        """
        self._header(IMAGE, len(BANDS))
        numbers = np.moveaxis(self._array(IMAGE), -1, 0)
        return image_of(
            numbers, PRESETS["reflectance"], path=self.path, bands=BANDS, pixel_size=PIXEL_SIZE
        )

    def truth(self) -> Truth:
        """Read the labels; see `Sample`.

        Raises:
            EvaluationError: They cannot be read, or are not as the layout says.
        """
        alike(self._header(LABELS, 1)[:2], self.shape(), self.path)
        return Truth(checked(self._array(LABELS)[..., 0], CHIPS, self.path))

    def _header(self, key: str, depth: int) -> tuple[int, int, int]:
        """Read the shape of an array, which needs its header only.

        Raises:
            EvaluationError: There is none of that name, or it is not (y, x, depth).
        """
        shape = npz_shape(self.path, key)
        if len(shape) != 3 or shape[2] != depth:  # noqa: PLR2004
            raise EvaluationError(
                f"{self.path}: {key} is of the shape {shape}; (y, x, {depth}) is needed"
            )
        return shape[0], shape[1], shape[2]

    def _array(self, key: str) -> NDArray[Any]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                array: NDArray[Any] = file[key]
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise EvaluationError(f"{self.path}: {key} cannot be read ({error})") from error
        return array


def npz_shape(path: Path, key: str) -> tuple[int, ...]:
    """Read the shape of an array in an .npz without its values.

    Raises:
        EvaluationError: There is none of that name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if key not in names:
                raise EvaluationError(
                    f"{path}: has no array {key}, but {', '.join(names) or 'none'}; a chip has "
                    f"{IMAGE} and {LABELS}"
                )
            with archive.open(f"{key}.npy") as stream:
                return npy_shape(stream)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise EvaluationError(f"{path}: cannot be read as .npz ({error})") from error


def npy_shape(stream: Any) -> tuple[int, ...]:
    """Read the shape off the header of an open .npy.

    Raises:
        ValueError: It is no such file.
    """
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(stream)
    else:
        header = np.lib.format.read_array_header_2_0(stream)
    return tuple(header[0])


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.npz")) if path.is_dir() else [path]


LAYOUT = Layout(
    name="chips",
    title="Labelled chips of ukis-csmask (6 bands)",
    licence="Apache-2.0 (the repository that they are in)",
    source=CHIPS.source,
    folder="an .npz file, or a folder of them, with the arrays img (y, x, 6) and msk (y, x, 1)",
    unverified="Pixel size (30 m) and level (L1C) are those of ukis-csmask's networks.",
    scheme=CHIPS,
    human=True,
    fits=lambda path: path.suffix == ".npz" or any(path.glob("*.npz")),
    samples=lambda path: [Chip(each) for each in _files(path)],
)
