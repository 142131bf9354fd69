"""A small recipe, and banks with known content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudmask_export.training.bank import EDGE, Bank
from cloudmask_export.training.recipe import Recipe, Sources, Stage


@pytest.fixture
def recipe() -> Recipe:
    """Four bands, two stages, two simulated images."""
    return Recipe(
        name="small",
        architecture="slim-regnety_002-4",
        bands=("B02", "B03", "B04", "B08"),
        sources=Sources(simulated=2),
        stages=(Stage(classes=3, steps=5), Stage(classes=4, steps=7)),
    )


@pytest.fixture
def make_bank() -> Any:
    """Give a function: images (n, band, y, x) and sets (n, y, x) -> bank of kind "simulated"."""

    def make(images: Any, sets: Any) -> Bank:
        count = len(images)
        return Bank(
            np.asarray(images, np.uint16),
            np.asarray(sets, np.uint8),
            np.ones(count, np.uint8),
            np.ones(count, np.float32),
        )

    return make


@pytest.fixture
def random_bank(make_bank: Any) -> Bank:
    """Three images of four bands."""
    draw = np.random.default_rng(0)
    images = draw.integers(1, 9_000, (3, 4, EDGE, EDGE))
    bank: Bank = make_bank(images, draw.integers(1, 16, (3, EDGE, EDGE)))
    return bank
