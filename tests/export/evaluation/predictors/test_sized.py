from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio")

from cloudmask_export.evaluation.predictors.bands import Sized


def test_larger_pixels_are_the_mean_of_those_that_exist() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    image[0, 0, 0] = np.nan
    sized = Sized.of(image, 10, 20)
    blocks = image[0].reshape(2, 2, 2, 2)
    assert np.allclose(sized.reflectance[0], np.nanmean(blocks, axis=(1, 3)))


def test_pixels_that_do_not_divide_the_image_cover_it() -> None:
    sized = Sized.of(np.ones((1, 10, 11), np.float32), 10, 30)
    assert sized.reflectance.shape == (1, 4, 4)
    back = sized.back(np.arange(16).reshape(4, 4))
    # The nearest: the pixel of 30 m in which the centre of one of 10 m lies.
    rows, columns = np.arange(10) // 3, np.arange(11) // 3
    assert (back == 4 * rows[:, None] + columns).all()


def test_one_pixel_size_changes_nothing() -> None:
    image = np.random.default_rng(1).uniform(0, 1, (2, 5, 6)).astype(np.float32)
    sized = Sized.of(image, 20, 20)
    assert sized.reflectance is image
    mask = np.arange(30).reshape(5, 6)
    assert (sized.back(mask) == mask).all()


def test_smaller_pixels_lie_between_and_the_mask_takes_the_middle_one() -> None:
    image = np.broadcast_to(np.arange(4, dtype=np.float32) * 3, (1, 4, 4))
    sized = Sized.of(np.ascontiguousarray(image), 30, 10)
    assert sized.reflectance.shape == (1, 12, 12)
    # Centres of the large pixels are at 1, 4, 7, 10 of the small ones; a step is 1 between.
    assert np.allclose(sized.reflectance[0, 0, 1:11], np.arange(10))
    assert (sized.back(np.arange(144).reshape(12, 12))[0] == [13, 16, 19, 22]).all()
