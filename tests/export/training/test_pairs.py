"""Labels from an image with clouds and one without, on images made for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from cloudmask_export.training.pairs import NEEDED, PairRule, labels
from cloudmask_export.training.sets import (
    IS_CLEAR,
    IS_CLOUD,
    IS_SHADOW,
    IS_THICK,
    IS_THIN,
    UNKNOWN,
)

LEVEL = {"B02": 0.08, "B03": 0.09, "B04": 0.09, "B08": 0.28, "B10": 0.001, "B11": 0.22}
HOLE = np.s_[20:60, 20:60]
"""Where something is put; well inside it lies `CORE`."""
CORE = np.s_[30:50, 30:50]
FAR = np.s_[80:, 80:]


@pytest.fixture
def ground() -> dict[str, Any]:
    """Fields of all sizes: (128, 128) a band, the same pattern in all of them."""
    draw = np.random.default_rng(2)
    pattern = sum(ndimage.gaussian_filter(draw.normal(size=(128, 128)), s) * s for s in (1, 4, 12))
    return {
        name: np.asarray(LEVEL[name] * (1 + 0.35 * np.tanh(pattern)), np.float32)
        for name in NEEDED
    }


def later(ground: dict[str, Any], *, gain: float = 1.0, haze: float = 0.0) -> dict[str, Any]:
    """The same place on another day."""
    draw = np.random.default_rng(7)
    return {
        name: np.asarray(gain * band + haze + draw.normal(0, 0.001, band.shape), np.float32)
        for name, band in ground.items()
    }


def put(image: dict[str, Any], **added: float) -> dict[str, Any]:
    """Add reflectance in the hole; B10 alone as is, the others as named or as `rest` says."""
    rest = added.pop("rest", 0.0)
    for name, band in image.items():
        band[HOLE] += added.get(name, 0.0 if name == "B10" else rest)
    return image


def test_the_same_ground_is_clear(ground: dict[str, Any]) -> None:
    found = labels(later(ground), ground)
    assert (found == IS_CLEAR).mean() > 0.95
    assert set(np.unique(found)) <= {IS_CLEAR, UNKNOWN}


@pytest.mark.parametrize(("gain", "haze"), [(0.8, 0.0), (1.15, 0.01), (1.0, 0.02)])
def test_another_light_is_no_cloud(ground: dict[str, Any], gain: float, haze: float) -> None:
    assert (labels(later(ground, gain=gain, haze=haze), ground) == IS_CLEAR).mean() > 0.9


@pytest.mark.parametrize(
    ("rise", "expected"), [(0.35, IS_THICK), (0.07, IS_THIN), (0.175, IS_CLOUD)]
)
def test_how_far_it_rises_tells_thick_from_thin(
    ground: dict[str, Any], rise: float, expected: int
) -> None:
    found = labels(put(later(ground), rest=rise, B10=0.002), ground)
    assert (found[CORE] == expected).mean() > 0.9
    assert (found[FAR] == IS_CLEAR).mean() > 0.9


def test_land_that_loses_its_infrared_is_in_shadow(ground: dict[str, Any]) -> None:
    cloudy = later(ground)
    for name in ("B08", "B11"):
        cloudy[name][HOLE] *= 0.45
    cloudy["B02"][HOLE] *= 0.85
    cloudy["B04"][HOLE] *= 0.75
    found = labels(cloudy, ground)
    assert (found[CORE] == IS_SHADOW).all()
    assert (found[FAR] == IS_CLEAR).mean() > 0.9


def test_water_that_is_darker_is_no_shadow(ground: dict[str, Any]) -> None:
    wet = {name: band.copy() for name, band in ground.items()}
    for name in ("B08", "B11"):
        wet[name][HOLE] = 0.03
    cloudy = later(wet)
    for name in ("B08", "B11"):
        cloudy[name][HOLE] *= 0.4
    assert not (labels(cloudy, wet) == IS_SHADOW).any()


def test_fresh_snow_is_no_cloud(ground: dict[str, Any]) -> None:
    cloudy = put(later(ground), rest=0.5, B11=-0.12)
    assert (labels(cloudy, ground)[CORE] == IS_CLEAR).all()


def test_what_looks_like_snow_below_a_high_cloud_says_nothing(ground: dict[str, Any]) -> None:
    cloudy = put(later(ground), rest=0.5, B11=-0.12, B10=0.03)
    assert (labels(cloudy, ground)[CORE] == UNKNOWN).all()


def test_a_rim_around_every_boundary_says_nothing(ground: dict[str, Any]) -> None:
    found = labels(put(later(ground), rest=0.35), ground)
    rim = np.zeros(found.shape, bool)
    rim[18:62, 18:62] = True
    rim[22:58, 22:58] = False
    assert (found[rim] == UNKNOWN).all()


def test_specks_say_nothing(ground: dict[str, Any]) -> None:
    cloudy = later(ground)
    for band in cloudy.values():
        band[100:103, 100:103] += 0.4
    found = labels(cloudy, ground, PairRule(rim=0))[95:108, 95:108]
    assert not np.isin(found, [IS_THICK, IS_THIN, IS_CLOUD]).any()


def test_two_places_that_have_nothing_in_common_get_no_label_but_sure_cloud(
    ground: dict[str, Any],
) -> None:
    other = {name: np.ascontiguousarray(band[::-1, ::-1].T) for name, band in ground.items()}
    found = labels(put(later(other), rest=0.6), ground)
    assert set(np.unique(found)) <= {IS_THICK, UNKNOWN}
