"""A dataset and masks of it that are made up, and what an evaluation of them finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("rasterio")

from cloudmask.local.compare.schemes import CLOUDMASK, S2CLOUDLESS, Scheme
from cloudmask_export.evaluation.evaluate import Evaluation, evaluate
from cloudmask_export.evaluation.samples import Dataset, Image, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.results import Results

EDGE = 20


@dataclass(frozen=True)
class MadeSample:
    """An image whose labels are clear, but for rows of cloud and one of shadow."""

    name: str
    group: str
    cloudy: int
    """Rows of cloud from the top; the next one is shadow."""
    points: bool = False
    bands: tuple[str, ...] = ("B02", "B03", "B04", "B08")

    @property
    def path(self) -> Path:
        """See `Sample`."""
        return Path(f"{self.name}.tif")

    @property
    def codes(self) -> NDArray[np.uint8]:
        """Labels (y, x)."""
        codes = np.zeros((EDGE, EDGE), np.uint8)
        codes[: self.cloudy] = 1
        codes[self.cloudy] = 3
        codes[-1, -1] = 255
        return codes

    def image(self) -> Image:
        """See `Sample`."""
        bright = np.where(self.codes == 1, 0.8, 0.1)
        reflectance = np.stack([bright + 0.02 * band for band in range(len(self.bands))])
        reflectance[:, 0, 0] = np.nan
        return Image(reflectance=reflectance.astype(np.float32), bands=self.bands, pixel_size=10.0)

    def truth(self) -> Truth:
        """See `Sample`."""
        if not self.points:
            return Truth(self.codes)
        rows, columns = np.array([1, 6, 12, 18]), np.array([2, 3, 4, 5])
        return Truth(self.codes[rows, columns], rows, columns)


@dataclass(frozen=True)
class MadePredictor:
    """Says what the labels say, but for rows that it calls cloud."""

    name: str
    wrong: dict[str, int] = field(default_factory=dict)
    """Sample -> rows from the bottom that are called cloud."""
    scheme: Scheme = CLOUDMASK
    title: str = "made up"

    def predict(self, sample: Any) -> NDArray[np.uint8]:
        """See `samples.Predictor`."""
        mask = MADE[sample.name].codes.copy()
        mask[mask == 255] = 0
        if rows := self.wrong.get(sample.name, 0):
            mask[-rows:] = 1
        if self.scheme is S2CLOUDLESS:
            mask = (mask == 1).astype(np.uint8)
        return mask


MADE = {
    each.name: each
    for each in (
        MadeSample("a_1", "a", 5),
        MadeSample("a_2", "a", 0),
        MadeSample("b_1", "b", 9),
        MadeSample("<b>&_2", "b", 3),
    )
}


@dataclass(frozen=True)
class Found:
    """Everything that a page is made of."""

    dataset: Dataset
    predictors: tuple[Any, ...]
    results: Results


@pytest.fixture
def found() -> Callable[..., Found]:
    """Give the function that evaluates: (predictors, points=, human=, ...) -> `Found`."""

    def make(*predictors: Any, points: bool = False, **facts: Any) -> Found:
        samples = [
            MadeSample(each.name, each.group, each.cloudy, points) for each in MADE.values()
        ]
        known: dict[str, Any] = {
            "name": "made", "title": "Made-up labels", "scheme": CLOUDMASK,
            "kind": "points" if points else "pixels", "human": True, "licence": "CC0-1.0",
            "source": "https://example.org/made", "samples": samples,
        }  # fmt: skip
        dataset = Dataset(**(known | facts))
        return Found(dataset, predictors, evaluate(dataset, predictors, Evaluation(resamples=20)))

    return make


@pytest.fixture
def predictor() -> type[MadePredictor]:
    """Give the class of made-up predictors: (name, {sample: wrong rows}, scheme)."""
    return MadePredictor


@pytest.fixture
def two(found: Callable[..., Found], predictor: Any) -> Found:
    """Two predictors: one with mistakes in two samples, one that knows cloud or not only."""
    return found(
        predictor("ours", {"a_1": 4, "<b>&_2": 2}),
        predictor("s2cloudless", {"a_2": 10}, S2CLOUDLESS),
    )
