from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rasterio")

import rasterio

from cloudmask.bands import PRESETS
from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.local.picture import (
    coloured,
    overlaid,
    panels,
    quicklook,
    stretched,
    thumbnail,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.windows import Span

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


# -- a scene's colours ----------------------------------------------------------------------


@dataclass(frozen=True)
class Colours:
    """Numbers in memory (a `cloudmask.local.product.RowRaster`)."""

    numbers: NDArray[np.generic]
    """(band, y, x)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Give (band, y, x)."""
        bands, height, width = self.numbers.shape
        return bands, height, width

    @property
    def itemsize(self) -> int:
        """Give the bytes of a number."""
        return self.numbers.itemsize

    def read(self, rows: Span) -> NDArray[np.generic]:
        """Give (band, rows, x)."""
        return self.numbers[:, rows.start : rows.stop]

    def sample(self) -> NDArray[np.generic]:
        """Give everything: (band, n)."""
        return self.numbers.reshape(len(self.numbers), -1)

    def thumbnail(self, longest: int) -> NDArray[np.generic]:
        """Take every so many pixels one."""
        step = max(1, max(self.numbers.shape[1:]) // longest)
        return self.numbers[:, ::step, ::step]


def stored(bands: int = 3, shape: tuple[int, int] = (20, 30)) -> NDArray[np.uint16]:
    return np.rint(light(bands, shape) * 10_000).astype(np.uint16)


def drawn(
    path: Path, numbers: NDArray[np.generic], preset: str = "dn", longest: int = 512
) -> NDArray[np.uint8]:
    """Draw a thumbnail and read it with another library: (4, y, x)."""
    thumbnail(path, Colours(numbers), PRESETS[preset], longest)
    return read_back(path)


def read_back(path: Path) -> NDArray[np.uint8]:
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            pixels: NDArray[np.uint8] = dataset.read()
            return pixels


def test_a_thumbnail_is_the_stretched_scene(tmp_path: Path) -> None:
    numbers = stored()
    found = drawn(tmp_path / "a.png", numbers)
    expected = stretched((numbers / 10_000).astype(np.float32), np.ones((20, 30), bool)) * 255
    assert abs(np.moveaxis(found[:3], 0, -1) - expected).max() <= 0.51
    assert (found[3] == 255).all()


def test_a_thumbnail_of_one_band_is_grey(tmp_path: Path) -> None:
    found = drawn(tmp_path / "a.png", stored(bands=1))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.ptp(found[0]) > 200


def test_no_data_is_transparent_in_a_thumbnail(tmp_path: Path) -> None:
    numbers = stored()
    numbers[:, :7] = 0
    alpha = drawn(tmp_path / "a.png", numbers)[3]
    assert (alpha[:7] == 0).all()
    assert (alpha[7:] == 255).all()


def test_a_scene_of_no_data_makes_a_transparent_thumbnail(tmp_path: Path) -> None:
    nothing = np.full((3, 9, 9), np.nan, np.float32)
    assert (drawn(tmp_path / "a.png", nothing, "reflectance")[3] == 0).all()


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((100, 300), (21, 64)),
        ((127, 127), (64, 64)),
        ((300, 2), (64, 1)),
        ((64, 20), (64, 20)),
        ((5, 7), (5, 7)),
    ],
)
def test_a_thumbnails_longer_edge_is_what_was_asked_and_its_shape_the_scenes(
    tmp_path: Path, shape: tuple[int, int], small: tuple[int, int]
) -> None:
    assert drawn(tmp_path / "a.png", stored(shape=shape), longest=64).shape == (4, *small)


def test_what_no_data_borders_on_keeps_its_colour_in_a_small_thumbnail(tmp_path: Path) -> None:
    numbers = np.full((3, 128, 128), 5000, np.uint16)
    numbers[:, :, :65] = 0
    numbers[:, :64] -= 4000 * (numbers[:, :64] > 0).astype(np.uint16)
    found = drawn(tmp_path / "a.png", numbers, longest=32)
    shown = found[3] > 0
    assert set(found[0][shown & (np.arange(32) < 15)[:, None]]) == {0}
    assert set(found[0][shown & (np.arange(32) > 16)[:, None]]) == {255}


def test_noise_is_averaged_away_in_a_small_thumbnail(tmp_path: Path) -> None:
    noise = stored(shape=(256, 256))
    small, whole = drawn(tmp_path / "a.png", noise, longest=64), drawn(tmp_path / "b.png", noise)
    assert small[0].std() < 0.7 * whole[0].std()


def test_only_the_thumbnail_is_left_in_its_folder(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", stored())
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_a_quicklook_shows_scene_and_mask_with_the_shares_that_the_mask_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = stored(shape=(2, 3))
    profile = {"driver": "GTiff", "height": 2, "width": 3, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
    with rasterio.open(tmp_path / "mask.tif", "w", **profile, **place) as dataset:
        dataset.write(CODES, 1)
        dataset.update_tags(MODEL="my", PERCENT_CLEAR="40.000", PERCENT_NO_DATA="16.7")
    told: list[Any] = []
    monkeypatch.setattr("cloudmask.local.picture.panels", lambda *given: told.extend(given))
    quicklook(tmp_path / "look.png", Colours(numbers), PRESETS["dn"], tmp_path / "mask.tif", "S2A")
    path, pictures, title, shares = told
    view = stretched((numbers / 10_000).astype(np.float32), np.ones((2, 3), bool))
    assert path == tmp_path / "look.png"
    np.testing.assert_allclose(pictures["scene"], view, atol=1e-5)
    np.testing.assert_allclose(pictures["mask over the scene"], overlaid(view, CODES), atol=1e-5)
    assert title.split() == ["S2A", "(my)"]
    assert shares == {"clear": 40.0, "no_data": 16.7}
