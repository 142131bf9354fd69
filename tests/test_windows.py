from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudmask.errors import OptionError
from cloudmask.windows import (
    LARGEST_TILE,
    AxisPlan,
    Span,
    Stitch,
    Tiling,
    plan_axis,
    slid,
)

STITCHES: st.SearchStrategy[Stitch] = st.sampled_from(["crop", "blend"])
TILINGS = [
    Tiling(1, 0),
    Tiling(2, 0),
    Tiling(7, 4),
    Tiling(16, 4),
    Tiling(64, 62),
    Tiling(256, 64),
]


@st.composite
def tilings(draw: st.DrawFn, largest: int = 64) -> Tiling:
    tile = draw(st.integers(1, largest))
    return Tiling(tile, 2 * draw(st.integers(0, (tile - 1) // 2)))


@st.composite
def plans(draw: st.DrawFn) -> AxisPlan:
    return plan_axis(draw(st.integers(1, 300)), draw(tilings()), draw(STITCHES))


def touched(plan: AxisPlan, number: int) -> set[int]:
    """The output pixels that a tile can change, wherever it slides to: the slow way."""
    placement = plan.placements[number]
    answered: set[int] = set()
    if plan.stitch == "crop":
        answered |= set(range(placement.core.start, placement.core.stop))
    else:
        for by in range(-plan.reach, plan.reach + 1):
            moved = placement.window.moved(by)
            answered |= set(range(moved.start, moved.stop))
    return answered & set(range(plan.out.start, plan.out.stop))


# -- spans ----------------------------------------------------------------------------------


@given(st.tuples(*[st.integers(-50, 50)] * 4))
def test_common_pixels_of_two_spans_are_those_in_both(ends: tuple[int, int, int, int]) -> None:
    one, other = Span(ends[0], ends[1]), Span(ends[2], ends[3])
    common = one.common(other)
    expected = set(range(one.start, one.stop)) & set(range(other.start, other.stop))
    assert set(range(common.start, common.stop)) == expected
    assert common.size == len(expected)


def test_a_reversed_span_has_size_zero() -> None:
    assert Span(5, 3).size == 0


def test_a_span_expressed_within_another_counts_from_its_first_pixel() -> None:
    assert Span(12, 15).within(Span(10, 20)) == Span(2, 5)


def test_a_span_outside_the_array_is_no_index() -> None:
    with pytest.raises(AssertionError, match="is no index"):
        _ = Span(-1, 3).slice


# -- tiling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [0, -1, LARGEST_TILE + 1, 10**30])
def test_a_tile_edge_out_of_range_is_refused(tile: int) -> None:
    with pytest.raises(
        OptionError,
        match=rf"tile={tile}: (must be 1 or more|a tile has 1 to {LARGEST_TILE} pixels)",
    ):
        Tiling(tile, 0)


@pytest.mark.parametrize("overlap", [16, 17, 18, 10**30, -2, -1])
def test_an_overlap_outside_zero_to_tile_is_refused(overlap: int) -> None:
    with pytest.raises(
        OptionError,
        match=r"overlap=.*(must be at least 0 and less than the tile|must be 0 or more)",
    ):
        Tiling(16, overlap)


@pytest.mark.parametrize(("overlap", "advice"), [(1, 2), (13, 14), (15, 14)])
def test_an_odd_overlap_is_refused_with_a_value_that_works(overlap: int, advice: int) -> None:
    with pytest.raises(OptionError, match=f"must be even.*use {advice}$"):
        Tiling(16, overlap)
    assert Tiling(16, advice).overlap == advice


def test_a_tile_that_is_no_multiple_is_refused_with_a_value_that_works() -> None:
    with pytest.raises(OptionError, match="needs a multiple of 32; use 96"):
        Tiling(100, 0, 32)
    assert Tiling(96, 0, 32).tile == 96


def test_the_advice_for_a_tile_below_the_multiple_is_the_multiple() -> None:
    with pytest.raises(OptionError, match="needs a multiple of 32; use 32"):
        Tiling(5, 0, 32)


@pytest.mark.parametrize("multiple", [0, -4])
def test_a_multiple_below_one_is_refused(multiple: int) -> None:
    with pytest.raises(OptionError, match="multiple"):
        Tiling(16, 4, multiple)


@pytest.mark.parametrize("value", [16.0, "16", None, 15.5, float("nan")])
def test_a_size_that_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="must be a whole number"):
        Tiling(value, 0)  # type: ignore[arg-type]


def test_numpy_integers_become_python_integers() -> None:
    tiling = Tiling(np.uint8(200), np.int16(100), np.int64(4))  # type: ignore[arg-type]
    assert [type(value) for value in (tiling.tile, tiling.overlap, tiling.multiple)] == [int] * 3
    assert tiling.tile + tiling.overlap == 300


def test_stride_and_margin_follow_from_tile_and_overlap() -> None:
    tiling = Tiling(256, 64)
    assert (tiling.stride, tiling.margin) == (192, 32)


# -- plans ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_crop_cores_cover_every_length_exactly(tiling: Tiling) -> None:
    for length in range(1, 701):
        cores = [placement.core for placement in plan_axis(length, tiling, "crop").placements]
        assert cores[0].start == 0
        assert cores[-1].stop == length
        assert all(one.stop == other.start for one, other in pairwise(cores))
        assert all(core.size > 0 for core in cores)


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_blend_windows_cover_every_length(tiling: Tiling) -> None:
    for length in range(1, 701):
        windows = [placement.window for placement in plan_axis(length, tiling, "blend").placements]
        assert windows[0].start == 0
        assert windows[-1].stop >= length
        assert all(other.start <= one.stop for one, other in pairwise(windows))


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_blend_windows_lie_inside_any_array_of_at_least_a_tile(tiling: Tiling) -> None:
    for length in range(tiling.tile, 701):
        windows = [placement.window for placement in plan_axis(length, tiling, "blend").placements]
        assert all(window.start >= 0 and window.stop <= length for window in windows)


def test_an_array_smaller_than_a_blend_tile_takes_one_tile_from_its_first_pixel() -> None:
    (placement,) = plan_axis(10, Tiling(16, 4), "blend").placements
    assert placement.window == Span(0, 16)


@given(plans())
def test_all_windows_have_the_size_of_a_tile(plan: AxisPlan) -> None:
    assert len({placement.window.size for placement in plan.placements}) == 1


@given(st.integers(1, 300), tilings(), STITCHES)
def test_all_windows_have_exactly_the_wanted_size(
    length: int, tiling: Tiling, stitch: Stitch
) -> None:
    plan = plan_axis(length, tiling, stitch)
    assert {placement.window.size for placement in plan.placements} == {tiling.tile}


@given(plans())
def test_cores_divide_the_output_for_both_stitchers(plan: AxisPlan) -> None:
    cores = [placement.core for placement in plan.placements]
    pixels = [pixel for core in cores for pixel in range(core.start, core.stop)]
    assert pixels == list(range(plan.out.start, plan.out.stop))


@given(plans())
def test_each_core_lies_in_its_own_window(plan: AxisPlan) -> None:
    for placement in plan.placements:
        assert placement.core.common(placement.window) == placement.core


@given(st.data(), tilings(), st.integers(1, 8))
def test_crop_plan_of_an_aligned_chunk_is_part_of_the_whole_plan(
    data: st.DataObject, tiling: Tiling, number: int
) -> None:
    length = data.draw(st.integers(number * tiling.stride + 1, number * tiling.stride + 300))
    start = number * tiling.stride
    whole = plan_axis(length, tiling, "crop")
    chunk = plan_axis(length - start, tiling, "crop")
    assert whole.part(Span(start, length)).placements == chunk.moved(start).placements


@given(plans(), st.data())
def test_part_of_a_plan_keeps_the_same_windows(plan: AxisPlan, data: st.DataObject) -> None:
    start = data.draw(st.integers(plan.out.start, plan.out.stop - 1))
    out = Span(start, data.draw(st.integers(start + 1, plan.out.stop)))
    part = plan.part(out)
    windows = {placement.window for placement in plan.placements}
    assert {placement.window for placement in part.placements} <= windows
    assert part.out == out


@given(plans(), st.data())
def test_part_of_a_plan_keeps_every_tile_that_can_change_its_pixels(
    plan: AxisPlan, data: st.DataObject
) -> None:
    start = data.draw(st.integers(plan.out.start, plan.out.stop - 1))
    out = Span(start, data.draw(st.integers(start + 1, plan.out.stop)))
    kept = [placement.window for placement in plan.part(out).placements]
    inside = set(range(out.start, out.stop))
    wanted = [
        placement.window
        for number, placement in enumerate(plan.placements)
        if touched(plan, number) & inside
    ]
    assert kept == wanted


@given(plans(), st.data())
def test_cores_of_a_part_divide_the_part(plan: AxisPlan, data: st.DataObject) -> None:
    start = data.draw(st.integers(plan.out.start, plan.out.stop - 1))
    out = Span(start, data.draw(st.integers(start + 1, plan.out.stop)))
    cores = [placement.core for placement in plan.part(out).placements]
    pixels = [pixel for core in cores for pixel in range(core.start, core.stop)]
    assert pixels == list(range(out.start, out.stop))


@given(plans())
def test_no_later_tile_touches_a_settled_row(plan: AxisPlan) -> None:
    for number in range(len(plan.placements)):
        final = set(range(plan.out.start, plan.settled(number)))
        for later in range(number + 1, len(plan.placements)):
            assert not final & touched(plan, later)


@given(plans())
def test_rows_are_settled_as_soon_as_no_later_tile_touches_them(plan: AxisPlan) -> None:
    for number in range(len(plan.placements)):
        later = [touched(plan, n) for n in range(number + 1, len(plan.placements))]
        first = min(set().union(*later), default=plan.out.stop)
        assert plan.settled(number) == first


@given(plans())
def test_everything_is_settled_after_the_last_tile(plan: AxisPlan) -> None:
    assert plan.settled(len(plan.placements) - 1) == plan.out.stop


@given(plans())
def test_a_tile_needs_all_existing_pixels_it_can_slide_over(plan: AxisPlan) -> None:
    for number, placement in enumerate(plan.placements):
        needs = plan.needs(number)
        for by in (-plan.reach, 0, plan.reach):
            seen = placement.window.moved(by).common(plan.extent)
            assert seen.size == 0 or (needs.start <= seen.start and seen.stop <= needs.stop)


@given(plans())
def test_the_source_of_a_plan_holds_what_its_tiles_need(plan: AxisPlan) -> None:
    for number in range(len(plan.placements)):
        needs = plan.needs(number)
        assert needs.common(plan.source).size == needs.size


def test_a_plan_without_a_pixel_to_answer_for_is_refused() -> None:
    with pytest.raises(OptionError, match="length=0: there is no pixel to answer for"):
        plan_axis(0, Tiling(4, 0), "crop")


def test_an_unknown_stitcher_is_refused() -> None:
    with pytest.raises(OptionError, match="stitch='mean': choose 'crop' or 'blend'"):
        plan_axis(8, Tiling(4, 0), "mean")  # type: ignore[arg-type]


# -- sliding off no data --------------------------------------------------------------------


@st.composite
def slides(draw: st.DrawFn) -> tuple[Span, Span, Span, int]:
    extent = Span(0, draw(st.integers(1, 60)))
    start = draw(st.integers(-20, extent.stop - 1))
    window = Span(start, start + draw(st.integers(1, 40)))
    seen = window.common(extent)
    assume(seen.size)
    first = draw(st.integers(seen.start, seen.stop - 1))
    occupied = Span(first, draw(st.integers(first + 1, seen.stop)))
    return window, occupied, extent, draw(st.integers(0, 20))


@given(slides())
def test_a_slid_tile_keeps_every_occupied_pixel(slide: tuple[Span, Span, Span, int]) -> None:
    window, occupied, extent, reach = slide
    assert slid(window, occupied, extent, reach).common(occupied) == occupied


@given(slides())
def test_a_slid_tile_moves_no_further_than_its_reach(
    slide: tuple[Span, Span, Span, int],
) -> None:
    window, occupied, extent, reach = slide
    moved = slid(window, occupied, extent, reach)
    assert abs(moved.start - window.start) <= reach
    assert moved.size == window.size


@given(slides())
def test_a_tile_inside_the_extent_stays_inside(slide: tuple[Span, Span, Span, int]) -> None:
    window, occupied, extent, reach = slide
    assume(window.common(extent) == window)
    moved = slid(window, occupied, extent, reach)
    assert moved.common(extent) == moved


def test_a_tile_empty_at_its_start_slides_forward_by_what_is_empty() -> None:
    assert slid(Span(10, 26), Span(13, 26), Span(0, 100), 8) == Span(13, 29)


def test_a_tile_empty_at_its_end_slides_back_by_what_is_empty() -> None:
    assert slid(Span(10, 26), Span(10, 22), Span(0, 100), 8) == Span(6, 22)


def test_a_tile_empty_at_both_ends_stays() -> None:
    assert slid(Span(10, 26), Span(12, 22), Span(0, 100), 8) == Span(10, 26)
