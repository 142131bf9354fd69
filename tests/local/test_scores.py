from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.local.scores import Score, score, summary

PIXELS = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.sampled_from([0, 1, 2, 3, 255])), max_size=60
)
CODES = st.sets(st.sampled_from([0, 1, 2, 3]), min_size=1).map(sorted)


def arrays(pixels: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(pixels, np.uint8).reshape(-1, 2)
    return both[:, 0], both[:, 1]


@given(PIXELS, CODES)
def test_precision_and_recall_are_those_counted_pixel_by_pixel(
    pixels: list[tuple[int, int]], codes: list[int]
) -> None:
    known = [(found, right) for found, right in pixels if 255 not in (found, right)]
    hits = sum(found in codes and right in codes for found, right in known)
    called = sum(found in codes for found, _ in known)
    there = sum(right in codes for _, right in known)
    answer = score(*arrays(pixels), codes)
    assert answer.precision == (hits / called if called else 1.0)
    assert answer.recall == (hits / there if there else 1.0)


@given(PIXELS, CODES)
def test_f1_is_twice_the_hits_over_all_that_was_called_or_is(
    pixels: list[tuple[int, int]], codes: list[int]
) -> None:
    known = [(found, right) for found, right in pixels if 255 not in (found, right)]
    hits = sum(found in codes and right in codes for found, right in known)
    either = sum((found in codes) + (right in codes) for found, right in known)
    answer = score(*arrays(pixels), codes)
    if either:
        assert answer.f1 == pytest.approx(2 * hits / either)
    else:
        assert answer.f1 == 1


def test_no_hits_at_all_score_zero() -> None:
    assert Score(0.0, 0.0).f1 == 0


def test_thick_for_thin_cloud_is_right_as_a_cloud() -> None:
    found, right = np.array([[1, 2, 3, 0]], np.uint8), np.array([[2, 1, 0, 3]], np.uint8)
    scores = summary(found, right)
    assert (scores["cloud"].precision, scores["cloud"].recall) == (1, 1)
    assert (scores["shadow"].precision, scores["shadow"].recall) == (0, 0)
