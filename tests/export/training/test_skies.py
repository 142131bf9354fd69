"""Skies drawn at random, and put over cloud-free ground."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cloudmask.classes import CLEAR, SHADOW, THICK
from cloudmask.local.simulator.clouds import Cover
from cloudmask_export.training import skies
from cloudmask_export.training.sets import IS_CLEAR, IS_CLOUD, IS_SHADOW, IS_THICK, UNKNOWN, only

EDGE = 96
B02, B10, B11 = 1, 10, 11


@pytest.fixture(scope="module")
def ground() -> Any:
    draw = np.random.default_rng(0)
    level = np.full((13, 1, 1), 0.15, np.float32)
    level[B10] = 0.002
    return level * (1 + 0.1 * draw.random((13, EDGE, EDGE), np.float32))


def drawn(seed: int, **changes: Any) -> skies.Sky:
    return replace(skies.draw(np.random.default_rng(seed)), **changes)


def under(sky: skies.Sky, ground: Any, seed: int = 0) -> tuple[Any, Any]:
    return skies.under(sky, ground, 10.0, np.random.default_rng(seed))


def test_the_same_seed_draws_the_same_sky_and_the_same_image(ground: Any) -> None:
    assert drawn(4) == drawn(4) != drawn(5)
    for one, other in zip(under(drawn(4), ground), under(drawn(4), ground), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_sky_without_clouds_leaves_the_ground_as_it_is(ground: Any) -> None:
    image, sets = under(drawn(1, cover=Cover(thick=0.0, thin=0.0)), ground)
    assert (sets == IS_CLEAR).all()
    np.testing.assert_allclose(image, ground, atol=2e-4)


def test_clouds_cover_about_as_much_as_is_asked(ground: Any) -> None:
    _, sets = under(drawn(2, cover=Cover(thick=0.4, thin=0.1), density=1.0), ground)
    cloud = (sets & IS_CLOUD > 0).mean()
    assert 0.3 < cloud < 0.8
    assert (sets == IS_SHADOW).any()


def test_thick_cloud_is_brighter_and_shadow_darker_than_the_ground(ground: Any) -> None:
    sky = drawn(2, cover=Cover(thick=0.3, thin=0.0), density=1.5, softness=0.0)
    image, sets = under(sky, ground)
    change = (image - ground)[B02], (image - ground)[B11]
    assert change[0][sets == IS_THICK].mean() > 0.1
    assert change[1][sets == IS_SHADOW].mean() < -0.02
    assert np.abs(change[0][sets == IS_CLEAR]).mean() < 0.03


def test_cirrus_is_seen_in_b10_and_the_more_the_thicker(ground: Any) -> None:
    image, sets = under(drawn(2, cover=Cover(thick=0.0, thin=0.5)), ground)
    cloud = (sets & IS_CLOUD > 0) & (sets & only(CLEAR) == 0)
    assert cloud.mean() > 0.1
    rise = (image - ground)[B10]
    assert rise[cloud].mean() > 0.002
    assert rise[cloud].mean() > 3 * rise[~cloud].mean()


@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_is_something_and_none_may_be_anything(ground: Any, seed: int) -> None:
    image, sets = under(drawn(seed), ground, seed)
    assert image.shape == ground.shape
    assert np.isfinite(image).all()
    assert (image > 0).all()
    assert sets.dtype == np.uint8
    assert (sets > 0).all()
    assert (sets != UNKNOWN).all()
    # What may be thick is near the limit to thin, so it is not in doubt with the ground.
    doubt = (sets & only(THICK) > 0) & (sets & only(SHADOW) > 0)
    assert not doubt.any()
