"""The Sentinel-2 Cloud Mask Catalogue (Francis et al. 2020, doi:10.5281/zenodo.4172871).

`subscenes/SCENE.npy` is (1022, 1022, 13) float32, reflectance at the top of the atmosphere of all
bands in the order of the instrument (B8A behind B08) at 20 m; `masks/SCENE.npy` is (1022, 1022, 3)
bool, one of CLEAR, CLOUD, CLOUD_SHADOW true; `classification_tags.csv` has a row for each SCENE in
the column `scene`, and `shadows_marked` is 1 for the 424 of 513 whose shadows were drawn. All
products are of 2018, long before baseline 04.00: there is no offset. What no data is, the page
does not say; a pixel that is 0 in all bands is taken for it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import Preset
from cloudmask_export.evaluation.datasets.chips import npy_shape
from cloudmask_export.evaluation.datasets.layout import (
    MSI,
    Layout,
    alike,
    checked,
    image_of,
    tile_of,
)
from cloudmask_export.evaluation.labels import CATALOGUE, CATALOGUE_CLOUD, UNLABELLED
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Image

PIXEL_SIZE = 20.0
TAGS = "classification_tags.csv"
CLASSES = 3
AS_FLOAT = Preset("reflectance", 1.0)


@dataclass(frozen=True, slots=True)
class Subscene:
    """One subscene; see `Sample`."""

    name: str
    path: Path
    """Its subscenes/*.npy."""
    mask: Path
    scheme: Scheme

    @property
    def group(self) -> str:
        """The tile of its product: some were drawn more than once."""
        return tile_of(self.name) or self.name

    def shape(self) -> tuple[int, int]:
        """Read rows and columns off the image's header."""
        return _header(self.path, len(MSI))

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: It cannot be read, or is not as the layout says.
        """
        self.shape()
        numbers = np.moveaxis(_array(self.path), -1, 0)
        numbers = np.where((numbers == 0).all(axis=0), np.float32(np.nan), numbers)
        return image_of(numbers, AS_FLOAT, path=self.path, pixel_size=PIXEL_SIZE)

    def truth(self) -> Truth:
        """Read the labels; see `Sample`. Pixels of no class have the code 255.

        Raises:
            EvaluationError: They cannot be read, or are not as the layout says.
        """
        alike(_header(self.mask, CLASSES), self.shape(), self.mask)
        one_hot = _array(self.mask)
        if one_hot.dtype != np.bool_ or (one_hot.sum(axis=-1) > 1).any():
            raise EvaluationError(
                f"{self.mask}: is {one_hot.dtype} with up to {int(one_hot.sum(axis=-1).max())} "
                "classes for a pixel; bool with at most one is needed"
            )
        codes = np.where(one_hot.any(axis=-1), one_hot.argmax(axis=-1), UNLABELLED)
        return Truth(checked(codes.astype(np.uint8), self.scheme, self.mask))


def _header(path: Path, depth: int) -> tuple[int, int]:
    try:
        with path.open("rb") as stream:
            shape = npy_shape(stream)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read as .npy ({error})") from error
    if len(shape) != 3 or shape[2] != depth:  # noqa: PLR2004
        raise EvaluationError(f"{path}: is of the shape {shape}; (y, x, {depth}) is needed")
    return shape[0], shape[1]


def _array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read as .npy ({error})") from error
    return array


def _tags(path: Path) -> dict[str, str]:
    """Read which subscenes have their shadows marked: name -> "0" or "1".

    Raises:
        EvaluationError: It is no such table.
    """
    table = path / TAGS
    with table.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        missing = {"scene", "shadows_marked"} - set(rows.fieldnames or ())
        if missing:
            raise EvaluationError(
                f"{table}: has no column {', '.join(sorted(missing))}; it is not the catalogue's"
            )
        marked = {row["scene"]: row["shadows_marked"] for row in rows}
    odd = [name for name, value in marked.items() if value not in {"0", "1"}]
    if odd:
        raise EvaluationError(
            f"{table}: shadows_marked of {odd[0]} is {marked[odd[0]]!r}; 0 or 1 is needed"
        )
    return marked


def _subscenes(path: Path, scheme: Scheme, *, all_of_them: bool) -> list[Subscene]:
    """List subscenes.

    Raises:
        EvaluationError: One that the table names is not there.
    """
    marked = _tags(path)
    scenes = sorted(name for name, value in marked.items() if all_of_them or value == "1")
    subscenes = [
        Subscene(name, path / "subscenes" / f"{name}.npy", path / "masks" / f"{name}.npy", scheme)
        for name in scenes
    ]
    for each in subscenes:
        for file in (each.path, each.mask):
            if not file.exists():
                raise EvaluationError(
                    f"{file}: is not there, but {TAGS} names it; unpack subscenes.zip and "
                    "masks.zip, or take the row out"
                )
    return subscenes


def _fits(path: Path) -> bool:
    return all((path / name).exists() for name in ("subscenes", "masks", TAGS))


_FOLDER = f"a folder with subscenes/*.npy, masks/*.npy and {TAGS}"
_LICENCE = "not verified; see its record"
_UNVERIFIED = (
    "Band order and no data (0 in all bands) are not on the dataset's page; the order is that of "
    "others who read it."
)

LAYOUT = Layout(
    name="catalogue",
    title="Sentinel-2 Cloud Mask Catalogue, the 424 subscenes with shadows marked",
    licence=_LICENCE,
    source=CATALOGUE.source,
    folder=_FOLDER,
    unverified=_UNVERIFIED,
    scheme=CATALOGUE,
    human=True,
    one_size=True,
    fits=_fits,
    samples=lambda path: _subscenes(path, CATALOGUE, all_of_them=False),
)
CLOUD_ONLY = Layout(
    name="catalogue-cloud",
    title="Sentinel-2 Cloud Mask Catalogue, all 513 subscenes, cloud or not",
    licence=_LICENCE,
    source=CATALOGUE.source,
    folder=_FOLDER,
    unverified=_UNVERIFIED,
    scheme=CATALOGUE_CLOUD,
    human=True,
    one_size=True,
    by_name_only=True,
    fits=_fits,
    samples=lambda path: _subscenes(path, CATALOGUE_CLOUD, all_of_them=True),
)
