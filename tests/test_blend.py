from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.bands import PRESETS
from cloudmask.blend import BlendStitcher, CropStitcher, RowBand, make_stitcher, ramp
from cloudmask.ensemble import Ensemble
from cloudmask.scene import Plan, predict_rows
from cloudmask.source import ArraySource
from cloudmask.testing import FakeModel, constant, identity
from cloudmask.windows import Span, Stitch, Tiling, plan_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.scene import Rows

STITCHES: list[Stitch] = ["crop", "blend"]


def predicted(
    image: NDArray[np.float32], model: FakeModel, tiling: Tiling, stitch: Stitch, batch: int = 1
) -> list[Rows]:
    y, x = (plan_axis(size, tiling, stitch) for size in image.shape[1:])
    plan = Plan(y, x, tiling, batch)
    ensemble = Ensemble((model,))
    return list(predict_rows(ArraySource(image), plan, ensemble, PRESETS["reflectance"]))


def joined(rows: list[Rows]) -> NDArray[np.float32]:
    return np.concatenate([each.probabilities for each in rows], axis=1)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    tile = draw(st.integers(1, 24))
    return Tiling(tile, 2 * draw(st.integers(0, (tile - 1) // 2)))


SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def image(shape: tuple[int, int], seed: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 1, (4, *shape)).astype(np.float32)


# -- one answer a pixel ---------------------------------------------------------------------


@given(SHAPES, tilings(), st.integers(1, 7))
def test_cropping_an_identity_network_returns_its_input_exactly(
    shape: tuple[int, int], tiling: Tiling, batch: int
) -> None:
    rows = predicted(image(shape), identity(), tiling, "crop", batch)
    np.testing.assert_array_equal(joined(rows), image(shape))


@given(SHAPES, tilings(), st.integers(1, 7))
def test_blending_an_identity_network_returns_its_input(
    shape: tuple[int, int], tiling: Tiling, batch: int
) -> None:
    rows = predicted(image(shape), identity(), tiling, "blend", batch)
    # Some hundred tiles may lie over a pixel, each with a rounding of float32.
    np.testing.assert_allclose(joined(rows), image(shape), rtol=0, atol=2e-6)


@given(SHAPES, tilings(), st.sampled_from(STITCHES), st.integers(0, 2**32 - 1))
def test_an_identity_network_returns_its_input_around_no_data(
    shape: tuple[int, int], tiling: Tiling, stitch: Stitch, seed: int
) -> None:
    scene = image(shape)
    missing = np.random.default_rng(seed).uniform(0, 1, shape) < 0.5
    missing[: shape[0] // 2] = True
    scene[:, missing] = np.nan
    rows = predicted(scene, identity(), tiling, stitch)
    there = joined(rows)[:, ~missing]
    np.testing.assert_allclose(there, scene[:, ~missing], rtol=0, atol=5e-6)
    np.testing.assert_array_equal(np.concatenate([each.valid for each in rows]), ~missing)


@given(SHAPES, tilings(), st.sampled_from(STITCHES))
def test_rows_come_in_order_each_once(
    shape: tuple[int, int], tiling: Tiling, stitch: Stitch
) -> None:
    rows = predicted(image(shape), identity(), tiling, stitch)
    pixels = [row for each in rows for row in range(each.y.start, each.y.stop)]
    assert pixels == list(range(shape[0]))
    assert all(each.probabilities.shape == (4, each.y.size, shape[1]) for each in rows)
    assert all(each.valid.shape == (each.y.size, shape[1]) for each in rows)


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("confidence", [0.99, 0.7, 0.5])
def test_a_cloud_reaches_into_the_four_corners_of_a_scene(
    stitch: Stitch, confidence: float
) -> None:
    # CloudS2Mask multiplies by integer ramps and loses some 300 pixels a corner to rounding.
    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        n, _, height, width = tiles.shape
        result = np.full((n, 4, height, width), (1 - confidence) / 3, np.float32)
        result[:, 1] = confidence
        return result

    rows = predicted(image((300, 300)), FakeModel(answer), Tiling(128, 64), stitch)
    classes = np.concatenate([each.classes((0, 1, 2, 3)) for each in rows])
    assert (classes == 1).all()


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_constant_network_gives_its_class_in_every_pixel(stitch: Stitch, code: int) -> None:
    rows = predicted(image((70, 50)), constant(code), Tiling(16, 8), stitch)
    classes = np.concatenate([each.classes((0, 1, 2, 3)) for each in rows])
    assert (classes == code).all()


# -- weights --------------------------------------------------------------------------------


@given(tilings())
def test_weights_are_positive_everywhere(tiling: Tiling) -> None:
    assert (ramp(tiling) > 0).all()
    assert ramp(tiling).max() <= 1


@given(tilings())
def test_weights_of_neighbours_sum_to_one_in_their_overlap(tiling: Tiling) -> None:
    if tiling.overlap * 2 > tiling.tile:
        return  # three tiles and more share a pixel then; only the normalised sum counts
    weights = ramp(tiling)
    shared = weights[tiling.stride :] + weights[: tiling.overlap]
    np.testing.assert_allclose(shared, 1, rtol=0, atol=1e-6)


@given(tilings())
def test_weights_are_symmetric(tiling: Tiling) -> None:
    np.testing.assert_array_equal(ramp(tiling), ramp(tiling)[::-1])


def test_two_tiles_are_mixed_by_their_distance_from_the_edge() -> None:
    tiling = Tiling(4, 2)
    plan = plan_axis(6, tiling, "blend")
    (row,) = plan_axis(4, tiling, "blend").placements
    stitcher = BlendStitcher(1, plan_axis(4, tiling, "blend"), plan, tiling)
    stitcher.add(np.zeros((1, 4, 4), np.float32), row, plan.placements[0])
    stitcher.add(np.ones((1, 4, 4), np.float32), row, plan.placements[1])
    np.testing.assert_allclose(stitcher.take(4)[0, 1], [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)


def test_pixels_that_no_tile_answered_are_zero() -> None:
    tiling = Tiling(4, 2)
    plan = plan_axis(6, tiling, "blend")
    assert (BlendStitcher(2, plan, plan, tiling).take(6) == 0).all()


@pytest.mark.parametrize(("stitch", "kind"), [("crop", CropStitcher), ("blend", BlendStitcher)])
def test_the_plan_chooses_the_stitcher(stitch: Stitch, kind: type) -> None:
    plan = plan_axis(6, Tiling(4, 2), stitch)
    assert isinstance(make_stitcher(2, plan, plan, Tiling(4, 2)), kind)


# -- memory ---------------------------------------------------------------------------------


def most_rows_held(height: int, stitch: Stitch, monkeypatch: pytest.MonkeyPatch) -> int:
    held: list[int] = []
    plain = RowBand.window

    def watched(self: RowBand, y: Span, x: Span) -> tuple[NDArray[np.float32], Span, Span]:
        result = plain(self, y, x)
        held.append(self._rows.shape[1])
        return result

    monkeypatch.setattr(RowBand, "window", watched)
    predicted(image((height, 20)), identity(), Tiling(16, 8), stitch)
    return max(held)


@pytest.mark.parametrize("stitch", STITCHES)
def test_the_rows_held_do_not_grow_with_the_height(
    stitch: Stitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = most_rows_held(2000, stitch, monkeypatch)
    assert tall == most_rows_held(200, stitch, monkeypatch)
    assert tall <= 16 + 2 * 8


@pytest.mark.parametrize("stitch", STITCHES)
def test_the_source_is_read_in_bands_each_row_once(stitch: Stitch) -> None:
    scene = image((500, 20))
    reads: list[Span] = []

    class Watched(ArraySource):
        def read(self, rows: Span) -> NDArray[np.generic]:
            reads.append(rows)
            return super().read(rows)

    tiling = Tiling(16, 8)
    y, x = (plan_axis(size, tiling, stitch) for size in scene.shape[1:])
    plan, ensemble = Plan(y, x, tiling), Ensemble((identity(),))
    for _ in predict_rows(Watched(scene), plan, ensemble, PRESETS["reflectance"]):
        pass
    rows = [row for span in reads for row in range(span.start, span.stop)]
    assert rows == list(range(500))
    assert max(span.size for span in reads) <= 16 + 2 * 8


@pytest.mark.parametrize("stitch", STITCHES)
@given(length=st.integers(1, 200), tiling=tilings())
def test_the_plan_tells_how_many_rows_are_in_the_making(
    *, stitch: Stitch, length: int, tiling: Tiling
) -> None:
    plan = plan_axis(length, tiling, stitch)
    done, most = 0, 0
    for number, placement in enumerate(plan.placements):
        touched = placement.core if stitch == "crop" else plan.needs(number)
        most = max(most, min(touched.stop, length) - done)
        done = plan.settled(number)
    assert most <= plan.most_rows <= most + tiling.margin * (stitch == "crop")
