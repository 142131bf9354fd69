"""The command `cloudmask compare`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations when the command runs
from typing import Annotated

import typer

from cloudmask.local.beside import beside
from cloudmask.local.compare.groups import CHOICES
from cloudmask.local.compare.schemes import SCHEMES
from cloudmask.local.console import say, stoppable

EXAMPLES = (
    "Examples: [bold]cloudmask compare truth.tif mask.tif[/bold] · "
    "[bold]cloudmask compare T31TCJ_20200101T105441_SCL_20m.jp2 mask.tif -o difference.png[/bold] "
    "· [bold]cloudmask compare mask.tif clouds.tif --b s2cloudless --json scores.json[/bold]"
)

ClassesName = StrEnum("ClassesName", list(CHOICES))  # type: ignore[misc]


def compare(  # noqa: PLR0913 - a command has as many parameters as options
    a: Annotated[
        Path, typer.Argument(metavar="A", help="Mask or labels, taken as truth: class codes.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="Mask to compare with it.")],
    *,
    a_scheme: Annotated[
        str | None,
        typer.Option(
            "--a",
            metavar="SCHEME",
            help=f"What the codes of A mean: {', '.join(SCHEMES)}. Default: what the file says, "
            "which masks of ours and of OmniCloudMask do, and files and bands called SCL or QA60.",
        ),
    ] = None,
    b_scheme: Annotated[
        str | None,
        typer.Option("--b", metavar="SCHEME", help="What the codes of B mean, the same way."),
    ] = None,
    classes: Annotated[
        ClassesName | None,
        typer.Option(
            help="all: clear, thick cloud, thin cloud, shadow; cloud-shadow: clear, cloud, "
            "shadow; cloud: cloud or not; usable: clear or not. Default: the most that both tell "
            "apart."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PNG", help="Draw both, and where they differ."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--json", metavar="JSON", help="Write all numbers to a file.")
    ] = None,
) -> None:
    """Compare two masks of one place: confusion matrix, scores, difference picture.

    B is read on the grid of A, the nearest pixel for each; only pixels count that have a class in
    both. Classes that one of them does not tell apart are merged.
    """
    from rich.console import Console

    from cloudmask.local.compare import tables
    from cloudmask.local.compare.comparison import compare as compared
    from cloudmask.local.compare.picture import draw

    with stoppable():
        comparison = compared(a, b, a_scheme=a_scheme, b_scheme=b_scheme, classes=classes)
        for line in tables.head(comparison):
            say(line)
        console = Console(width=None if sys.stdout.isatty() else 120)
        console.print(tables.matrix(comparison))
        console.print(tables.scores(comparison))
        say(tables.overall(comparison))
        if scores:
            with beside(scores) as partial:
                partial.write_text(json.dumps(comparison.as_dict(), indent=2) + "\n", "utf-8")
            say(f"{scores}: all numbers")
        if output:
            draw(output, comparison)
            say(f"{output}: both masks, and where they differ")
