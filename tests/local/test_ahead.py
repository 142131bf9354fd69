from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.local.ahead import ReadAhead
from cloudmask.source import ArraySource
from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENE = np.arange(2 * 50 * 3).reshape(2, 50, 3)


class Watched(ArraySource):
    """Remembers what was read, and by which thread."""

    spans: list[Span]
    threads: set[int]

    def __init__(self, array: NDArray[np.generic]) -> None:
        super().__init__(array)
        object.__setattr__(self, "spans", [])
        object.__setattr__(self, "threads", set())

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `ArraySource`."""
        self.spans.append(rows)
        self.threads.add(threading.get_ident())
        return super().read(rows)


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=12)


@given(steps=steps, ahead=st.integers(1, 20))
def test_rows_are_those_of_the_source_however_they_are_asked_for(
    steps: list[tuple[int, int]], ahead: int
) -> None:
    with ReadAhead(ArraySource(SCENE), ahead) as source:
        start = 0
        for back, count in steps:
            # Windows of an average may ask for some rows once more.
            start = max(0, start - back)
            rows = Span(start, min(50, start + count))
            np.testing.assert_array_equal(source.read(rows), SCENE[:, rows.slice])
            start = rows.stop


@given(first=st.integers(1, 50), step=st.integers(1, 20), ahead=st.integers(1, 20))
def test_rows_asked_for_one_after_the_other_are_read_once(
    first: int, step: int, ahead: int
) -> None:
    watched = Watched(SCENE)
    with ReadAhead(watched, ahead) as source:
        for start, stop in pairwise([0, *range(first, 50, step), 50]):
            source.read(Span(start, stop))
    rows = [row for span in watched.spans for row in range(span.start, span.stop)]
    assert sorted(rows) == list(range(50))


def test_what_follows_is_read_before_it_is_asked_for() -> None:
    watched = Watched(SCENE)
    with ReadAhead(watched, 10) as source:
        source.read(Span(0, 20))
        assert source._rows is not None
        source._rows.result()
    assert watched.spans == [Span(0, 20), Span(20, 30)]


def test_one_other_thread_reads() -> None:
    watched = Watched(SCENE)
    with ReadAhead(watched, 5) as source:
        for start in range(0, 50, 10):
            source.read(Span(start, start + 10))
    assert len(watched.threads) == 1
    assert threading.get_ident() not in watched.threads


def test_an_error_of_the_source_reaches_who_asks() -> None:
    class Broken(ArraySource):
        def read(self, rows: Span) -> NDArray[np.generic]:
            if rows.stop > 20:
                raise OSError("disk is gone")
            return super().read(rows)

    with ReadAhead(Broken(SCENE), 10) as source:
        source.read(Span(0, 15))
        with pytest.raises(OSError, match="disk is gone"):
            source.read(Span(15, 20))


def test_no_thread_stays_behind() -> None:
    before = threading.active_count()
    with ReadAhead(ArraySource(SCENE), 10) as source:
        source.read(Span(0, 20))
    assert threading.active_count() == before
