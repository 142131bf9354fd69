"""The command `cloudmask report`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations when the command runs
from typing import Annotated

import typer

from cloudmask.local.console import complain, say, stoppable

EXAMPLES = (
    "Examples: [bold]cloudmask report out/[/bold] · "
    "[bold]cloudmask report out/ -o june.html --title 'June 2026'[/bold]"
)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `cloudmask mask ... -o FOLDER` wrote.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page to make. Default: report.html in FOLDER."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Cloud masks",
    embed_limit: Annotated[
        int,
        typer.Option(
            min=0,
            help="With more scenes than that the pictures lie in a folder beside the page, so "
            "that a browser loads only those in view.",
        ),
    ] = 300,
) -> None:
    """Make one HTML page of a folder of masks: pictures, shares, time line. Needs no network.

    It shows each scene with its mask behind a slider. It reads the Items, masks and thumbnails
    in the folder, never the scenes.
    """
    from cloudmask.local.report.page import Wish, write_report

    path = output or folder / "report.html"
    with stoppable():
        done = write_report(Wish(folder=folder, path=path, title=title, embed_limit=embed_limit))
    for problem in done.problems:
        complain(f"{problem.name}: {problem.reason}")
    say(f"{path}: {done.scenes} scene{'s' * (done.scenes != 1)}")
    if done.pictures:
        say(f"{done.pictures}: their pictures, keep them beside the page")
