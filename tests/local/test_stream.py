from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rasterio")

import itertools

from cloudmask.bands import PRESETS
from cloudmask.classes import NO_DATA, dilate
from cloudmask.local.grid import Regrid
from cloudmask.local.resample import Resampled
from cloudmask.local.stream import BINS, ClassRows, Confidence, answered, grown, regridded
from cloudmask.scene import Rows
from cloudmask.source import ArraySource
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CODES = np.array([0, 0, 0, 0, 0, 0, 1, 2, 3, NO_DATA], np.uint8)


def some_classes(shape: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(CODES, shape)


def in_bands(
    classes: NDArray[np.uint8], cuts: list[int], spread: NDArray[np.float32] | None = None
) -> Iterator[ClassRows]:
    edges = sorted({0, len(classes), *(cut % len(classes) for cut in cuts)})
    for start, stop in itertools.pairwise(edges):
        chances = None if spread is None else spread[:, start:stop]
        yield ClassRows(Span(start, stop), classes[start:stop].copy(), chances)


# -- growing --------------------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 25)),
    cuts=st.lists(st.integers(0, 1000), max_size=12),
    radius=st.one_of(st.floats(0, 45), st.sampled_from([0.0, 0.99, 1.0, 2.0, 3.0])),
    masked=st.sets(st.sampled_from([1, 2, 3])).map(lambda codes: tuple(sorted(codes))),
    seed=st.integers(0, 99),
)
def test_rows_grown_in_any_bands_are_the_whole_grown(
    shape: tuple[int, int], cuts: list[int], radius: float, masked: tuple[int, ...], seed: int
) -> None:
    classes = some_classes(shape, seed)
    found = list(grown(in_bands(classes, cuts), masked, radius))
    assert [rows.y.start for rows in found[1:]] == [rows.y.stop for rows in found[:-1]]
    np.testing.assert_array_equal(
        np.concatenate([rows.classes for rows in found]), dilate(classes, masked, radius)
    )


def test_probabilities_go_with_their_rows_while_classes_grow() -> None:
    classes = some_classes((20, 9), 5)
    spread = np.random.default_rng(5).random((4, 20, 9)).astype(np.float32)
    found = list(grown(in_bands(classes, [3, 4, 11], spread), (1, 2, 3), 4.0))
    parts = [rows.spread for rows in found if rows.spread is not None]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), spread)


def test_rows_are_given_as_soon_as_their_neighbours_below_are_known() -> None:
    taken = 0

    def counted() -> Iterator[ClassRows]:
        nonlocal taken
        for rows in in_bands(some_classes((400, 5), 1), list(range(400))):
            taken += 1
            yield rows

    for given_rows, _ in enumerate(grown(counted(), (1,), 3.0)):
        assert taken <= given_rows + 1 + 3


def test_nothing_grows_into_nothing() -> None:
    assert list(grown(iter(()), (1, 2, 3), 5.0)) == []


# -- to the file's grid ---------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 30)),
    factor=st.one_of(st.floats(0.2, 6), st.sampled_from([0.5, 2.0])),
    cuts=st.lists(st.integers(0, 1000), max_size=8),
    seed=st.integers(0, 99),
)
def test_no_data_is_what_the_file_says_whatever_the_network_was_given(
    shape: tuple[int, int], factor: float, cuts: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    numbers = random.integers(1, 9000, (3, *shape), dtype=np.uint16)
    numbers[random.random(numbers.shape) < 0.1] = 0
    regrid = Regrid(shape, factor)
    height, width = regrid.network_shape
    classes = random.choice(CODES[:-1], (height, width))
    spread = random.random((4, height, width)).astype(np.float32)
    resampled = Resampled(ArraySource(numbers), PRESETS["dn"], regrid)
    resampled.read(Span(0, height))
    rows = list(regridded(in_bands(classes, cuts, spread), regrid, resampled.valid))
    found = np.concatenate([each.classes for each in rows])
    chances = np.concatenate([each.spread for each in rows if each.spread is not None], axis=1)
    absent = (numbers == 0).any(axis=0)
    np.testing.assert_array_equal(found == NO_DATA, absent)
    np.testing.assert_array_equal(np.isnan(chances), np.broadcast_to(absent, chances.shape))
    expected = regrid.back(classes, Span(0, height))
    np.testing.assert_array_equal(found[~absent], expected[~absent])


# -- classes of probabilities ---------------------------------------------------------------


@pytest.mark.parametrize("spread", [True, False])
def test_probabilities_are_spread_over_the_classes_only_if_wanted(*, spread: bool) -> None:
    chances = np.array([[[0.2, 0.7]], [[0.8, 0.3]]], np.float32)
    rows = Rows(Span(4, 5), chances, np.array([[True, False]]))
    (found,) = answered([rows], (0, 3), spread=spread)
    assert found.y == Span(4, 5)
    assert found.classes.tolist() == [[3, NO_DATA]]
    if spread:
        assert found.spread is not None
        np.testing.assert_array_equal(
            found.spread[:, 0, 0], np.array([0.2, 0, 0, 0.8], np.float32)
        )
        assert np.isnan(found.spread[:, 0, 1]).all()
    else:
        assert found.spread is None


# -- how sure -------------------------------------------------------------------------------


def probable(shape: tuple[int, int], seed: int = 3) -> NDArray[np.float32]:
    chances = np.random.default_rng(seed).random((3, *shape)).astype(np.float32) ** 2
    return chances / chances.sum(axis=0)


@pytest.mark.parametrize("spread", [True, False])
def test_valid_pixels_are_counted_by_the_probability_of_their_class(*, spread: bool) -> None:
    chances = probable((30, 40))
    valid = np.random.default_rng(1).random((30, 40)) < 0.8
    parts = [
        Rows(rows, chances[:, rows.slice], valid[rows.slice]) for rows in (Span(0, 7), Span(7, 30))
    ]
    confidence = Confidence()
    list(confidence.counted(answered(parts, (0, 1, 3), spread=spread)))
    expected, _ = np.histogram(chances.max(axis=0)[valid], bins=BINS, range=(0, 1))
    assert confidence.counts == tuple(expected.tolist())
    assert sum(confidence.counts) == valid.sum()


@pytest.mark.parametrize(
    ("best", "bin_of_it"), [(1.0, 19), (1.0000001, 19), (0.5, 10), (0.9499, 18), (np.nan, 0)]
)
def test_bins_are_half_open_but_for_the_last(best: float, bin_of_it: int) -> None:
    chances = np.full((2, 1, 1), 0, np.float32)
    chances[0] = best
    confidence = Confidence()
    rows = Rows(Span(0, 1), chances, np.ones((1, 1), bool))
    list(confidence.counted(answered([rows], (0, 1), spread=False)))
    assert confidence.counts.index(1) == bin_of_it


def test_on_a_finer_grid_each_pixel_of_the_file_counts() -> None:
    numbers = np.full((1, 9, 11), 5, np.uint16)
    numbers[:, 0, :3] = 0
    regrid = Regrid((9, 11), 2.0)
    resampled = Resampled(ArraySource(numbers), PRESETS["dn"], regrid)
    resampled.read(Span(0, 5))
    rows = Rows(Span(0, 5), probable((5, 6)), np.ones((5, 6), bool))
    confidence = Confidence()
    stream = answered([rows], (0, 1, 3), spread=False)
    list(confidence.counted(regridded(stream, regrid, resampled.valid)))
    best = np.kron(rows.probabilities.max(axis=0), np.ones((2, 2)))[:9, :11]
    expected, _ = np.histogram(best[numbers[0] != 0], bins=BINS, range=(0, 1))
    assert confidence.counts == tuple(expected.tolist())
