"""The command `cloudmask evaluate`; `cloudmask_export.evaluation` does the work."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations when the command runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudmask.augment import TTA
from cloudmask.local.console import say, stop, stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from cloudmask_export.evaluation.page import tables
    from cloudmask_export.evaluation.protocols import Protocol
    from cloudmask_export.evaluation.results import Results

EXAMPLES = (
    "Examples: [bold]cloudmask evaluate -m ukis-4b-l1c --data pairs/ -o scores/[/bold] · "
    "[bold]cloudmask evaluate -m my.onnx -m ukis-4b-l1c+ukis-6b-l1c --peer s2cloudless --data "
    "CloudSEN12/ -o scores/[/bold] · "
    "[bold]cloudmask evaluate --peer files:fmask_masks:fmask --data pairs/[/bold]"
)
MISSING = "this needs more packages: pip install 'openeo-cloudmask[local,export]'"


class StitchName(StrEnum):
    """How tiles are put together."""

    blend = "blend"
    crop = "crop"


class ProtocolName(StrEnum):
    """How one score is made of many samples."""

    pooled = "pooled"
    medians = "patch medians"
    points = "points"


def evaluate(  # noqa: PLR0913 - a command has as many parameters as options
    *,
    data: Annotated[
        Path,
        typer.Option(
            metavar="PATH", help="Labelled images: a folder or a file of a known layout."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NETWORK",
            help="Network by name (see [bold]cloudmask models[/bold]) or path of an .onnx file; "
            "A+B is an ensemble. Repeat to compare several.",
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to compare with: s2cloudless, s2cloudless-raw, ukis:4b_l1c (also 6b, l2a; "
            "@30 behind for pixels of 30 m), files:FOLDER or files:FOLDER:SCHEME for masks that "
            "are there. Repeatable.",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="How the data lie there. Default: what the folder looks like."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only samples of such names, 'test/*' say."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write results.json, results.md and page.html there.",
        ),
    ] = None,
    protocol: Annotated[
        list[ProtocolName] | None,
        typer.Option(
            help="pooled: all pixels together; patch medians: as CloudSEN12 publishes; points: "
            "single labelled points. Default: all that the labels allow. Repeatable."
        ),
    ] = None,
    resolution: Annotated[
        str,
        typer.Option(
            metavar="model|native|METRES",
            help="Pixel size to run networks at: the network's, the image's, or metres.",
        ),
    ] = "model",
    tta: Annotated[
        int | None,
        typer.Option(min=0, max=7, help="Augmentations. Default: the network's."),
    ] = None,
    stitch: Annotated[
        StitchName, typer.Option(help="How tiles are put together, as in [bold]mask[/bold].")
    ] = StitchName.blend,
    overlap: Annotated[
        int | None, typer.Option(min=0, help="Pixels neighbours share. Default: the network's.")
    ] = None,
    peer_python: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON",
            envvar="CLOUDMASK_PEER_PYTHON",
            help="Python of the environment that has s2cloudless, if this one has not.",
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Draws of scenes for the intervals; 0 for no intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Which draws.")] = 0,
    worst: Annotated[
        int, typer.Option(min=0, help="Samples that the page shows of each mask, the worst first.")
    ] = 6,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Scores of cloud masks",
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Score networks, and others beside them, on labelled images.

    Precision (user's accuracy), recall (producer's accuracy), F1, IoU and balanced accuracy of
    cloud, shadow and clear, each with an interval over scenes; the confusion matrix; and a page
    with pictures of the samples on which each did worst. It says whether people drew the labels.
    What cannot work is refused before anything is masked.
    """
    try:
        from cloudmask_export.evaluation.evaluate import Evaluation
        from cloudmask_export.evaluation.order import Order, ready
        from cloudmask_export.evaluation.predictors import How
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    how = How(
        resolution=_resolution(resolution),
        tta=None if tta is None else TTA(depth=tta),
        stitch=stitch.value,
        overlap=overlap,
        peer_python=peer_python,
    )
    evaluation = Evaluation(
        protocols=tuple(each.value for each in protocol or ()), resamples=resamples, seed=seed
    )
    order = Order(
        data=data, layout=layout, only=only, networks=tuple(model or ()), peers=tuple(peer or ()),
        folder=output, how=how, evaluation=evaluation, worst=worst, title=title, force=force,
    )  # fmt: skip
    with stoppable():
        prepared = ready(order)
        with _bar(quiet=quiet) as tell:
            results = prepared.scored(tell)
        if not quiet:
            _print(results)
            if output:
                say(f"{output / 'page.html'}: scores and pictures; results.json, results.md")


def _resolution(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on standard error; to be told what is done now, steps done, of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    if quiet or not sys.stderr.isatty():
        yield lambda _words, _done, _total: None
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        Left(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda words, done, total: bar.update(
            task, description=words, completed=done, total=total
        )


def _print(results: Results) -> None:
    """Print a table of each protocol, and what a reader ought to know."""
    from rich.console import Console

    from cloudmask_export.evaluation.page import tables

    say(tables.basis(results))
    console = Console(width=None if sys.stdout.isatty() else 120)
    every = list(tables.tables(results))
    for protocol in tables.protocols(results):
        console.print(_table(protocol, [each for each in every if each.protocol == protocol]))
    for note in dict.fromkeys(each.mask.note for each in results.predictors):
        if note:
            say(f"note: {note}")


def _table(protocol: Protocol, found: Sequence[tables.Table]) -> Table:
    """Put the tables of a protocol below each other, with intervals of BOA if there are any."""
    from rich.table import Table
    from rich.text import Text

    from cloudmask_export.evaluation.page.tables import HEADINGS, PROTOCOL_WORDS, measures

    spreads = [row.cells["boa"].spread for each in found for row in each.rows]
    last = ("95 % of BOA",) if any(spreads) else ()
    made = Table(title=f"{protocol}: {PROTOCOL_WORDS[protocol]}", title_justify="left")
    for heading in ("class", "mask", *(HEADINGS[each] for each in measures(protocol)), *last):
        made.add_column(heading, overflow="fold")
    for each in found:
        made.add_section()
        for row in each.rows:
            shown = (*row.texts, row.cells["boa"].spread)[: len(row.texts) + len(last)]
            made.add_row(Text(each.title), Text(row.name), *shown)
    return made
