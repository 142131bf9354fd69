from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rasterio")

from cloudmask.classes import PROBABILITY_STEPS
from cloudmask.local.beside import beside
from cloudmask.local.writers import (
    Counts,
    stored_probabilities,
    write_text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Interrupted(BaseException):
    """Something that is no Exception, as KeyboardInterrupt is none."""


# -- whole or absent ------------------------------------------------------------------------


def test_the_file_appears_when_all_went_well(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with beside(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with beside(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, Interrupted])
def test_after_an_error_the_old_file_is_there_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.tif"
    path.write_text("old")

    def fail() -> None:
        with beside(path) as partial:
            partial.write_text("half")
            (tmp_path / f"{partial.name}.aux.xml").write_text("GDAL's sidecar")
            raise error("on the way")

    with pytest.raises(error, match="on the way"):
        fail()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_the_partial_file_is_hidden_and_has_the_suffix_of_the_file(tmp_path: Path) -> None:
    with beside(tmp_path / "mask.tif") as partial:
        assert partial.parent == tmp_path
        assert partial.name.startswith(".mask.")
        assert partial.suffix == ".tif"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "ours.txt", "text")
        (tmp_path / "plain.txt").write_text("text")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours.txt", "plain.txt")]
    assert modes[0] == modes[1]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()


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
