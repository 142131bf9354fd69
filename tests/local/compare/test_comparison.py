from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

rasterio = pytest.importorskip("rasterio")

from rasterio.enums import ColorInterp  # noqa: E402
from rasterio.warp import transform as transformed  # noqa: E402

from cloudmask.errors import CubeError, OptionError  # noqa: E402
from cloudmask.local.compare import SCHEMES, compare  # noqa: E402
from cloudmask.local.compare import aligned as aligned_module  # noqa: E402
from cloudmask.local.compare.aligned import NotPlacedWarning  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

WEST, NORTH = 600_000.0, 5_000_000.0


def grid(pixel: float = 10.0, east: float = 0.0, south: float = 0.0) -> tuple[float, ...]:
    """Give a north-up transform, moved by metres."""
    return (pixel, 0.0, WEST + east, 0.0, -pixel, NORTH - south)


def codes_of(scheme: str, shape: tuple[int, int], seed: int) -> NDArray[np.uint16]:
    choice = np.random.default_rng(seed).choice(list(SCHEMES[scheme].codes), shape)
    return choice.astype(np.uint16)


def plain_count(
    a: NDArray[Any], b: NDArray[Any], schemes: tuple[str, str], groups: tuple[tuple[int, ...], ...]
) -> list[list[int]]:
    """Count pixel by pixel, in the plainest way."""
    counts = [[0] * len(groups) for _ in groups]
    for left, right in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        meant = [SCHEMES[schemes[0]].codes[left], SCHEMES[schemes[1]].codes[right]]
        if all(meant):
            row, column = (
                next(n for n, group in enumerate(groups) if each[0] in group) for each in meant
            )
            counts[row][column] += 1
    return counts


def counts_of(comparison: Any) -> list[list[int]]:
    return [list(row) for row in comparison.confusion.counts]


# -- counting -------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    schemes=st.tuples(st.sampled_from(list(SCHEMES)), st.sampled_from(list(SCHEMES))).filter(
        lambda pair: set(pair) not in ({"s2cloudless", "ukis-valid"}, {"qa60", "ukis-valid"})
    ),
    seed=st.integers(0, 1000),
)
def test_pixels_are_counted_as_one_by_one(
    raster: Callable[..., Path], schemes: tuple[str, str], seed: int
) -> None:
    a, b = (codes_of(each, (9, 11), seed + place) for place, each in enumerate(schemes))
    paths = raster("a.tif", a), raster("b.tif", b)
    comparison = compare(*paths, a_scheme=schemes[0], b_scheme=schemes[1])
    assert counts_of(comparison) == plain_count(a, b, schemes, comparison.groups)
    absent = [
        np.isin(c, [k for k, v in SCHEMES[s].codes.items() if not v])
        for c, s in ((a, schemes[0]), (b, schemes[1]))
    ]
    assert comparison.pixels.no_data_a == absent[0].sum()
    assert comparison.pixels.no_data_b == (absent[1] & ~absent[0]).sum()
    assert comparison.pixels.outside == 0


def test_pieces_add_up(raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = codes_of("cloudmask", (23, 31), 1), codes_of("scl", (23, 31), 2)
    paths = raster("a.tif", a), raster("b_SCL.tif", b)
    whole = compare(*paths, a_scheme="cloudmask")
    monkeypatch.setattr(aligned_module, "ROWS", 5)
    monkeypatch.setattr(aligned_module, "COLUMNS", 7)
    pieces = compare(*paths, a_scheme="cloudmask")
    assert pieces == whole
    for small, large in zip(pieces.looks, whole.looks, strict=True):
        np.testing.assert_array_equal(small, large)


@pytest.mark.parametrize("longest", [1, 4, 10, 31])
def test_looks_are_every_so_many_pixels(
    raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    from cloudmask.local.compare import counting

    a, b = codes_of("cloudmask", (23, 31), 1), codes_of("cloudmask", (23, 31), 2)
    paths = raster("a.tif", a), raster("b.tif", b)
    monkeypatch.setattr(counting, "LONGEST", longest)
    monkeypatch.setattr(aligned_module, "ROWS", 5)
    monkeypatch.setattr(aligned_module, "COLUMNS", 7)
    looks = compare(*paths, a_scheme="cloudmask", b_scheme="cloudmask").looks
    step = math.ceil(31 / longest)
    for look, codes in zip(looks, (a, b), strict=True):
        np.testing.assert_array_equal(look, np.where(codes == 255, 254, codes)[::step, ::step])


def test_swapped_masks_give_the_transposed_matrix(raster: Callable[..., Path]) -> None:
    paths = (
        raster("a.tif", codes_of("fmask", (20, 20), 1)),
        raster("q.tif", codes_of("qa60", (20, 20), 2)),
    )
    there = compare(*paths, a_scheme="fmask", b_scheme="qa60")
    back = compare(*paths[::-1], a_scheme="qa60", b_scheme="fmask")
    assert counts_of(back) == np.transpose(there.confusion.counts).tolist()
    assert back.confusion.kappa == there.confusion.kappa


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_codes_may_be_of_any_type(raster: Callable[..., Path], dtype: str) -> None:
    codes = np.array([[0, 1, 2, 3, 3]])
    paths = raster("a.tif", codes.astype(np.uint8)), raster("b.tif", codes.astype(dtype))
    comparison = compare(*paths, a_scheme="clouds2mask", b_scheme="clouds2mask")
    assert counts_of(comparison) == np.diag([1, 1, 1, 2]).tolist()


def test_memory_does_not_grow_with_the_rasters(raster: Callable[..., Path]) -> None:
    def peak(rows: int) -> int:
        codes = codes_of("cloudmask", (rows, 512), 3).astype(np.uint8)
        paths = (
            raster(f"a{rows}.tif", codes),
            raster(f"b{rows}.tif", codes, transform=grid(east=10)),
        )
        tracemalloc.start()
        compare(*paths, a_scheme="cloudmask", b_scheme="cloudmask")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(6 * 512) < 1.3 * peak(2 * 512)


# -- what is no data ------------------------------------------------------------------------


def test_the_files_own_no_data_value_is_heeded(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.array([[0, 1, 9]], np.uint8), nodata=9)
    b = raster("b.tif", np.array([[0, 1, 1]], np.uint8))
    comparison = compare(a, b, a_scheme="clouds2mask", b_scheme="clouds2mask")
    assert (comparison.pixels.compared, comparison.pixels.no_data_a) == (2, 1)


def test_nan_is_no_data(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.array([[0, 1, np.nan]], np.float32))
    b = raster("b.tif", np.array([[0, 1, 1]], np.uint8))
    comparison = compare(a, b, a_scheme="clouds2mask", b_scheme="clouds2mask")
    assert (comparison.pixels.compared, comparison.pixels.no_data_a) == (2, 1)


@pytest.mark.parametrize("east", [0.0, 10.0], ids=["one grid", "another grid"])
def test_the_files_own_mask_is_heeded(raster: Callable[..., Path], east: float) -> None:
    """OmniCloudMask hides no data by a mask, and writes 0 there."""
    codes = np.zeros((4, 6), np.uint8)
    hidden = np.full((4, 6), 255, np.uint8)
    hidden[:, 2] = 0
    a = raster("a.tif", codes)
    b = raster("b.tif", codes, mask=hidden, transform=grid(east=east))
    comparison = compare(a, b, a_scheme="clouds2mask", b_scheme="omnicloudmask")
    assert comparison.pixels.no_data_b == 4
    assert comparison.pixels.outside == (4 if east else 0)


@pytest.mark.parametrize("east", [0.0, 10.0], ids=["one grid", "another grid"])
def test_an_alpha_band_is_heeded(raster: Callable[..., Path], east: float) -> None:
    alpha = np.full((4, 6), 255, np.uint8)
    alpha[:, 2] = 0
    b = raster(
        "b.tif",
        np.stack([np.zeros((4, 6), np.uint8), alpha]),
        colorinterp=[ColorInterp.gray, ColorInterp.alpha],
        transform=grid(east=east),
    )
    a = raster("a.tif", np.zeros((4, 6), np.uint8))
    comparison = compare(a, b, a_scheme="clouds2mask", b_scheme="ukis-csm")
    assert comparison.pixels.no_data_b == 4


@pytest.mark.parametrize("nodata", [None, 255, 0])
def test_beyond_the_second_mask_nothing_is_clear(
    raster: Callable[..., Path], nodata: int | None
) -> None:
    """Turned by a shear, the second mask leaves corners of its bounds empty."""
    a = raster("a.tif", np.zeros((40, 40), np.uint8))
    turned = (7.0, 7.0, WEST, 7.0, -7.0, NORTH - 200)
    b = raster("b.tif", np.ones((20, 20), np.uint8), transform=turned, nodata=nodata)
    comparison = compare(a, b, a_scheme="clouds2mask", b_scheme="clouds2mask")
    assert [row[0] for row in comparison.confusion.counts] == [0, 0, 0, 0]
    assert comparison.confusion.counts[0][1] == pytest.approx(400 * 98 / 100, rel=0.05)
    assert comparison.pixels.no_data_b > 300


def test_a_band_among_others_keeps_its_no_data_on_another_grid(
    raster: Callable[..., Path],
) -> None:
    scl = np.array([[4, 5, 8, 9]], np.uint8)
    b = raster(
        "b.tif",
        np.stack([np.full_like(scl, 77), scl]),
        descriptions=["B02", "SCL"],
        nodata=4,
        transform=grid(east=10),
    )
    a = raster("a.tif", np.array([[0, 0, 0, 1]], np.uint8))
    comparison = compare(a, b, a_scheme="clouds2mask")
    assert comparison.pixels.no_data_b == 1
    assert comparison.confusion.counts[0][:2] == (1, 0)
    assert comparison.confusion.counts[1][:2] == (0, 1)


# -- grids ----------------------------------------------------------------------------------


def test_a_coarser_mask_is_read_at_each_pixels_centre(raster: Callable[..., Path]) -> None:
    a = codes_of("clouds2mask", (12, 18), 1)
    b = codes_of("clouds2mask", (2, 3), 2)
    paths = raster("a.tif", a), raster("b.tif", b, transform=grid(60))
    comparison = compare(*paths, a_scheme="clouds2mask", b_scheme="clouds2mask")
    finer = np.repeat(np.repeat(b, 6, 0), 6, 1)
    expected = plain_count(a, finer, ("clouds2mask", "clouds2mask"), comparison.groups)
    assert counts_of(comparison) == expected


def test_a_finer_mask_is_read_at_each_pixels_centre(raster: Callable[..., Path]) -> None:
    a = codes_of("clouds2mask", (4, 6), 1)
    b = codes_of("clouds2mask", (12, 18), 2)
    paths = raster("a.tif", a, transform=grid(30)), raster("b.tif", b)
    comparison = compare(*paths, a_scheme="clouds2mask", b_scheme="clouds2mask")
    expected = plain_count(a, b[1::3, 1::3], ("clouds2mask", "clouds2mask"), comparison.groups)
    assert counts_of(comparison) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(right=st.integers(-7, 7), down=st.integers(-5, 5))
def test_only_where_both_are_is_compared(
    raster: Callable[..., Path], right: int, down: int
) -> None:
    a, b = codes_of("clouds2mask", (6, 8), 1), codes_of("clouds2mask", (6, 8), 2)
    paths = (
        raster("a.tif", a),
        raster("b.tif", b, transform=grid(east=10 * right, south=10 * down)),
    )
    comparison = compare(*paths, a_scheme="clouds2mask", b_scheme="clouds2mask")
    padded = np.full((18, 24), 999)
    padded[6 + down : 12 + down, 8 + right : 16 + right] = b
    there = padded[6:12, 8:16]
    both = there != 999
    expected = plain_count(a[both], there[both], ("clouds2mask",) * 2, comparison.groups)
    assert counts_of(comparison) == expected
    assert comparison.pixels.outside == (~both).sum()


def test_another_crs_is_read_where_its_pixel_lies(raster: Callable[..., Path]) -> None:
    """The neighbouring zone, each pixel's centre transformed on its own."""
    shape = (30, 30)
    a, b = codes_of("clouds2mask", shape, 1), codes_of("clouds2mask", (60, 60), 2)
    ((x,), (y,)) = transformed("EPSG:32631", "EPSG:32632", [WEST], [NORTH])
    turned = (10.0, 0.0, x - 150.0, 0.0, -10.0, y + 150.0)
    paths = raster("a.tif", a), raster("b.tif", b, crs="EPSG:32632", transform=turned)
    comparison = compare(*paths, a_scheme="clouds2mask", b_scheme="clouds2mask")
    rows, columns = np.indices(shape)
    xs, ys = transformed(
        "EPSG:32631",
        "EPSG:32632",
        (WEST + 10 * (columns + 0.5)).ravel(),
        (NORTH - 10 * (rows + 0.5)).ravel(),
    )
    column = np.floor((np.array(xs) - turned[2]) / 10).astype(int)
    row = np.floor((turned[5] - np.array(ys)) / 10).astype(int)
    inside = (row >= 0) & (row < 60) & (column >= 0) & (column < 60)
    assert 300 < inside.sum() <= 900
    expected = plain_count(
        a.ravel()[inside], b[row[inside], column[inside]], ("clouds2mask",) * 2, comparison.groups
    )
    # GDAL interpolates between exact positions, and may be an eighth of a pixel off.
    assert np.abs(np.subtract(counts_of(comparison), expected)).sum() <= 0.02 * inside.sum()
    assert comparison.pixels.compared == pytest.approx(inside.sum(), abs=5)


def test_different_places_are_named_with_their_extents(raster: Callable[..., Path]) -> None:
    codes = np.zeros((5, 5), np.uint8)
    a, b = raster("a.tif", codes), raster("b.tif", codes, transform=grid(east=50))
    with pytest.raises(
        CubeError, match=r"a.tif and .*b.tif show different places: 4\.\d+ to .* east, .*, and 4"
    ):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


def test_the_same_numbers_in_another_zone_are_another_place(raster: Callable[..., Path]) -> None:
    codes = np.zeros((5, 5), np.uint8)
    a, b = raster("a.tif", codes), raster("b.tif", codes, crs="EPSG:32632")
    with pytest.raises(CubeError, match=r"different places: 4\.\d+ to .*, and 10\.\d+ to"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


def test_places_on_two_sides_of_the_earth_are_different(raster: Callable[..., Path]) -> None:
    codes = np.zeros((5, 5), np.uint8)
    a = raster("a.tif", codes)
    b = raster("b.tif", codes, crs="EPSG:4326", transform=(0.1, 0, -176, 0, -0.1, -45))
    with pytest.raises(CubeError, match=r"different places: .*-176.0000 to -175.5000 east"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


def test_nowhere_a_class_in_both_is_an_error(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.array([[0, 255]], np.uint8))
    b = raster("b.tif", np.array([[255, 0]], np.uint8))
    with pytest.raises(CubeError, match="no pixel has a class in both"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_masks_without_a_place_are_compared_pixel_by_pixel(raster: Callable[..., Path]) -> None:
    codes = np.array([[0, 1, 2, 3]], np.uint8)
    none = {"crs": None, "transform": None}
    a, b = raster("a.tif", codes, **none), raster("b.tif", codes, **none)
    assert compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask").confusion.accuracy == 1


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_that_lost_its_place_is_compared_with_a_warning(
    raster: Callable[..., Path],
) -> None:
    codes = np.array([[0, 1, 2, 3]], np.uint8)
    a, b = raster("a.tif", codes), raster("b.tif", codes, crs=None, transform=None)
    with pytest.warns(NotPlacedWarning, match=r"b.tif: has no coordinate .* 1 x 4 pixels"):
        comparison = compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")
    assert comparison.confusion.accuracy == 1


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_that_lost_its_place_and_has_another_size_is_refused(
    raster: Callable[..., Path],
) -> None:
    a = raster("a.tif", np.zeros((2, 2), np.uint8))
    b = raster("b.tif", np.zeros((2, 3), np.uint8), crs=None, transform=None)
    with pytest.raises(CubeError, match=r"b.tif: has no .*another size \(2 x 2 and 2 x 3 pixels"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


# -- bad input ------------------------------------------------------------------------------


def test_what_is_no_raster_is_named(raster: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "b.tif").write_text("nothing of the kind")
    with pytest.raises(CubeError, match=r"b.tif: cannot be read"):
        compare(raster("a.tif", np.zeros((2, 2), np.uint8)), tmp_path / "b.tif", a_scheme="scl")


def test_a_truncated_raster_is_named(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", codes_of("cloudmask", (500, 500), 1))
    b = raster("b.tif", codes_of("cloudmask", (500, 500), 2))
    b.write_bytes(b.read_bytes()[:200_000])
    with pytest.raises(CubeError, match=r"b.tif: cannot be read"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_probabilities_are_refused(raster: Callable[..., Path], order: tuple[int, int]) -> None:
    paths = [
        raster("a.tif", np.zeros((2, 2), np.uint8)),
        raster("p.tif", np.full((2, 2), 0.25, np.float32)),
    ]
    a, b = (paths[place] for place in order)
    with pytest.raises(CubeError, match=r"p.tif: holds numbers like 0.25, prob.*s2cloudless has"):
        compare(a, b, a_scheme="s2cloudless", b_scheme="s2cloudless")


def test_codes_that_the_scheme_does_not_have_are_counted(raster: Callable[..., Path]) -> None:
    b = np.arange(100, dtype=np.uint8).reshape(10, 10)
    b[0] = 42
    paths = raster("a.tif", np.zeros((10, 10), np.uint8)), raster("b.tif", b)
    with pytest.raises(
        CubeError, match=r"b.tif: has the codes 42 \(11 pixels\), 12 \(1 .* and 83 more, but scl"
    ):
        compare(*paths, a_scheme="cloudmask", b_scheme="scl")


def test_the_first_masks_codes_are_checked_too(raster: Callable[..., Path]) -> None:
    paths = [raster(name, np.array([[0, 7]], np.uint8)) for name in ("a.tif", "b.tif")]
    with pytest.raises(CubeError, match=r"a.tif: has the codes 7 \(1 pixels\), but fmask"):
        compare(*paths, a_scheme="fmask", b_scheme="scl")


@pytest.mark.parametrize("code", [-1, 70_000, -(2**31), 2**31 - 1])
def test_codes_beyond_any_table_are_strange_too(raster: Callable[..., Path], code: int) -> None:
    a = raster("a.tif", np.zeros((1, 3), np.uint8))
    b = raster("b.tif", np.array([[0, code, 1]], np.int32))
    with pytest.raises(CubeError, match=rf"has the codes {code} \(1 pixels\), but clouds2mask"):
        compare(a, b, a_scheme="cloudmask", b_scheme="clouds2mask")


def test_complex_numbers_are_no_codes(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.zeros((1, 3), np.uint8))
    b = raster("b.tif", np.zeros((1, 3), np.complex64))
    with pytest.raises(CubeError, match=r"b.tif: holds complex64, no class codes"):
        compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask")


def test_a_mask_is_not_compared_with_itself(raster: Callable[..., Path], tmp_path: Path) -> None:
    path = raster("a.tif", np.zeros((2, 2), np.uint8))
    again = tmp_path / "b.tif"
    again.symlink_to(path)
    with pytest.raises(OptionError, match="one and the same mask twice"):
        compare(path, again, a_scheme="cloudmask", b_scheme="cloudmask")


def test_two_bands_of_one_file_are_two_masks(raster: Callable[..., Path]) -> None:
    path = raster(
        "s2.tif",
        np.array([[[4, 8, 9]], [[0, 1024, 0]]], np.uint16),
        descriptions=["SCL", "QA60"],
    )
    comparison = compare(path, path, a_scheme="scl", b_scheme="qa60")
    assert counts_of(comparison) == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


# -- what is said ---------------------------------------------------------------------------


def test_everything_becomes_json(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.array([[0, 0, 1, 1, 3, 255]], np.uint8))
    b = raster("b.tif", np.array([[0, 1, 1, 1, 0, 1]], np.uint8))
    comparison = compare(a, b, a_scheme="cloudmask", b_scheme="ukis-csm")
    found = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert found["a"] == {"path": str(a), "scheme": "cloudmask"}
    assert found["classes"][1] == {"name": "cloud", "codes": [1, 2]}
    assert found["confusion"] == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["pixels"] == {"compared": 5, "no_data_a": 1, "no_data_b": 0, "outside_b": 0}
    assert found["scores"]["cloud"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
        "iou": pytest.approx(2 / 3),
        "pixels_a": 2,
        "pixels_b": 3,
    }
    assert found["overall_accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_overall_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_a_class_that_does_not_occur_is_no_success(raster: Callable[..., Path]) -> None:
    a = raster("a.tif", np.array([[0, 0, 3]], np.uint8))
    b = raster("b.tif", np.array([[0, 0, 0]], np.uint8))
    found = compare(a, b, a_scheme="cloudmask", b_scheme="cloudmask").as_dict()
    assert set(list(found["scores"]["thin cloud"].values())[:4]) == {None}
    shadow = found["scores"]["cloud shadow"]
    assert (shadow["precision"], shadow["recall"], shadow["iou"]) == (None, 0, 0)
    assert found["kappa"] == 0


def test_masks_of_one_class_all_over_have_no_kappa(raster: Callable[..., Path]) -> None:
    paths = [raster(name, np.zeros((3, 3), np.uint8)) for name in ("a.tif", "b.tif")]
    found = compare(*paths, a_scheme="cloudmask", b_scheme="cloudmask").as_dict()
    assert (found["kappa"], found["overall_accuracy"]) == (None, 1)


def test_every_pair_of_schemes_is_compared_or_refused_by_name() -> None:
    from cloudmask.local.compare.groups import finest

    refused = {
        frozenset((a.name, b.name))
        for a, b in itertools.product(SCHEMES.values(), SCHEMES.values())
        if len(finest(a, b)) == 1
    }
    assert refused == {frozenset(("s2cloudless", "ukis-valid")), frozenset(("qa60", "ukis-valid"))}
