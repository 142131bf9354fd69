"""The peer s2cloudless, in this Python or in another one.

s2cloudless (Sentinel Hub, github.com/sentinel-hub/sentinel2-cloud-detector) calls cloud or not,
pixel by pixel, from ten bands of L1C. It and its model are CC BY-SA 4.0: it is run here, and
nothing of it is taken over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cloudmask.classes import NO_DATA
from cloudmask.local.compare.schemes import S2CLOUDLESS
from cloudmask_export.evaluation.predictors.bands import chosen
from cloudmask_export.evaluation.predictors.how import USUAL, How
from cloudmask_export.evaluation.predictors.outside import s2cloudless_worker as worker
from cloudmask_export.evaluation.predictors.process import Outside
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Sample

PEER_PYTHON = "CLOUDMASK_PEER_PYTHON"
"""Environment variable: a Python that has the packages of peers."""

BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""What s2cloudless takes, in its order."""

NEEDED = "s2cloudless needs level L1C"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is made of its probabilities; sizes are in pixels of the image."""

    average: int
    """Radius of the disk over which probabilities are averaged, 0 for none."""
    dilation: int
    """Radius of the disk by which clouds grow, 0 for none."""
    threshold: float = 0.4

    @property
    def words(self) -> tuple[str, str, str]:
        """The same as arguments of the worker."""
        return str(self.average), str(self.dilation), str(self.threshold)


SETTINGS: Mapping[str, Settings] = {
    "s2cloudless": Settings(4, 2),
    "s2cloudless-raw": Settings(0, 0),
}


class Engine(Protocol):
    """Where it runs."""

    def asked(self, array: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Make the mask (y, x), 1 = cloud, of (band, y, x)."""


class Here:
    """s2cloudless in this Python."""

    def __init__(self, settings: Settings) -> None:
        self._detector = worker.detector(settings.average, settings.dilation, settings.threshold)

    def asked(self, array: NDArray[np.float32]) -> NDArray[np.uint8]:
        """See `Engine`."""
        return worker.mask(self._detector, array)


@dataclass(frozen=True, slots=True)
class S2cloudless:
    """The peer with one way of making a mask of its probabilities."""

    name: str
    version: str
    settings: Settings
    engine: Engine

    @classmethod
    def named(cls, name: str, how: How = USUAL) -> S2cloudless:
        """Start it.

        Args:
            name: A key of `SETTINGS`.
            how: Which Python has it, if this one has not.

        Raises:
            EvaluationError: No Python has it.
        """
        settings = SETTINGS[name]
        python = how.peer_python or os.environ.get(PEER_PYTHON)
        if python is None and find_spec("s2cloudless") is not None:
            return cls(name, version("s2cloudless"), settings, Here(settings))
        if python is None:
            raise EvaluationError(
                f"{name}: the package s2cloudless is not installed; pip install s2cloudless, here "
                "or in an environment of its own whose Python is given with --peer-python or "
                f"{PEER_PYTHON}"
            )
        outside = Outside.started(python, Path(worker.__file__), settings.words)
        try:
            return cls(name, str(outside.heard()), settings, outside)
        except EvaluationError as error:
            raise EvaluationError(
                f"{name}: {error}; pip install s2cloudless into the environment of that Python"
            ) from error

    @property
    def title(self) -> str:
        """Version and settings."""
        made = self.settings
        return (
            f"s2cloudless {self.version}, average {made.average}, dilation {made.dilation}, "
            f"threshold {made.threshold:g}"
        )

    @property
    def scheme(self) -> Scheme:
        """Cloud or not."""
        return S2CLOUDLESS

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """See `samples.Predictor`."""
        image = sample.image()
        if image.level == "L2A":
            raise EvaluationError(
                f"{sample.path}: sample {sample.name} is of level L2A; {NEEDED}, leave it out"
            )
        own = chosen(sample, image, BANDS, self.name)
        valid = np.isfinite(own).all(axis=0)
        mask = self.engine.asked(np.where(valid, own, np.float32(0)))
        return np.where(valid, mask, np.uint8(NO_DATA))
