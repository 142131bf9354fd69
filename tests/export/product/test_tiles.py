from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from cloudmask.errors import BandError, CubeError, PresetWarning
from cloudmask.spec import ModelSpec
from cloudmask_export.errors import ExportError
from cloudmask_export.tiles import tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

SPEC = ModelSpec(name="net", bands=("B08", "B04"), classes=(0, 1), tile=64, overlap=16)
WriteRaster = Any


def numbered(rows: int, columns: int, first: int = 1) -> NDArray[np.uint16]:
    """Make B04, B08 whose 256 px squares are 100 k and 100 k + 7, k = first, first + 1, ..."""
    squares = first + np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
    plane = np.kron(squares * 100, np.ones((256, 256), np.uint16))
    return np.stack([plane, plane + 7])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def made(
        name: str, numbers: NDArray[Any], bands: tuple[str, ...] = ("B04", "B08"), **options: Any
    ) -> Path:
        count, height, width = numbers.shape
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", count=count, height=height, width=width,
            dtype=numbers.dtype, crs="EPSG:32633", transform=Affine(10, 0, 0, 0, -10, 0),
            **options,
        ) as file:  # fmt: skip
            file.write(numbers)
            if bands:
                file.descriptions = bands
        return tmp_path / name

    return made


def squares(found: tuple[NDArray[np.float32], ...]) -> list[int]:
    """Give back the numbers of `numbered` that some tiles are."""
    return [round(float(tile[1, 0, 0]) * 100) for tile in found]


# -- simulated ------------------------------------------------------------------------------


def test_without_imagery_scenes_are_simulated_in_the_bands_of_the_network(
    small_tiles: None,
) -> None:
    found = tiles(SPEC)
    assert found.source == "simulated scenes"
    assert {tile.shape for tile in found.held_out + found.calibration} == {(2, 64, 64)}
    assert {tile.dtype.name for tile in found.held_out} == {"float32"}
    assert all(0 < float(tile.mean()) < 1.5 for tile in found.held_out)


def test_simulated_tiles_are_all_different(small_tiles: None) -> None:
    found = tiles(SPEC)
    every = found.held_out + found.calibration
    assert len({tile.tobytes() for tile in every}) == len(every) == 4


def test_the_same_tiles_are_simulated_each_time(small_tiles: None) -> None:
    first, second = tiles(SPEC), tiles(SPEC, calibrate=False)
    np.testing.assert_array_equal(first.held_out, second.held_out)


def test_nothing_to_calibrate_with_is_simulated_if_nothing_is_calibrated(
    small_tiles: None,
) -> None:
    assert tiles(SPEC, calibrate=False).calibration == ()


def test_by_default_twelve_tiles_calibrate_and_four_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudmask_export.tiles.EDGE", 16)
    found = tiles(SPEC)
    assert (len(found.calibration), len(found.held_out)) == (12, 4)


# -- rasters --------------------------------------------------------------------------------


def test_a_raster_is_cut_into_reflectance_in_the_order_of_the_networks_bands(
    write: Callable[..., Path],
) -> None:
    found = tiles(SPEC, [write("scene.tif", numbered(1, 2))])
    (tile,) = found.held_out
    assert (tile.shape, tile.dtype.name) == ((2, 256, 256), "float32")
    np.testing.assert_allclose(tile[0], 0.0207)
    np.testing.assert_allclose(tile[1], 0.02)
    assert found.source == "scene.tif"


def test_no_tile_both_calibrates_and_judges(write: Callable[..., Path]) -> None:
    found = tiles(SPEC, [write("scene.tif", numbered(3, 3))])
    assert squares(found.calibration) == [1, 3, 5, 7, 9]
    assert squares(found.held_out) == [2, 4, 6, 8]


def test_no_tile_both_calibrates_and_judges_if_a_raster_is_named_twice(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("scene.tif", numbered(1, 3))
    monkeypatch.chdir(path.parent)
    found = tiles(SPEC, [path, Path("scene.tif"), path])
    assert sorted(squares(found.calibration + found.held_out)) == [1, 2, 3]
    assert found.source == "scene.tif"


def test_at_most_twelve_tiles_calibrate_and_four_judge(write: Callable[..., Path]) -> None:
    found = tiles(SPEC, [write("scene.tif", numbered(6, 6))])
    assert (len(found.calibration), len(found.held_out)) == (12, 4)


def test_a_raster_is_read_no_further_than_needed(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudmask.local.readers import Raster

    read, original = [], Raster.read

    def noted(self: Raster, rows: Any) -> Any:
        read.append(rows.start)
        return original(self, rows)

    monkeypatch.setattr(Raster, "read", noted)
    tiles(SPEC, [write("scene.tif", numbered(20, 3))])
    assert read == [256 * row for row in range(8)]


def test_every_raster_gives_some_tiles(write: Callable[..., Path]) -> None:
    paths = [write("one.tif", numbered(6, 6)), write("two.tif", numbered(6, 6, first=41))]
    found = tiles(SPEC, paths)
    assert {square > 40 for square in squares(found.calibration)} == {True, False}
    assert found.source == "one.tif, two.tif"


def test_a_tile_with_a_pixel_of_no_data_is_left_out(write: Callable[..., Path]) -> None:
    numbers = numbered(1, 4)
    numbers[0, 3, 300] = 0
    found = tiles(SPEC, [write("scene.tif", numbers)])
    assert sorted(squares(found.calibration + found.held_out)) == [1, 3, 4]


def test_the_files_own_no_data_counts(write: Callable[..., Path]) -> None:
    found = tiles(SPEC, [write("scene.tif", numbered(1, 4), nodata=207)])
    assert sorted(squares(found.calibration + found.held_out)) == [1, 3, 4]


def test_the_preset_says_what_numbers_mean(write: Callable[..., Path]) -> None:
    found = tiles(SPEC, [write("scene.tif", numbered(1, 2, first=20))], "dn_n0400")
    np.testing.assert_allclose(found.held_out[0][1], 0.11)


def test_a_preset_that_cannot_be_right_is_warned_of(write: Callable[..., Path]) -> None:
    path = write("scene.tif", numbered(1, 2).astype(np.float32) / 10000)
    with pytest.warns(PresetWarning, match="preset 'dn' gives reflectances from"):
        tiles(SPEC, [path])


@pytest.mark.parametrize(("rows", "columns", "count"), [(1, 1, 1), (0, 0, 0)])
def test_a_raster_too_small_is_refused(
    write: Callable[..., Path], rows: int, columns: int, count: int
) -> None:
    numbers = np.full((2, 200 + 256 * rows, 200 + 256 * columns), 500, np.uint16)
    with pytest.raises(ExportError, match=rf"scene\.tif: {count} tiles of 256 .*two are needed"):
        tiles(SPEC, [write("scene.tif", numbers)])


def test_a_raster_without_data_is_refused(write: Callable[..., Path]) -> None:
    empty = np.zeros((2, 512, 512), np.uint16)
    with pytest.raises(ExportError, match=r"empty\.tif: 0 tiles of 256 pixels without no data"):
        tiles(SPEC, [write("empty.tif", empty)])


def test_a_raster_without_a_band_of_the_network_is_refused(write: Callable[..., Path]) -> None:
    path = write("scene.tif", numbered(1, 2), bands=("B04", "B03"))
    with pytest.raises(BandError, match="B08"):
        tiles(SPEC, [path])


def test_what_is_no_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scene.tif").write_text("no raster")
    with pytest.raises(CubeError, match=r"scene\.tif: cannot be read as a raster"):
        tiles(SPEC, [tmp_path / "scene.tif"])
