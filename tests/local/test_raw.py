from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rasterio")

import rasterio

from cloudmask.classes import PROBABILITY_STEPS
from cloudmask.local.product import Grid
from cloudmask.local.raw import Counts, Raw, stored_probabilities
from cloudmask.windows import Span

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GRID = Grid(5, 4, "EPSG:32633", rasterio.Affine(10, 0, 6e5, 0, -10, 5e6))


# -- counting -------------------------------------------------------------------------------


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 3, 255]), max_size=30), max_size=5))
def test_shares_are_those_of_all_rows_written(rows: list[list[int]]) -> None:
    counts = Counts()
    for row in rows:
        counts.add(np.array(row, np.uint8).reshape(1, -1))
    every = [code for row in rows for code in row]
    valid = [code for code in every if code != 255]
    shares = counts.shares((0, 1, 2, 3))
    for code, name in enumerate(("clear", "thick_cloud", "thin_cloud", "cloud_shadow")):
        expected = 100 * valid.count(code) / len(valid) if valid else 0
        assert shares[name] == pytest.approx(expected)
    assert shares["no_data"] == pytest.approx(100 * every.count(255) / len(every) if every else 0)


def test_shares_become_tags_of_three_decimals() -> None:
    counts = Counts()
    counts.add(np.array([[0, 0, 1, 255]], np.uint8))
    assert counts.tags((0, 1, 2, 3)) == {
        "PERCENT_CLEAR": "66.667",
        "PERCENT_THICK_CLOUD": "33.333",
        "PERCENT_THIN_CLOUD": "0.000",
        "PERCENT_CLOUD_SHADOW": "0.000",
        "PERCENT_NO_DATA": "25.000",
    }


# -- stored probabilities -------------------------------------------------------------------


def spread_of(values: list[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(1, 1, -1)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_a_stored_probability_is_off_by_half_a_step_at_most(values: list[float]) -> None:
    stored = stored_probabilities(spread_of(values))
    assert stored.dtype == np.uint8
    back = stored.astype(float) / PROBABILITY_STEPS
    np.testing.assert_allclose(back.ravel(), values, atol=0.5 / PROBABILITY_STEPS + 1e-6)


def test_no_data_is_255_and_nothing_else_is() -> None:
    stored = stored_probabilities(spread_of([0, 1, np.nan, 0.5, 1.0000001]))
    assert stored.ravel().tolist() == [0, 250, 255, 125, 250]


# -- rows on disk ---------------------------------------------------------------------------


def test_rows_are_read_back_as_they_were_written_on_the_same_grid(tmp_path: Path) -> None:
    values = np.arange(40, dtype=np.uint8).reshape(2, 5, 4)
    with ExitStack() as stack:
        raw = Raw.beside(tmp_path / "a.tif", 2, GRID, stack)
        for rows in (Span(0, 3), Span(3, 5)):
            raw.write(rows, values[:, rows.slice])
        with rasterio.open(raw.closed()) as dataset:
            assert Grid.of(dataset) == GRID
            np.testing.assert_array_equal(dataset.read(), values)


def test_rows_lie_in_a_hidden_folder_that_goes_with_them(tmp_path: Path) -> None:
    with ExitStack() as stack:
        raw = Raw.beside(tmp_path / "a.tif", 1, GRID, stack)
        (place,) = tmp_path.iterdir()
        assert raw.closed().parent == place
        assert place.name.startswith(".a.")
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_what_was_written_or_does_not(tmp_path: Path) -> None:
    rows = np.arange(2 * GRID.height * GRID.width, dtype=np.uint8).reshape(2, *GRID.shape)
    other = rows.copy()
    other[1, -1, -1] ^= 1
    with ExitStack() as stack:
        raw, false = (Raw.beside(tmp_path / name, 2, GRID, stack) for name in ("a.tif", "b.tif"))
        half = GRID.height // 2
        for span in (Span(0, half), Span(half, GRID.height)):
            raw.write(span, rows[:, span.slice])
        false.write(Span(0, GRID.height), other)
        assert raw.is_in(raw.closed())
        assert not raw.is_in(false.closed())
