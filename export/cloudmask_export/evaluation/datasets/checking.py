"""A look at all labels of a dataset before a long run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.evaluation.datasets.layout import Sized, alike, checked
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.evaluation.samples import Dataset, Sample, Truth


def _silent(_name: str) -> None:
    """Tell nobody."""


def check(
    dataset: Dataset, *, one_size: bool = False, tell: Callable[[str], None] = _silent
) -> None:
    """Read all labels, and the headers of all images, and refuse what could not be used.

    Args:
        dataset: As `open_dataset` gives it, or one's own.
        one_size: Whether all images must be of one size.
        tell: Called with each sample's name before it is looked at.

    Raises:
        EvaluationError: Labels cannot be read, have codes that are not the dataset's, or do not
            fit their image; or images are of several sizes; names the first file.
    """
    first: tuple[Sample, tuple[int, int]] | None = None
    for sample in dataset.samples:
        tell(sample.name)
        truth = sample.truth()
        checked(truth.codes, dataset.scheme, sample.path)
        if not isinstance(sample, Sized):
            continue
        shape = sample.shape()
        _check_fits(truth, shape, sample)
        first = first or (sample, shape)
        if one_size and shape != first[1]:
            raise EvaluationError(
                f"{sample.path}: {sample.name} has {_by(shape)} pixels, but {first[0].name} has "
                f"{_by(first[1])}; all images of {dataset.name} must be of one size, so take one "
                "of the two sizes out"
            )


def _check_fits(truth: Truth, shape: tuple[int, int], sample: Sample) -> None:
    """Refuse labels that are not on their image."""
    if truth.rows is None or truth.columns is None:
        alike(truth.codes.shape, shape, sample.path)
        return
    for row, column in zip(truth.rows, truth.columns, strict=True):
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            raise EvaluationError(
                f"{sample.path}: {sample.name} has a label at row {row}, column {column} of an "
                f"image of {_by(shape)} pixels; it is another image's"
            )


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
