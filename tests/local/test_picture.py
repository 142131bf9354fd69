from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rasterio")

from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.local.picture import coloured, overlaid, panels, stretched

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CODES = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)
SHARES = {
    "clear": 40.0,
    "thick_cloud": 30.0,
    "thin_cloud": 20.0,
    "cloud_shadow": 10.0,
    "no_data": 5,
}


def light(bands: int = 3, shape: tuple[int, int] = (20, 30), seed: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0.02, 0.7, (bands, *shape)).astype(np.float32)


# -- stretching -----------------------------------------------------------------------------


@given(st.integers(0, 50), st.sampled_from([1, 3]), st.floats(0, 1))
def test_a_picture_has_three_bands_from_0_to_1(seed: int, bands: int, share: float) -> None:
    valid = np.random.default_rng(seed).random((20, 30)) < share
    picture = stretched(light(bands, seed=seed), valid)
    assert picture.shape == (20, 30, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    np.testing.assert_allclose(picture[~valid] * 255, 160, atol=1e-4)


def test_what_no_data_holds_changes_no_colour() -> None:
    numbers, valid = light(), np.ones((20, 30), bool)
    valid[:5] = False
    spoilt = numbers.copy()
    spoilt[:, :5] = -99.0
    np.testing.assert_array_equal(stretched(numbers, valid), stretched(spoilt, valid))


def test_nan_for_no_data_is_painted_white_without_a_warning() -> None:
    numbers, valid = light(), np.ones((20, 30), bool)
    valid[:5], numbers[:, :5] = False, np.nan
    assert np.isfinite(stretched(numbers, valid)).all()


def test_brighter_ground_is_brighter_in_the_picture() -> None:
    numbers = np.sort(light(1).ravel()).reshape(1, 20, 30)
    picture = stretched(numbers, np.ones((20, 30), bool))
    assert (np.diff(picture[..., 0].ravel()) >= 0).all()


def test_all_bands_are_stretched_alike_so_that_grey_stays_grey() -> None:
    grey = np.repeat(light(1), 3, axis=0)
    picture = stretched(grey, np.ones((20, 30), bool))
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_a_flat_scene_makes_no_division_by_zero() -> None:
    picture = stretched(np.full((3, 4, 4), 0.3, np.float32), np.ones((4, 4), bool))
    assert np.isfinite(picture).all()


# -- classes --------------------------------------------------------------------------------


def test_each_class_has_its_colour_and_no_data_is_grey() -> None:
    painted = coloured(CODES)
    by_code = {each.code: each.colour for each in CLASSES} | {255: NO_DATA_CLASS.colour}
    for place, code in np.ndenumerate(CODES):
        np.testing.assert_allclose(painted[place] * 255, by_code[int(code)], atol=1e-4)


def test_clear_ground_shows_the_picture_as_it_is() -> None:
    picture = np.moveaxis(light(shape=(2, 3)), 0, -1)
    found = overlaid(picture, CODES)
    np.testing.assert_array_equal(found[CODES == 0], picture[CODES == 0])


def test_no_data_hides_whatever_the_picture_has_there() -> None:
    picture = np.moveaxis(light(shape=(2, 3)), 0, -1)
    hidden = overlaid(picture, CODES)[CODES == 255]
    np.testing.assert_allclose(hidden * 255, [NO_DATA_CLASS.colour], atol=1e-4)


def test_masked_classes_lie_between_the_picture_and_their_colour() -> None:
    picture = np.moveaxis(light(shape=(2, 3)), 0, -1)
    found, painted = overlaid(picture, CODES), coloured(CODES)
    low, high = np.minimum(picture, painted), np.maximum(picture, painted)
    assert ((found >= low - 1e-6) & (found <= high + 1e-6)).all()
    assert (found != picture).any(axis=-1)[np.isin(CODES, (1, 2, 3))].all()


# -- the file -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 30), (3, 900), (900, 3), (1, 1)])
@pytest.mark.parametrize("count", [1, 3])
def test_panels_of_any_shape_make_a_png(
    tmp_path: Path, shape: tuple[int, int], count: int
) -> None:
    pytest.importorskip("matplotlib")
    picture = np.full((*shape, 3), 0.5, np.float32)
    pictures: dict[str, Any] = {f"panel {number}": picture for number in range(count)}
    panels(tmp_path / "look.png", pictures, "a title\nof two lines", SHARES)
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert [each.name for each in tmp_path.iterdir()] == ["look.png"]
