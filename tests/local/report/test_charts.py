from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from cloudmask.local.report.charts import histogram, time_line
from cloudmask.local.report.scenes import Masked, read

if TYPE_CHECKING:
    from pathlib import Path

TIMES = st.datetimes(datetime(2015, 6, 23), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Masked:
    return Masked(
        name="a", item=None, mask=None, thumbnail=None, files=(), when=None, facts={},  # type: ignore[arg-type]
        shares={"clear": 40.0, "thick_cloud": 60.0, "no_data": 0.0}, confidence=(), networks=(),
        options={}, seconds=None, software="",
    )  # fmt: skip


# -- the time line --------------------------------------------------------------------------


@given(st.lists(TIMES, min_size=2, max_size=30).map(sorted))
def test_later_scenes_lie_further_right_and_all_within_the_box(
    scene: Masked, times: list[datetime]
) -> None:
    line = time_line([replace(scene, when=when) for when in times])
    assert line
    places = [point.x for point in line.points]
    assert places == sorted(places)
    assert 0 < places[0] <= places[-1] < 100


@given(st.lists(TIMES, min_size=2, max_size=5))
def test_ticks_are_few_and_lie_in_order_within_the_box(
    scene: Masked, times: list[datetime]
) -> None:
    line = time_line([replace(scene, when=when) for when in times])
    assert line
    places = [tick.x for tick in line.ticks]
    assert places == sorted(set(places))
    assert 1 <= len(places) <= 13
    assert 0 <= places[0] <= places[-1] <= 100
    assert all(tick.label for tick in line.ticks)


def test_a_tick_lies_where_a_scene_of_that_time_does(scene: Masked) -> None:
    days = [datetime(2021, month, 1, tzinfo=UTC) for month in range(1, 7)]
    line = time_line([replace(scene, when=when) for when in days])
    assert line
    by_label = {tick.label: tick.x for tick in line.ticks}
    assert by_label["Mar"] == pytest.approx(line.points[2].x)


@pytest.mark.parametrize(("clear", "place"), [(100.0, 0), (0.0, 100), (75.0, 25)])
def test_all_clear_is_at_the_top(scene: Masked, clear: float, place: float) -> None:
    when = datetime(2021, 6, 1, tzinfo=UTC)
    shown = replace(scene, when=when, shares={"clear": clear, "no_data": 0.0})
    line = time_line([shown, shown])
    assert line
    assert line.points[0].y == place


def test_points_know_the_card_of_their_scene_though_others_are_left_out(scene: Masked) -> None:
    start = datetime(2021, 6, 1, tzinfo=UTC)
    first, second, third = (replace(scene, when=start + timedelta(days=n)) for n in range(3))
    empty = replace(second, shares={"clear": 0.0, "no_data": 100.0})
    line = time_line([first, empty, third, scene])
    assert line
    assert [point.number for point in line.points] == [1, 3]


def test_fewer_than_two_scenes_make_no_time_line(scene: Masked) -> None:
    assert time_line([replace(scene, when=datetime(2021, 6, 1, tzinfo=UTC)), scene]) is None


# -- the histogram --------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(any))
def test_bars_are_as_high_as_their_counts_and_the_highest_fills_the_box(counts: list[int]) -> None:
    made = histogram(counts)
    assert made
    assert max(made.heights) == 100
    assert [height * max(counts) / 100 for height in made.heights] == pytest.approx(counts)


def test_sure_pixels_are_those_of_the_last_tenth() -> None:
    made = histogram([*[10] * 17, 30, 100, 700])
    assert made
    assert made.sure == pytest.approx(80.0)


@pytest.mark.parametrize("counts", [[], [0] * 20])
def test_no_pixels_make_no_histogram(counts: list[int]) -> None:
    assert histogram(counts) is None


def test_counts_written_by_an_item_are_drawn(tmp_path: Path, sample: Any) -> None:
    made = histogram(read(sample().write(tmp_path)).confidence)
    assert made
    assert made.sure == pytest.approx(100 * (8 + 9) / 45)
