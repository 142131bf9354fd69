from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.local.product import Facts
from cloudmask.local.report.overview import networks, sentinel_years, totals, ways
from cloudmask.local.report.scenes import Masked, find

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def series(tmp_path: Path, write_series: Any) -> list[Masked]:
    """Ten scenes of 40 x 40, 100 to 10 % clear."""
    write_series(tmp_path, 10)
    return find(tmp_path)[0]


def in_year(year: int, platform: str = "sentinel-2a") -> Facts:
    return Facts(when=datetime(year, 6, 1, tzinfo=UTC), platform=platform)


def test_the_clear_share_is_a_mean_in_which_every_scene_counts_alike(series: list[Masked]) -> None:
    found = totals(series)
    assert found.clear == pytest.approx(55.0)
    assert found.middle == pytest.approx(55.0)
    assert found.mostly_clear == 3


def test_scenes_without_a_valid_pixel_do_not_count_as_cloudy(tmp_path: Path, sample: Any) -> None:
    sample(name="empty", codes=np.full((8, 8), 255, np.uint8)).write(tmp_path)
    sample(name="clear", codes=np.zeros((8, 8), np.uint8)).write(tmp_path)
    assert totals(find(tmp_path)[0]).clear == 100.0


def test_a_network_is_listed_once_with_its_citation(series: list[Masked]) -> None:
    (used,) = networks(series)
    assert used.scenes == 10
    assert "Wieland" in used.citation


def test_a_network_that_is_not_known_here_has_no_citation(tmp_path: Path, sample: Any) -> None:
    wrote = sample()
    replace(wrote, models=(replace(wrote.models[0], name="my"),)).write(tmp_path)
    assert networks(find(tmp_path)[0])[0].citation == ""


def test_masks_made_alike_are_told_together_the_most_usual_way_first(
    tmp_path: Path, sample: Any
) -> None:
    for name in "abc":
        sample(name=name, options={"stitch": "crop"} if name == "a" else {}).write(tmp_path)
    found = ways(find(tmp_path)[0])
    assert [(way.scenes, dict(way.options)) for way in found] == [(2, {}), (1, {"stitch": "crop"})]


@pytest.mark.parametrize(
    ("years", "text"),
    [([2021], "2021"), ([2019, 2020, 2021, 2023], "2019–2021, 2023"), ([], "")],  # noqa: RUF001
)
def test_years_of_sentinel_scenes_are_told_in_ranges(
    tmp_path: Path, sample: Any, years: list[int], text: str
) -> None:
    for year in years:
        sample(name=f"y{year}", facts=in_year(year)).write(tmp_path)
    sample(name="other", facts=in_year(2015, "landsat-8")).write(tmp_path)
    assert sentinel_years(find(tmp_path)[0]) == text
