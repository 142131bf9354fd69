from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin.chunks import ChunkError, Chunking, one_date_at_a_time, parse

LENGTH = st.integers(1, 60)
SIZE = st.integers(4, 30)


@st.composite
def chunkings(draw: st.DrawFn) -> Chunking:
    size = draw(SIZE), draw(SIZE)
    return Chunking(size, (draw(st.integers(0, size[0])), draw(st.integers(0, size[1]))))


def px(**lengths: int) -> list[dict[str, object]]:
    return [{"dimension": name, "value": v, "unit": "px"} for name, v in lengths.items()]


@given(chunkings(), LENGTH, LENGTH)
def test_every_pixel_of_the_cube_is_answered_by_one_chunk(
    chunking: Chunking, height: int, width: int
) -> None:
    answers = np.zeros((height, width), int)
    for chunk in chunking.cover((height, width)):
        answers[chunk.y.target, chunk.x.target] += 1
    assert (answers == 1).all()


@given(chunkings(), LENGTH, LENGTH)
def test_chunks_that_return_what_they_got_give_the_cube_back(
    chunking: Chunking, height: int, width: int
) -> None:
    cube = np.arange(height * width).reshape(height, width)
    back = np.full_like(cube, -1)
    for chunk in chunking.cover(cube.shape):
        given_to_udf = np.full(chunk.shape, -1)
        given_to_udf[chunk.y.filled, chunk.x.filled] = cube[chunk.y.source, chunk.x.source]
        back[chunk.y.target, chunk.x.target] = given_to_udf[chunk.y.kept, chunk.x.kept]
    np.testing.assert_array_equal(back, cube)


@given(chunkings(), LENGTH, LENGTH)
def test_chunks_are_windows_of_the_padded_cube(
    chunking: Chunking, height: int, width: int
) -> None:
    (sy, sx), (oy, ox) = chunking.size, chunking.applied
    cube = np.arange(height * width).reshape(height, width)
    padded = np.pad(cube, ((oy, oy + sy), (ox, ox + sx)), constant_values=-1)
    for chunk in chunking.cover(cube.shape):
        given_to_udf = np.full(chunk.shape, -1)
        given_to_udf[chunk.y.filled, chunk.x.filled] = cube[chunk.y.source, chunk.x.source]
        y, x = chunk.y.start, chunk.x.start
        np.testing.assert_array_equal(
            given_to_udf, padded[y : y + sy + 2 * oy, x : x + sx + 2 * ox]
        )


@pytest.mark.parametrize("overlap", [(8, 0), (0, 8)])
def test_overlap_is_none_when_one_axis_has_none(overlap: tuple[int, int]) -> None:
    assert Chunking((16, 16), overlap).applied == (0, 0)


def test_overlap_larger_than_size_is_refused() -> None:
    with pytest.raises(ChunkError, match=r"\(9, 0\) px is larger than the size \(8, 8\)"):
        Chunking((8, 8), (9, 0))


def test_chunk_below_four_pixels_is_refused() -> None:
    with pytest.raises(ChunkError, match="at least 4 px"):
        Chunking((3, 8))


def test_negative_overlap_is_refused() -> None:
    with pytest.raises(ChunkError, match="negative"):
        Chunking((8, 8), (-1, 1))


def test_axes_are_read_by_name() -> None:
    assert parse(px(x=5, y=7), px(y=2, x=1)) == Chunking((7, 5), (2, 1))


def test_absent_overlap_is_none() -> None:
    assert parse(px(x=5, y=7), []) == Chunking((7, 5))


@pytest.mark.parametrize(
    "size", [px(x=5), [*px(x=5), {"dimension": "y", "value": 70, "unit": "m"}]]
)
def test_size_needs_pixels_along_both_axes(size: list[dict[str, object]]) -> None:
    with pytest.raises(ChunkError, match="y needs a length in pixels"):
        parse(size, [])


@pytest.mark.parametrize(
    ("size", "single"),
    [
        ([], False),
        ([{"dimension": "t", "value": None}], False),
        ([{"dimension": "t", "value": "P1D"}], True),
    ],
)
def test_dates_come_together_unless_one_day_is_asked_for(
    size: list[dict[str, object]], *, single: bool
) -> None:
    assert one_date_at_a_time(size, []) is single


def test_other_lengths_of_time_are_refused() -> None:
    with pytest.raises(ChunkError, match="'P1M' along t"):
        one_date_at_a_time([{"dimension": "t", "value": "P1M"}], [])


def test_overlap_along_time_is_refused() -> None:
    size, overlap = [{"dimension": "t", "value": "P1D"}], [{"dimension": "t", "value": "P1D"}]
    with pytest.raises(ChunkError, match="along t"):
        one_date_at_a_time(size, overlap)
