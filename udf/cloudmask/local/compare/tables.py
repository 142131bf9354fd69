"""A comparison as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from cloudmask.local.compare.comparison import known, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask.local.compare.comparison import Comparison
    from cloudmask.local.compare.counting import Pixels

NOTHING = "-"


def head(comparison: Comparison) -> Iterator[str]:
    """Say what was compared, a line each."""
    for letter, side in (("a", comparison.a), ("b", comparison.b)):
        yield f"{letter}: {side.place} ({side.scheme.name}: {side.scheme.title})"
    yield f"compared as: {', '.join(comparison.titles)}"
    yield _of_pixels(comparison.pixels)
    for scheme in dict.fromkeys(
        (each.name, each.note) for each in (comparison.a.scheme, comparison.b.scheme)
    ):
        if scheme[1]:
            yield f"note: {scheme[1]}"


def _of_pixels(pixels: Pixels) -> str:
    left_out = {
        "a has no data": pixels.no_data_a,
        "b has no data": pixels.no_data_b,
        "outside b": pixels.outside,
    }
    parts = [f"{count:,} {why}" for why, count in left_out.items() if count]
    return f"pixels: {pixels.compared:,}" + f"; left out: {', '.join(parts)}" * bool(parts)


def matrix(comparison: Comparison) -> Table:
    """Make the confusion matrix: counts, and per cent of the row."""
    table = _table("confusion: rows a, columns b; pixels and per cent of the row")
    table.add_column("a")
    for name in comparison.titles:
        table.add_column(f"b {name}", justify="right")
    table.add_column("all", justify="right")
    confusion = comparison.confusion
    for name, row, there in zip(comparison.titles, confusion.counts, confusion.there, strict=True):
        cells = [f"{count:,} ({_percent(count / there if there else None)})" for count in row]
        table.add_row(name, *cells, f"{there:,}")
    table.add_section()
    table.add_row("all", *(f"{count:,}" for count in confusion.called), f"{confusion.total:,}")
    return table


def scores(comparison: Comparison) -> Table:
    """Make the table of scores, `a` as the truth."""
    table = _table("scores of b, a as truth")
    table.add_column("class")
    headings = (
        "precision (user's)",
        "recall (producer's)",
        "F1",
        "IoU",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for place, name in enumerate(comparison.titles):
        table.add_row(name, *(_percent(share) for share in said(comparison.score(place))))
    return table


def overall(comparison: Comparison) -> str:
    """Say how far both agree on the whole."""
    confusion = comparison.confusion
    kappa = known(confusion.kappa)
    return (
        f"overall accuracy {_percent(confusion.accuracy)}, balanced "
        f"{_percent(confusion.balanced_accuracy)} (mean recall), kappa "
        f"{NOTHING if kappa is None else f'{kappa:.3f}'}"
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left")


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.2f} %"
