"""Figures in documents stand between marks, where only a program puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fill_in(document: Path, name: str, text: str) -> None:
    """Put text between `<!-- NAME: start -->` and `<!-- NAME: end -->` of a Markdown file.

    Raises:
        ValueError: The document has no such marks.
    """
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, found, rest = document.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{document.name}: has no {start} ... {end} to fill in")
    document.write_text(f"{before}{start}\n{text}\n{end}{after}", "utf-8")
