from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("typer")

import itertools  # noqa: E402

from rasterio.enums import Resampling  # noqa: E402
from rasterio.io import MemoryFile  # noqa: E402
from rasterio.transform import Affine, from_origin  # noqa: E402
from rasterio.vrt import WarpedVRT  # noqa: E402
from rasterio.warp import transform as reproject  # noqa: E402

from cloudmask.bands import PRESETS, Preset  # noqa: E402
from cloudmask.errors import OptionError  # noqa: E402
from cloudmask.local.grid import Regrid, metres_a_pixel  # noqa: E402
from cloudmask.local.resample import Resampled, _Blocks, _Weights  # noqa: E402
from cloudmask.source import ArraySource  # noqa: E402
from cloudmask.windows import Span  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

FACTORS = st.one_of(
    st.floats(1 / 16, 16), st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 6.0, 1 / 3])
)
SIZES = st.integers(1, 90)
SHAPES = st.tuples(SIZES, SIZES)


class Opened:
    """Rasters in memory, closed at the end."""

    def __init__(self) -> None:
        self.files: list[Any] = []

    def __call__(self, numbers: NDArray[Any], **profile: Any) -> Any:
        """Write numbers (band, y, x) and open them."""
        count, height, width = numbers.shape
        some = {
            "driver": "GTiff", "height": height, "width": width, "count": count,
            "dtype": numbers.dtype, "crs": "EPSG:32633",
            "transform": from_origin(6e5, 5e6, 10, 10),
        }  # fmt: skip
        memory = MemoryFile()
        with memory.open(**{**some, **profile}) as dataset:
            dataset.write(numbers)
        opened = memory.open()
        self.files += [opened, memory]
        return opened


@pytest.fixture
def raster() -> Iterator[Opened]:
    made = Opened()
    yield made
    for file in made.files:
        file.close()


def holder(pixel: int, factor: float) -> set[int]:
    """Compute exactly which network pixel holds the centre; both sides of a near tie will do."""
    centre = (Fraction(pixel) + Fraction(1, 2)) / Fraction(factor)
    near = Fraction(1, 10**9)
    return {math.floor(centre - near), math.floor(centre), math.floor(centre + near)}


# -- file pixels and network pixels ---------------------------------------------------------


@given(SHAPES, FACTORS)
def test_each_file_pixel_belongs_to_the_network_pixel_that_holds_its_centre(
    shape: tuple[int, int], factor: float
) -> None:
    regrid = Regrid(shape, factor)
    for axis in (0, 1):
        last = regrid.network_shape[axis] - 1
        for pixel, found in enumerate(regrid.index(axis)):
            assert int(found) in {min(each, last) for each in holder(pixel, factor)}


@given(SHAPES, FACTORS)
def test_the_networks_grid_covers_the_file_and_no_more_than_a_pixel_beyond(
    shape: tuple[int, int], factor: float
) -> None:
    for size, network in zip(shape, Regrid(shape, factor).network_shape, strict=True):
        assert network >= 1
        assert network * factor >= size - 1e-6 * factor
        assert (network - 1) * factor < size


@given(SHAPES, FACTORS, st.lists(st.integers(0, 2000), max_size=6))
def test_consecutive_network_rows_divide_the_file_rows_among_them(
    shape: tuple[int, int], factor: float, cuts: list[int]
) -> None:
    regrid = Regrid(shape, factor)
    height = regrid.network_shape[0]
    edges = sorted({0, height, *(cut % (height + 1) for cut in cuts)})
    rows = [
        row
        for start, stop in itertools.pairwise(edges)
        for row in range(*regrid.file_rows(Span(start, stop)).slice.indices(shape[0]))
    ]
    assert rows == list(range(shape[0]))


@given(SHAPES, FACTORS, st.data())
def test_back_takes_for_each_file_pixel_its_network_pixel(
    shape: tuple[int, int], factor: float, data: st.DataObject
) -> None:
    regrid = Regrid(shape, factor)
    height, width = regrid.network_shape
    start = data.draw(st.integers(0, height - 1))
    rows = Span(start, data.draw(st.integers(start + 1, height)))
    whole = np.arange(2 * height * width).reshape(2, height, width)
    found = regrid.back(whole[:, rows.slice], rows)
    y, x = regrid.index(0), regrid.index(1)
    mine = [row for row in range(shape[0]) if rows.start <= y[row] < rows.stop]
    assert found.shape == (2, len(mine), shape[1])
    for number, row in enumerate(mine):
        for column in range(shape[1]):
            assert found[0, number, column] == whole[0, y[row], x[column]]


@given(SHAPES, FACTORS)
def test_bands_of_rows_brought_back_are_the_whole_brought_back(
    shape: tuple[int, int], factor: float
) -> None:
    regrid = Regrid(shape, factor)
    height, width = regrid.network_shape
    whole = np.arange(height * width).reshape(height, width)
    bands = [Span(start, min(start + 3, height)) for start in range(0, height, 3)]
    parts = [regrid.back(whole[rows.slice], rows) for rows in bands]
    np.testing.assert_array_equal(
        np.concatenate(parts), regrid.back(whole, Span(0, height)).reshape(shape)
    )


def test_pixels_twice_as_large_and_back_are_blocks_of_four() -> None:
    regrid = Regrid.to((5, 4), have=10.0, want=20.0)
    assert regrid.network_shape == (3, 2)
    found = regrid.back(np.arange(6).reshape(3, 2), Span(0, 3))
    expected = np.kron(np.arange(6).reshape(3, 2), np.ones((2, 2), int))[:5]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("have", "want"), [(10.0, 10.2), (10.0, None), (None, 20.0)])
def test_pixels_that_are_alike_or_not_known_are_left_alone(
    have: float | None, want: float | None
) -> None:
    assert Regrid.to((5, 4), have, want).trivial


@pytest.mark.parametrize("factor", [1 / 65, 65.0, math.inf, math.nan, 0.0])
def test_a_factor_that_leaves_nothing_is_refused(factor: float) -> None:
    with pytest.raises(OptionError, match="choose --resolution native"):
        Regrid((10, 10), factor)


# -- metres ---------------------------------------------------------------------------------

BLANK = np.zeros((1, 40, 60), np.uint8)


def test_a_pixel_of_a_projected_raster_is_measured_in_metres(raster: Opened) -> None:
    assert metres_a_pixel(raster(BLANK)) == pytest.approx(10)


def test_a_pixel_of_a_raster_in_feet_is_measured_in_metres(raster: Opened) -> None:
    feet = 10 * 3937 / 1200
    dataset = raster(BLANK, crs="EPSG:2263", transform=from_origin(1e6, 2e5, feet, feet))
    assert metres_a_pixel(dataset) == pytest.approx(10)


def test_a_turned_pixel_has_the_length_of_its_edge(raster: Opened) -> None:
    turned = Affine.translation(6e5, 5e6) * Affine.rotation(30) * Affine.scale(20, -20)
    assert metres_a_pixel(raster(BLANK, transform=turned)) == pytest.approx(20)


def test_pixels_that_are_not_square_count_by_their_area(raster: Opened) -> None:
    dataset = raster(BLANK, transform=from_origin(6e5, 5e6, 5, 20))
    assert metres_a_pixel(dataset) == pytest.approx(10)


@pytest.mark.parametrize("latitude", [-75.0, -30.0, 0.0, 45.0, 60.0])
def test_a_pixel_in_degrees_is_as_long_as_the_earth_says(raster: Opened, latitude: float) -> None:
    edge = 1e-4
    dataset = raster(BLANK, crs="EPSG:4326", transform=from_origin(12, latitude, edge, edge))
    local = f"+proj=aeqd +lat_0={latitude} +lon_0=12"
    (x0, x1), (y0, y1) = reproject(
        "EPSG:4326", local, [12, 12 + edge], [latitude, latitude - edge]
    )
    area = abs((x1 - x0) * (y1 - y0))
    assert metres_a_pixel(dataset) == pytest.approx(math.sqrt(area), rel=0.01)


def test_a_pixel_without_a_reference_system_has_no_length(raster: Opened) -> None:
    assert metres_a_pixel(raster(BLANK, crs=None)) is None


# -- the raster on the network's grid -------------------------------------------------------

DN = PRESETS["dn"]


def speckle(shape: tuple[int, int], seed: int = 1) -> NDArray[np.uint16]:
    random = np.random.default_rng(seed)
    numbers = random.integers(1, 4000, (2, *shape), dtype=np.uint16)
    numbers[:, random.random(shape) < 0.2] = 0
    return numbers


def resampled(numbers: NDArray[Any], factor: float, preset: Preset = DN) -> Resampled:
    return Resampled(ArraySource(numbers), preset, Regrid(numbers.shape[1:], factor))


def whole(source: Resampled) -> NDArray[np.float32]:
    return source.read(Span(0, source.shape[1]))


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.77, 1.3, 2.0, 2.5, 6.0])
@pytest.mark.parametrize("step", [1, 7, 32])
def test_a_resampled_raster_read_by_bands_of_rows_is_the_one_read_whole(
    factor: float, step: int
) -> None:
    source = resampled(speckle((61, 83)), factor)
    height = source.shape[1]
    parts = [
        source.read(Span(start, min(start + step, height))) for start in range(0, height, step)
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole(source))


def test_larger_pixels_are_the_mean_of_the_valid_ones_in_them() -> None:
    numbers = speckle((40, 60))
    blocks = numbers.reshape(2, 20, 2, 30, 2).astype(float)
    blocks[blocks == 0] = np.nan
    total, count = np.nansum(blocks, axis=(2, 4)), (~np.isnan(blocks)).sum(axis=(2, 4))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    np.testing.assert_allclose(whole(resampled(numbers, 2.0)), mean * 1e-4, rtol=1e-5)


@pytest.mark.parametrize("factor", [2.0, 2.5, 3.0])
def test_averages_are_those_of_gdal(raster: Opened, factor: float) -> None:
    numbers = speckle((60, 90)).astype(np.float32)
    dataset = raster(numbers, nodata=0)
    scaled = dataset.transform * Affine.scale(factor)
    source = resampled(numbers, factor)
    with WarpedVRT(
        dataset, transform=scaled, height=source.shape[1], width=source.shape[2],
        resampling=Resampling.average, crs=dataset.crs,
    ) as warped:  # fmt: skip
        expected = warped.read() * 1e-4
    found = np.nan_to_num(whole(source))
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.6, 2.0])
def test_a_flat_raster_stays_flat_up_to_its_edges(factor: float) -> None:
    flat = np.full((1, 41, 63), 1234, np.uint16)
    np.testing.assert_allclose(whole(resampled(flat, factor)), 0.1234, rtol=1e-6)


def test_a_ramp_made_finer_stays_a_ramp() -> None:
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32) / 100, (1, 40, 60))
    found = whole(resampled(ramp, 0.5, PRESETS["reflectance"]))[0]
    expected = (np.arange(120) + 0.5) / 200 - 1 / 200
    np.testing.assert_allclose(found[:, 2:-2] - expected[2:-2], 0, atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 2.0, 2.5])
def test_every_valid_pixel_of_the_file_lies_in_a_valid_one_of_the_network(factor: float) -> None:
    numbers = speckle((40, 60))
    regrid = Regrid((40, 60), factor)
    valid = np.all(np.isfinite(whole(resampled(numbers, factor))), axis=0)
    back = regrid.back(valid, Span(0, regrid.network_shape[0]))
    assert back[(numbers != 0).all(axis=0)].all()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_several_no_data_values_are_kept_out(factor: float) -> None:
    numbers = speckle((40, 60))
    numbers[:, 10:20, 10:20] = 65535
    preset = Preset("two", 1e-4, nodata=(0, 65535))
    found = whole(resampled(numbers, factor, preset))
    assert np.nanmax(found) < 0.4


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 40)),
    factor=st.sampled_from([2.0, 3.0, 5.0]),
)
@settings(max_examples=20)
def test_whole_blocks_are_summed_as_the_weights_say(shape: tuple[int, int], factor: float) -> None:
    regrid, numbers = Regrid(shape, factor), speckle(shape)
    rows = Span(0, regrid.network_shape[0])
    image = numbers[0].astype(np.float32)
    expected = _Weights(regrid).total(image[_Weights(regrid).needed(rows).slice], rows)
    found = _Blocks(regrid).total(image[_Blocks(regrid).needed(rows).slice], rows)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("factor", [0.4, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("step", [1, 5, 40])
def test_a_resampled_raster_tells_which_file_pixels_exist_without_reading_again(
    factor: float, step: int
) -> None:
    numbers = speckle((61, 83))
    regrid, reads = Regrid(numbers.shape[1:], factor), []

    class Watched(ArraySource):
        def read(self, rows: Span) -> NDArray[np.generic]:
            reads.append(rows)
            return super().read(rows)

    source = Resampled(Watched(numbers), DN, regrid)
    found = []
    for start in range(0, source.shape[1], step):
        rows = Span(start, min(start + step, source.shape[1]))
        source.read(rows)
        before = len(reads)
        found.append(source.valid(regrid.file_rows(rows)))
        assert len(reads) == before
    np.testing.assert_array_equal(np.concatenate(found), (numbers != 0).all(axis=0))


def test_of_rows_told_of_nothing_is_kept() -> None:
    source = resampled(speckle((600, 10)), 2.0)
    for start in range(0, 300, 50):
        source.read(Span(start, start + 50))
        source.valid(Span(2 * start, 2 * start + 100))
        assert len(source._seen._valid) == 0


# -- the nearest pixel ----------------------------------------------------------------------

LARGER = st.one_of(st.floats(1.06, 16), st.sampled_from([1.5, 2.0, 2.5, 3.0, 4.0, 6.0]))


def nearest(numbers: NDArray[Any], factor: float, preset: Preset = DN) -> Resampled:
    regrid = Regrid(numbers.shape[1:], factor, "nearest")
    return Resampled(ArraySource(numbers), preset, regrid)


@pytest.mark.parametrize("factor", [1.5, 2.0, 2.5, 3.0, 4.0, 6.0])
def test_the_nearest_pixel_is_the_one_that_gdal_warps(raster: Opened, factor: float) -> None:
    numbers = speckle((60, 90))
    dataset = raster(numbers, nodata=0)
    source = nearest(numbers, factor)
    with WarpedVRT(
        dataset, transform=dataset.transform * Affine.scale(factor), height=source.shape[1],
        width=source.shape[2], resampling=Resampling.nearest, crs=dataset.crs,
    ) as warped:  # fmt: skip
        expected = warped.read()
    # Beyond the file's edge GDAL has nothing, and we have the last pixel.
    rows, columns = (int(size / factor + 0.49) for size in (60, 90))
    expected, found = expected[:, :rows, :columns], whole(source)[:, :rows, :columns]
    there = (expected != 0).all(axis=0)
    np.testing.assert_array_equal(found[:, there], DN.reflectance(expected)[:, there])
    np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(~there, found.shape))


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
def test_the_nearest_pixel_is_the_one_that_gdal_reads_smaller(raster: Opened, factor: int) -> None:
    """As rasterio's read(out_shape=...) does, with which CloudS2Mask reads its bands."""
    numbers = np.random.default_rng(2).integers(1, 9000, (2, 60, 120), dtype=np.uint16)
    shape = (2, 60 // factor, 120 // factor)
    expected = raster(numbers).read(out_shape=shape, resampling=Resampling.nearest)
    np.testing.assert_array_equal(whole(nearest(numbers, factor)), DN.reflectance(expected))


@given(SHAPES, LARGER)
def test_the_nearest_pixel_holds_the_networks_centre_or_is_the_last(
    shape: tuple[int, int], factor: float
) -> None:
    regrid = Regrid(shape, factor, "nearest")
    for axis in (0, 1):
        for pixel, found in enumerate(regrid.centres(axis)):
            centre = (Fraction(pixel) + Fraction(1, 2)) * Fraction(factor)
            near = Fraction(1, 10**9)
            holders = {math.floor(centre - near), math.floor(centre), math.floor(centre + near)}
            assert int(found) in {min(each, shape[axis] - 1) for each in holders}


@given(SHAPES, LARGER, st.integers(1, 40))
@settings(max_examples=40)
def test_nearest_pixels_read_by_bands_of_rows_are_those_read_whole(
    shape: tuple[int, int], factor: float, step: int
) -> None:
    numbers = speckle(shape)
    by_bands, regrid = nearest(numbers, factor), Regrid(shape, factor, "nearest")
    parts, there = [], []
    for start in range(0, by_bands.shape[1], step):
        rows = Span(start, min(start + step, by_bands.shape[1]))
        parts.append(by_bands.read(rows))
        there.append(by_bands.valid(regrid.file_rows(rows)))
    found = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(found, whole(nearest(numbers, factor)))
    np.testing.assert_array_equal(np.concatenate(there), (numbers != 0).all(axis=0))


def test_pixels_that_shrink_are_linear_whatever_the_network_wants_of_larger_ones() -> None:
    numbers = speckle((40, 60))
    np.testing.assert_array_equal(whole(nearest(numbers, 0.5)), whole(resampled(numbers, 0.5)))
