"""Labelled images, and what makes a mask of one: the values that all of evaluation speaks in.

Labels and masks keep the codes of whoever made them; a `Scheme` says what each may stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme

SampleKind = Literal["pixels", "points"]
"""Whether every pixel has a label, or a few points have."""


class EvaluationError(ExportError):
    """Data, labels or a mask that cannot be scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a predictor is given."""

    reflectance: NDArray[np.float32]
    """(band, y, x) at the top of the atmosphere (L1C) or of the surface (L2A); NaN = no data."""
    bands: tuple[str, ...]
    """Sentinel-2 names along the first axis, as in `cloudmask.bands`."""
    pixel_size: float
    """Metres."""
    level: Literal["L1C", "L2A", ""] = ""
    """Processing level, "" if unknown."""

    def __post_init__(self) -> None:
        """Refuse shapes and names that do not fit."""
        if self.reflectance.ndim != 3:  # noqa: PLR2004
            raise EvaluationError(
                f"image of shape {self.reflectance.shape}: (band, y, x) is needed"
            )
        if self.reflectance.shape[0] != len(self.bands):
            raise EvaluationError(
                f"image of {self.reflectance.shape[0]} bands with {len(self.bands)} names: one "
                "name for each is needed"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.reflectance.shape[1], self.reflectance.shape[2]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where every band has data (y, x)."""
        return np.asarray(np.isfinite(self.reflectance).all(axis=0))


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels of one image: of every pixel, or of some points of it."""

    codes: NDArray[np.integer]
    """(y, x) for pixels, (point,) for points: codes of the dataset's scheme."""
    rows: NDArray[np.intp] | None = None
    columns: NDArray[np.intp] | None = None
    """(point,) each: where the points are, counted from the upper left; None for pixels."""

    def of(self, mask: NDArray[np.integer]) -> NDArray[np.integer]:
        """Take from a mask (y, x) what has a label, in the shape of `codes`."""
        if self.rows is None or self.columns is None:
            return mask
        return mask[self.rows, self.columns]


class Sample(Protocol):
    """One labelled image; nothing is read before it is asked for."""

    @property
    def name(self) -> str:
        """What it is called, unique within its dataset."""

    @property
    def group(self) -> str:
        """Scene or region that it belongs to: samples of one group are not independent."""

    @property
    def path(self) -> Path:
        """The file or folder to name when something is wrong with it."""

    def image(self) -> Image:
        """Read the image."""

    def truth(self) -> Truth:
        """Read the labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled images of one making."""

    name: str
    """Layout by which it is asked for: `cloudsen12`, `pairs`, ..."""
    title: str
    scheme: Scheme
    """What the codes of its labels mean."""
    kind: SampleKind
    human: bool
    """Whether people drew the labels; False where they were derived."""
    licence: str
    source: str
    """Page or paper that documents it."""
    samples: Sequence[Sample]


class Predictor(Protocol):
    """Something that makes a mask of an image: a network, a peer, files that are there."""

    @property
    def name(self) -> str:
        """How it is asked for."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""

    @property
    def scheme(self) -> Scheme:
        """What the codes of its masks mean."""

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """Make the mask (y, x) of a sample, on the sample's grid.

        Raises:
            EvaluationError: The image lacks what this needs; names the sample and the remedy.
        """
