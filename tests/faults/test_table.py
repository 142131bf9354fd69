"""The table of faults: what it names is there, and what is here it names."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "reliability.md"
LIST = ROOT / "tools" / "unprotected.toml"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
COLUMNS = 3


def rows() -> list[list[str]]:
    """Read the cells of all tables, less their heads."""
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    said = [[cell.strip() for cell in row] for row in cells]
    return [row for row in said if row[0] not in {"fault", "---"}]


def named() -> list[tuple[str, str]]:
    """List the tests that the table names: (file, function)."""
    return [(file, name) for row in rows() for file, name in TEST.findall(row[-1])]


def written(path: Path) -> set[str]:
    """List the functions of a file that pytest collects."""
    body = ast.parse(path.read_text("utf-8")).body
    return {
        each.name for each in body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }  # fmt: skip


def test_each_line_has_a_fault_a_promise_and_a_test() -> None:
    for row in rows():
        assert len(row) == COLUMNS
        assert row[0]
        assert row[1]
        assert TEST.fullmatch(row[2])


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_each_test_that_the_table_names_is_there(file: str, name: str) -> None:
    assert name in written(ROOT / file)


def test_each_test_of_a_fault_is_in_the_table() -> None:
    here = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)
        for name in written(path)
    }  # fmt: skip
    assert here <= set(named())


def test_each_line_is_tried_without_what_protects() -> None:
    listed = tomllib.loads(LIST.read_text("utf-8"))["protection"]
    tried = {tuple(each["test"].partition("[")[0].split("::")) for each in listed}
    assert tried == set(named())


def test_what_protects_is_where_the_list_says() -> None:
    for each in tomllib.loads(LIST.read_text("utf-8"))["protection"]:
        assert (ROOT / each["file"]).read_text("utf-8").count(each["old"]) == 1, each["test"]
