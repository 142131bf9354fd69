"""A way in which a dataset is laid out, and what every reader of one shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from cloudmask.bands import SENTINEL2, misfit
from cloudmask_export.evaluation.samples import Dataset, EvaluationError, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Literal

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Sample, SampleKind

MSI = tuple(SENTINEL2)
"""All bands, in the order of the instrument."""

MOST_NAMED = 5
"""Codes that a message names."""

_TILE = re.compile(r"(?:^|_)T(\d\d[C-X][A-Z]{2})(?:_|\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the files of a dataset lie, and how they are read."""

    name: str
    """By which it is asked for."""
    title: str
    licence: str
    source: str
    """Page that documents it."""
    folder: str
    """What the folder must look like, in a sentence."""
    unverified: str = ""
    """What no documentation could be found for, and what is taken for granted instead."""
    scheme: Scheme
    kind: SampleKind = "pixels"
    human: bool
    one_size: bool = False
    """Whether all images are of one size."""
    by_name_only: bool = False
    """Whether it is another reading of files that are recognised as a layout already."""
    fits: Callable[[Path], bool]
    """Tell whether a path looks like this; opens no file."""
    samples: Callable[[Path], Sequence[Sample]]
    """List the samples of a path that fits."""

    def open(self, path: Path) -> Dataset:
        """List the samples of a dataset.

        Raises:
            EvaluationError: Files are missing; names the first one.
        """
        samples = self.samples(path)
        if not samples:
            raise EvaluationError(
                f"{path}: has no samples of the layout {self.name}; {self.folder}"
            )
        return Dataset(
            name=self.name,
            title=self.title,
            scheme=self.scheme,
            kind=self.kind,
            human=self.human,
            licence=self.licence,
            source=self.source,
            samples=samples,
        )


@runtime_checkable
class Sized(Protocol):
    """A sample that knows the size of its image without reading its pixels."""

    def shape(self) -> tuple[int, int]:
        """Rows and columns."""


def found(path: Path, patterns: Iterable[str]) -> list[Path]:
    """List the files below a folder that match some patterns, in the order of their names."""
    return sorted({file for pattern in patterns for file in path.glob(pattern)})


def tile_of(name: str) -> str | None:
    """Find the Sentinel-2 tile ("35VLF") in the name of a product or a file."""
    match = _TILE.search(name)
    return match[1] if match else None


def image_of(
    numbers: NDArray[np.generic],
    preset: Preset,
    *,
    path: Path,
    bands: tuple[str, ...] = MSI,
    pixel_size: float = 10.0,
    level: Literal["L1C", "L2A", ""] = "L1C",
) -> Image:
    """Make an image of numbers as stored.

    Args:
        numbers: (band, y, x).
        preset: What they mean. Its no-data values become NaN, in the bands that have them.
        path: The file to name.
        bands: Names along the first axis.
        pixel_size: Metres.
        level: Processing level.

    Raises:
        EvaluationError: The numbers cannot be what the preset says.
    """
    why = misfit(numbers[:, ::4, ::4], preset)
    if why:
        raise EvaluationError(f"{path}: {why.partition(': choose')[0]}; is it of another layout?")
    reflectance = preset.reflectance(numbers)
    for value in preset.nodata:
        reflectance[numbers == value] = np.nan
    reflectance[~np.isfinite(reflectance)] = np.nan
    return Image(reflectance=reflectance, bands=bands, pixel_size=pixel_size, level=level)


def checked(codes: NDArray[Any], scheme: Scheme, path: Path) -> NDArray[np.integer]:
    """Give labels back if they are of a scheme.

    Args:
        codes: Any shape.
        scheme: What they should be of.
        path: The file to name.

    Raises:
        EvaluationError: They are no whole numbers, or not all of them are the scheme's.
    """
    if codes.dtype.kind not in "iu":
        raise EvaluationError(
            f"{path}: the labels are {codes.dtype}; class codes are whole numbers"
        )
    strange = sorted(set(np.unique(codes).tolist()) - set(scheme.codes))
    if strange:
        shown = ", ".join(map(str, strange[:MOST_NAMED])) + ", ..." * (len(strange) > MOST_NAMED)
        raise EvaluationError(
            f"{path}: the labels have the codes {shown}, but {scheme.title} has only "
            f"{', '.join(map(str, sorted(scheme.codes)))}; is it of another layout?"
        )
    return codes


def alike(labels: tuple[int, ...], image: tuple[int, ...], path: Path) -> None:
    """Refuse labels that are not of their image's size.

    Raises:
        EvaluationError: They are not.
    """
    if labels != image:
        raise EvaluationError(
            f"{path}: the labels are of the shape {labels}, their image of {image}; one label for "
            "each pixel is needed"
        )
