"""Labels that may leave a choice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.local.compare.schemes import KAPPAMASK, S2CLOUDLESS
from cloudmask_export.evaluation.labels import LABELS
from cloudmask_export.training.recipe import CHANNELS
from cloudmask_export.training.sets import IS_CLOUD, UNKNOWN, as_sets, members, only


@given(st.sets(st.integers(0, 3)))
def test_a_set_has_the_classes_that_it_is_made_of(classes: set[int]) -> None:
    assert {c for c in range(4) if only(*classes) >> c & 1} == classes


@pytest.mark.parametrize("scheme", LABELS.values(), ids=lambda scheme: scheme.name)
def test_every_code_of_every_data_set_becomes_its_classes(scheme: object) -> None:
    meaning = scheme.codes  # type: ignore[attr-defined]
    codes = np.array(list(meaning), np.uint16)
    for found, classes in zip(as_sets(codes, meaning), meaning.values(), strict=True):
        assert found == (only(*classes) if classes else UNKNOWN)


def test_no_data_may_be_anything() -> None:
    found = as_sets(np.array([[0, 1], [4, 5]]), KAPPAMASK.codes)
    assert found.tolist() == [[UNKNOWN, only(0)], [only(1), UNKNOWN]]
    assert as_sets(np.array([0, 1]), S2CLOUDLESS.codes).tolist() == [only(0, 3), IS_CLOUD]


def test_a_code_without_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match=r"code 7: known are \[0, 1, 2, 3, 4, 5\]"):
        as_sets(np.array([1, 7, 9]), KAPPAMASK.codes)


@pytest.mark.parametrize("classes", CHANNELS)
def test_an_output_is_allowed_where_it_and_the_set_share_a_class(classes: int) -> None:
    sets = np.arange(1, 16, dtype=np.uint8).reshape(3, 5)
    found = members(sets, CHANNELS[classes])
    assert found.shape == (classes, 3, 5)
    for channel, codes in enumerate(CHANNELS[classes]):
        for row, column in np.ndindex(3, 5):
            expected = any(sets[row, column] >> code & 1 for code in codes)
            assert found[channel, row, column] == expected


def test_outputs_cover_every_class_once() -> None:
    for channels in CHANNELS.values():
        assert sorted(code for codes in channels for code in codes) == [0, 1, 2, 3]
