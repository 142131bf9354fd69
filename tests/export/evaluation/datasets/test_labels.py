"""The table of all class mappings."""

from __future__ import annotations

from pathlib import Path

from cloudmask.local.compare.schemes import SCHEMES
from cloudmask_export.evaluation.datasets import LAYOUTS
from cloudmask_export.evaluation.labels import (
    ALL_AT_ONCE,
    LABELS,
    class_markdown,
    class_table,
)

PAGE = Path(__file__).parents[4] / "docs" / "datasets.md"


def test_the_page_has_the_table_of_the_code() -> None:
    assert f"\n\n{class_markdown()}\n" in PAGE.read_text("utf-8")


def test_the_page_has_every_layout_with_what_could_not_be_verified() -> None:
    text = PAGE.read_text("utf-8")
    for layout in LAYOUTS.values():
        row = f"| `{layout.name}` | [{layout.title}]({layout.source}) | {layout.licence} |"
        assert row in text
        assert layout.folder in text
        assert layout.unverified in text


def test_every_scheme_of_labels_and_masks_is_in_the_table() -> None:
    names = [row.name for row in class_table()]
    assert names == [*LABELS, *SCHEMES]
    assert {each.scheme.name for each in LAYOUTS.values()} <= set(names)


def test_every_scheme_has_a_source() -> None:
    assert all(row.source.startswith("https://") for row in class_table())


def test_a_row_says_what_each_code_may_stand_for() -> None:
    rows = {row.name: row for row in class_table()}
    scl = rows["scl"]
    assert (scl.clear, scl.thick, scl.thin, scl.shadow) == ("2, 4 to 7, 11", "8, 9", "10", "3")
    chips = rows["chips-labels"]
    assert (chips.clear, chips.thick, chips.shadow, chips.nothing) == ("1 to 3", "4", "0", "")
    assert rows["pixbox-labels"].shadow == "100 to 112"


def test_all_at_once_names_codes_that_stand_for_several_classes() -> None:
    for name, codes in ALL_AT_ONCE.items():
        assert codes
        assert all(len(LABELS[name].codes[code]) > 1 for code in codes)


def test_labels_of_one_class_stand_for_that_class() -> None:
    assert LABELS["cloudsen12-labels"].codes == {0: (0,), 1: (1,), 2: (2,), 3: (3,), 255: ()}
    assert LABELS["catalogue-labels"].codes == {0: (0,), 1: (1, 2), 2: (3,), 255: ()}
    assert LABELS["pairs-labels"].codes == {0: (0,), 1: (1, 2), 2: (3,), 255: ()}
