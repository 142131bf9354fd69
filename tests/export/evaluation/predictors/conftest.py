"""Samples that are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.evaluation.samples import Image, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.evaluation.samples import Sample

FOUR = ("B02", "B03", "B04", "B08")


@dataclass(frozen=True)
class FakeSample:
    """An image without labels."""

    reflectance: Any
    bands: tuple[str, ...] = FOUR
    pixel_size: float = 10.0
    level: Any = "L1C"
    name: str = "a_1"
    group: str = "a"
    path: Path = field(default=Path("data/a_1.npy"))

    def image(self) -> Image:
        """See `Sample`."""
        return Image(
            reflectance=np.asarray(self.reflectance, np.float32),
            bands=self.bands,
            pixel_size=self.pixel_size,
            level=self.level,
        )

    def truth(self) -> Truth:
        """See `Sample`."""
        raise AssertionError("what makes a mask must not look at the labels")


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """Give the function that makes a sample: (reflectance (band, y, x), ...) -> sample."""
    return FakeSample
