from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.bands import PRESETS
from cloudmask.chunk_plan import ChunkAxis
from cloudmask.ensemble import Ensemble
from cloudmask.errors import CubeError, OptionError
from cloudmask.scene import Plan, predict_rows
from cloudmask.source import ArraySource
from cloudmask.testing import FakeModel, blurred, brightest_band, constant, identity, of_tile_mean
from cloudmask.windows import Span, Stitch, Tiling, plan_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STITCHES: list[Stitch] = ["crop", "blend"]
TILING = Tiling(16, 4)


def scene(shape: tuple[int, int] = (50, 40), seed: int = 9) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0.05, 0.6, (4, *shape)).astype(np.float32)


def plan_of(image: NDArray[np.generic], stitch: Stitch, batch: int = 1) -> Plan:
    y, x = (plan_axis(size, TILING, stitch) for size in image.shape[1:])
    return Plan(y, x, TILING, batch)


def predicted(
    image: NDArray[np.generic],
    model: FakeModel,
    plan: Plan | Stitch = "crop",
    preset: str = "reflectance",
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if not isinstance(plan, Plan):
        plan = plan_of(image, plan)
    source, ensemble = ArraySource(image), Ensemble((model,))
    rows = list(predict_rows(source, plan, ensemble, PRESETS[preset], progress))
    probabilities = np.concatenate([each.probabilities for each in rows], axis=1)
    return probabilities, np.concatenate([each.valid for each in rows])


def with_holes(image: NDArray[np.float32], seed: int = 4) -> NDArray[np.bool_]:
    """Choose missing pixels: a swath edge, an empty corner, specks."""
    _, height, width = image.shape
    y, x = np.mgrid[:height, :width]
    specks = np.random.default_rng(seed).uniform(0, 1, (height, width)) < 0.02
    return np.asarray((x + y < 25) | specks | ((y > 35) & (x > 25)))


# -- no data --------------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
def test_a_scene_of_no_data_costs_no_call(stitch: Stitch) -> None:
    model = identity()
    probabilities, valid = predicted(np.full((4, 50, 40), np.nan, np.float32), model, stitch)
    assert model.calls == 0
    assert not valid.any()
    assert probabilities.shape == (4, 50, 40)


@pytest.mark.parametrize("stitch", STITCHES)
def test_tiles_without_a_valid_pixel_are_not_run(stitch: Stitch) -> None:
    image = scene((200, 40))
    image[:, 60:] = np.nan
    model = identity()
    predicted(image, model, stitch)
    whole = plan_of(image, stitch)
    below = [p for p in whole.y.placements if p.window.start < 60 and p.core.start < 60 + 16]
    assert 0 < model.tiles <= len(below) * len(whole.x.placements)


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("garbage", [0.0, 0.7, 1e30, -1e30, np.inf, -np.inf])
@pytest.mark.parametrize("make", [of_tile_mean, blurred])
def test_what_no_data_pixels_hold_changes_nothing(
    stitch: Stitch, garbage: float, make: Callable[[], FakeModel]
) -> None:
    image = scene()
    missing = with_holes(image)
    image[:, missing] = np.nan
    spoilt = image.copy()
    spoilt[1:, missing] = garbage  # one band still says that they are missing
    clean, valid = predicted(image, make(), stitch)
    np.testing.assert_array_equal(predicted(spoilt, make(), stitch)[0], clean)
    np.testing.assert_array_equal(valid, ~missing)


@pytest.mark.parametrize("stitch", STITCHES)
def test_no_data_changes_no_pixel_beyond_the_networks_context(stitch: Stitch) -> None:
    image = scene((60, 60))
    hole = image.copy()
    hole[:, 28:32, 28:32] = np.nan
    whole, _ = predicted(image, blurred(radius=1), stitch)
    answer, valid = predicted(hole, blurred(radius=1), stitch)
    far = np.ones((60, 60), bool)
    far[27:33, 27:33] = False
    np.testing.assert_allclose(answer[:, far], whole[:, far], rtol=0, atol=1e-6)
    assert not valid[28:32, 28:32].any()


@pytest.mark.parametrize("stitch", STITCHES)
def test_a_lone_valid_pixel_gets_its_answer(stitch: Stitch) -> None:
    image = np.full((4, 50, 40), np.nan, np.float32)
    image[:, 33, 17] = [0.1, 0.2, 0.3, 0.4]
    probabilities, _ = predicted(image, identity(), stitch)
    np.testing.assert_allclose(probabilities[:, 33, 17], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("stitch", STITCHES)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_valid_pixels_are_answered_however_no_data_lies(stitch: Stitch, seed: int) -> None:
    random = np.random.default_rng(seed)
    image = scene((45, 37))
    for _ in range(random.integers(1, 6)):
        y, x = random.integers(0, 45), random.integers(0, 37)
        image[:, y : y + random.integers(1, 40), x : x + random.integers(1, 40)] = np.nan
    probabilities, valid = predicted(image, constant(1), stitch)
    np.testing.assert_allclose(probabilities[1][valid], 1, rtol=0, atol=1e-6)


def test_blended_tiles_slide_off_no_data_where_they_can() -> None:
    image = scene((16, 100))
    image[:, :, :2] = np.nan
    firsts: list[float] = []

    def answer(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        firsts.extend(stack[:, 0, 0, 0].tolist())
        return stack

    predicted(image, FakeModel(answer), "blend")
    assert firsts[0] == image[0, 0, 2]


# -- numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float16", "float64"])
def test_numbers_of_any_dtype_reach_the_network_as_float32(dtype: str) -> None:
    seen: set[str] = set()

    def answer(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.add(stack.dtype.name)
        return stack

    numbers = np.arange(4 * 20 * 20).reshape(4, 20, 20) % 100 + 1
    predicted(numbers.astype(dtype), FakeModel(answer), preset="dn")
    assert seen == {"float32"}


def test_the_network_sees_reflectance() -> None:
    numbers = np.full((4, 20, 20), 3500, np.uint16)
    probabilities, _ = predicted(numbers, identity(), preset="dn_n0400")
    np.testing.assert_allclose(probabilities, 0.25, rtol=1e-6)


# -- batches, plans, progress ---------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("batch", [2, 3, 100])
def test_the_batch_does_not_change_the_answer(stitch: Stitch, batch: int) -> None:
    image = scene()
    image[:, with_holes(image)] = np.nan
    one, _ = predicted(image, of_tile_mean(), plan_of(image, stitch))
    many, _ = predicted(image, of_tile_mean(), plan_of(image, stitch, batch))
    np.testing.assert_array_equal(many, one)


def test_a_batch_holds_no_more_tiles_than_wanted() -> None:
    sizes: list[int] = []

    def answer(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(stack))
        return stack

    image = scene((16, 100))
    predicted(image, FakeModel(answer), plan_of(image, "crop", 4))
    assert max(sizes) == 4
    plan = plan_of(image, "crop")
    assert sum(sizes) == len(plan.y.placements) * len(plan.x.placements)


@pytest.mark.parametrize("batch", [0, -1])
def test_an_empty_batch_is_refused(batch: int) -> None:
    with pytest.raises(OptionError, match=f"batch={batch}: must be 1 or more"):
        plan_of(scene(), "crop", batch)


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_another_number_of_bands_is_refused(bands: int) -> None:
    with pytest.raises(CubeError, match=f"{bands} bands given, model 'fake' takes 4: B02, B03"):
        predicted(np.ones((bands, 20, 20), np.float32), identity())


@pytest.mark.parametrize("stitch", STITCHES)
@given(start=st.integers(0, 49), size=st.integers(1, 50), column=st.integers(0, 39))
def test_a_part_of_a_plan_answers_as_the_whole(
    stitch: Stitch, start: int, size: int, column: int
) -> None:
    image = scene()
    image[:, with_holes(image)] = np.nan
    plan = plan_of(image, stitch)
    rows, columns = Span(start, min(50, start + size)), Span(column, 40)
    part = Plan(plan.y.part(rows), plan.x.part(columns), TILING)
    whole, _ = predicted(image, of_tile_mean(), plan)
    answer, valid = predicted(image, of_tile_mean(), part)
    expected = whole[:, rows.slice, columns.slice]
    np.testing.assert_array_equal(answer[:, valid], expected[:, valid])


@pytest.mark.parametrize("stitch", STITCHES)
def test_probabilities_are_zero_where_no_data(stitch: Stitch) -> None:
    image = scene()
    image[:, with_holes(image)] = np.nan
    probabilities, valid = predicted(image, of_tile_mean(), stitch)
    assert (probabilities[:, ~valid] == 0).all()


@pytest.mark.parametrize("stitch", STITCHES)
def test_progress_tells_every_pixel_once(stitch: Stitch) -> None:
    image = scene()
    image[:, :20] = np.nan
    told: list[int] = []
    predicted(image, identity(), stitch, progress=told.append)
    assert sum(told) == 50 * 40


def test_neighbours_that_are_seen_but_not_answered_give_context() -> None:
    image = scene((64, 64))
    whole, _ = predicted(image, of_tile_mean())
    lead = TILING.margin
    start = 2 * TILING.stride
    chunk = image[:, start - lead : start + TILING.stride + lead, :]
    y = ChunkAxis(chunk.shape[1], lead, Span(0, chunk.shape[1])).plan(TILING, "crop")
    answer, _ = predicted(chunk, of_tile_mean(), Plan(y, plan_axis(64, TILING, "crop"), TILING))
    np.testing.assert_array_equal(answer, whole[:, start : start + TILING.stride])


def test_classes_of_rows_are_codes_with_255_for_no_data() -> None:
    image = scene((20, 20))
    image[:, 0] = np.nan
    plan, ensemble = plan_of(image, "crop"), Ensemble((brightest_band(),))
    rows = list(predict_rows(ArraySource(image), plan, ensemble, PRESETS["reflectance"]))
    classes = np.concatenate([each.classes((0, 1, 2, 3)) for each in rows])
    assert (classes[0] == 255).all()
    np.testing.assert_array_equal(classes[1:], image[:, 1:].argmax(axis=0))
