"""Labelled data sets, in any layout that evaluation reads, cut into the images of a bank."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.bands import SENTINEL2
from cloudmask_export.errors import ExportError
from cloudmask_export.evaluation.datasets import check, open_dataset
from cloudmask_export.training.sets import UNKNOWN, as_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.samples import Dataset, Image, Sample

BANDS = tuple(SENTINEL2)
EDGE = 256
"""Pixels along an edge of a chip, of `FINE` metres."""
FINE = 10.0


@dataclass(frozen=True, slots=True)
class Chip:
    """One image of a bank and its labels."""

    name: str
    """Of the sample that it was cut from."""
    group: str
    """Scene or region."""
    image: NDArray[np.float32]
    """(13, y, x) reflectance; 0 in bands that the sample lacks and nobody asked for."""
    sets: NDArray[np.uint8]
    """(y, x): sets of classes; all classes where there is no data."""


def chips(
    path: Path, bands: Sequence[str], tell: Callable[[str], None] = lambda _words: None
) -> Iterator[Chip]:
    """Cut the images of a data set into chips, those without any label left out.

    Images of coarser pixels are repeated to 10 m, which averages back to what they were; what is
    smaller than a chip is mirrored, without labels.

    Args:
        path: Of the data set, as `open_dataset` takes it.
        bands: What every image must have.
        tell: Called with a few words before each image.

    Raises:
        ExportError: The layout is unknown, labels are of points only or out of range, images are
            of sizes that differ from their labels', or lack bands; names the first file.
    """
    dataset = open_dataset(path)
    if dataset.kind != "pixels":
        raise ExportError(
            f"{path}: {dataset.name} has labels of single points; training needs labels of images"
        )
    check(dataset)
    for number, sample in enumerate(dataset.samples, start=1):
        tell(f"{dataset.name}, {number} of {len(dataset.samples)}")
        yield from _cut(dataset, sample, bands)


def is_held(chip: Chip, hold_out: Iterable[str]) -> bool:
    """Tell whether a chip is held out: its group or its sample is called so.

    Args:
        chip: Any.
        hold_out: Names of groups or samples; `*` stands for anything, as in "test/*".
    """
    names = (chip.group, chip.name)
    return any(fnmatchcase(name, pattern) for name in names for pattern in hold_out)


def _cut(dataset: Dataset, sample: Sample, bands: Sequence[str]) -> Iterator[Chip]:
    image, codes = sample.image(), sample.truth().codes
    times = _times(sample, image)
    fine = _all_bands(sample, image, bands)
    try:
        sets = as_sets(codes, dataset.scheme.codes)
    except ValueError as error:
        raise ExportError(f"{sample.path}: {error}") from error
    if sets.shape != image.shape:
        raise ExportError(
            f"{sample.path}: labels of {sets.shape[0]} x {sets.shape[1]} px for an image of "
            f"{image.shape[0]} x {image.shape[1]} px; they must be of one size"
        )
    sets = np.where(image.valid, sets, np.uint8(UNKNOWN))
    fine = fine.repeat(times, axis=1).repeat(times, axis=2)
    fine, sets = _padded(fine, sets.repeat(times, axis=0).repeat(times, axis=1))
    for rows, columns in product(*(_starts(size) for size in sets.shape)):
        part = (slice(rows, rows + EDGE), slice(columns, columns + EDGE))
        if (sets[part] != UNKNOWN).any():
            yield Chip(sample.name, sample.group, fine[:, *part], sets[part])


def _times(sample: Sample, image: Image) -> int:
    """Say how often a pixel is repeated."""
    times = round(image.pixel_size / FINE)
    if times < 1 or abs(times * FINE - image.pixel_size) > 0.1:  # noqa: PLR2004 - metres
        raise ExportError(
            f"{sample.path}: pixels of {image.pixel_size:g} m; a multiple of {FINE:g} m is "
            "needed, so resample it"
        )
    return times


def _all_bands(sample: Sample, image: Image, bands: Sequence[str]) -> NDArray[np.float32]:
    """Put the bands in the bank's order; no data becomes the mean of its band."""
    missing = [band for band in bands if band not in image.bands]
    if missing:
        raise ExportError(
            f"{sample.path}: lacks {', '.join(missing)}; train a network of the bands there are, "
            f"{', '.join(image.bands)}, or leave the data set out"
        )
    found = np.zeros((len(BANDS), *image.shape), np.float32)
    for name, band in zip(image.bands, image.reflectance, strict=True):
        if name in BANDS:
            there = np.isfinite(band)
            mean = band[there].mean() if there.any() else np.float32(0)
            found[BANDS.index(name)] = np.where(there, band, mean)
    return found


def _padded(
    image: NDArray[np.float32], sets: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Let nothing be smaller than a chip."""
    lacking = [(0, max(0, EDGE - size)) for size in sets.shape]
    if not any(after for _, after in lacking):
        return image, sets
    wide = np.pad(image, [(0, 0), *lacking], mode="symmetric")
    return wide, np.pad(sets, lacking, constant_values=UNKNOWN)


def _starts(size: int) -> list[int]:
    """Say where chips begin along an axis; the last one is pulled inside.

    A rest of less than an eighth of a chip is left out, else most of the last would come twice.
    """
    starts = list(range(0, size - EDGE + 1, EDGE))
    if size - (starts[-1] + EDGE) > EDGE // 8:
        starts.append(size - EDGE)
    return starts
