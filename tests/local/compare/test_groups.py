from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.errors import OptionError
from cloudmask.local.compare.groups import (
    ABSENT,
    CHOICES,
    STRANGE,
    chosen,
    finest,
    lookup,
    sentence,
    title,
)
from cloudmask.local.compare.schemes import SCHEMES, Scheme

NAMES = st.sampled_from(list(SCHEMES))


def own(*codes: tuple[int, ...]) -> Scheme:
    return Scheme(name="own", title="", codes=dict(enumerate(codes)), source="")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("cloudmask", "scl", "clear, thick cloud, thin cloud, cloud shadow"),
        ("cloudmask", "s2cloudless", "no cloud, cloud"),
        ("cloudmask", "fmask", "clear, cloud, cloud shadow"),
        ("cloudmask", "qa60", "no cloud, thick cloud, thin cloud"),
        ("fmask", "qa60", "no cloud, cloud"),
        ("scl", "ukis-valid", "clear, masked"),
        ("cloudmask-one-cloud", "clouds2mask", "clear, cloud, cloud shadow"),
    ],
)
def test_what_one_does_not_tell_apart_is_merged(a: str, b: str, expected: str) -> None:
    assert sentence(finest(SCHEMES[a], SCHEMES[b])) == expected


def test_merging_goes_on_from_class_to_class() -> None:
    assert finest(own((0, 1), (2,), (3,)), own((0,), (1, 2), (3,))) == ((0, 1, 2), (3,))


@given(NAMES, NAMES)
def test_groups_split_the_four_classes_and_no_code_is_split(a: str, b: str) -> None:
    groups = finest(SCHEMES[a], SCHEMES[b])
    assert sorted(code for group in groups for code in group) == [0, 1, 2, 3]
    for meant in (*SCHEMES[a].codes.values(), *SCHEMES[b].codes.values()):
        assert sum(bool(set(meant) & set(group)) for group in groups) == bool(meant)


@given(NAMES, NAMES)
def test_no_finer_split_would_do(a: str, b: str) -> None:
    """Any group cut in two cuts through a code, or through a chain of codes."""
    meant = [set(each) for name in (a, b) for each in SCHEMES[name].codes.values()]
    for group in finest(SCHEMES[a], SCHEMES[b]):
        for size in range(1, len(group)):
            for part in itertools.combinations(group, size):
                rest = set(group) - set(part)
                assert any(each & set(part) and each & rest for each in meant)


def test_fewer_classes_than_possible_can_be_asked_for() -> None:
    assert chosen(SCHEMES["cloudmask"], SCHEMES["scl"], "cloud") == ((0, 3), (1, 2))


def test_more_classes_than_possible_are_refused_with_those_there_are() -> None:
    with pytest.raises(
        OptionError, match=r"classes all: cloudmask and s2cloudless .* only no clo"
    ):
        chosen(SCHEMES["cloudmask"], SCHEMES["s2cloudless"], "all")


def test_an_unknown_choice_is_answered_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="classes 'snow': choose among all, cloud-shadow"):
        chosen(SCHEMES["cloudmask"], SCHEMES["scl"], "snow")


@pytest.mark.parametrize("wanted", [None, *CHOICES])
def test_schemes_with_nothing_in_common_are_refused(wanted: str | None) -> None:
    with pytest.raises(OptionError, match="s2cloudless and ukis-valid have no two classes"):
        chosen(SCHEMES["s2cloudless"], SCHEMES["ukis-valid"], wanted)


def test_the_table_knows_each_code_and_calls_all_others_strange() -> None:
    scheme = SCHEMES["qa60"]
    table = lookup(scheme, ((0, 3), (1,), (2,)))
    assert {code: int(table[code]) for code in scheme.codes} == {0: 0, 1024: 1, 2048: 2, 3072: 1}
    assert (table == STRANGE).sum() == table.size - 4


def test_the_table_keeps_no_data_apart() -> None:
    assert lookup(SCHEMES["scl"], CHOICES["all"])[[0, 1, 2]].tolist() == [ABSENT, ABSENT, 0]


def test_a_group_without_a_word_of_its_own_is_named_by_its_classes() -> None:
    assert title((0, 2)) == "clear or thin cloud"
