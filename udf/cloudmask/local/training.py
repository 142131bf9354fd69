"""The command `cloudmask train`; `cloudmask_export.training` does the work."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, NoReturn, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cloudmask.local.console import say, stop, stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rich.progress import TaskID

    from cloudmask_export.make import Made
    from cloudmask_export.training.config import Config
    from cloudmask_export.training.events import Event
    from cloudmask_export.training.log import Row

EXAMPLES = (
    "Examples: [bold]cloudmask train tiny.toml --dry-run -o tiny[/bold] (looks at config and "
    "data, needs no torch) · [bold]cloudmask train tiny.toml -o tiny[/bold] · "
    "[bold]cloudmask train tiny.toml -o tiny --resume[/bold] (goes on after a stop)"
)
SHEET = "examples.png"
MISSING = "this needs more packages: pip install 'openeo-cloudmask[local,export,train]'"
INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses after SIGINT and SIGTERM."""


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="TOML: network, bands, sources of images and labels, stages (docs/training.md).",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for everything: images made ready, checkpoint, log.csv, weights, "
            "network. Default: one called as the config's name.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the folder's checkpoint, if there is one: the weights become those "
            "of a run without a stop.",
        ),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads. Default: the cores there are.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help=f"Check the config, make the images ready, count them and draw some to {SHEET}; "
            "train nothing.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Train a network of your own and export it.

    Reads a config and the images that it names, puts clouds over cloud-free ones or simulates
    scenes as it says, trains stage after stage (three classes, then four), and makes a network
    with manifest, test and report, to be used with `cloudmask mask -m`. A graphics card is used
    if there is one. Ctrl-C ends it after the present step with a checkpoint. log.csv gets a row
    for each checkpoint: the loss, and scores on the images that are held out.
    """
    try:
        from cloudmask_export.training.config import read_config
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    with stoppable():
        found = read_config(config)
        folder = output or Path(found.recipe.name)
        if dry_run:
            _look(found, folder, quiet=quiet)
            return
        again = f"cloudmask train {quote(str(config))} -o {quote(str(folder))} --resume"
        made = _train(found, folder, again, resume=resume, threads=threads, quiet=quiet)
    if not quiet:
        for line in _sentences(made):
            say(line)


def _look(config: Config, folder: Path, *, quiet: bool) -> None:
    """Make the images ready, count them, and draw some."""
    from cloudmask_export.training.cache import cached
    from cloudmask_export.training.sheet import counted, draw

    recipe = config.recipe
    folder.mkdir(parents=True, exist_ok=True)
    with _bars(config, quiet=quiet) as bars:
        banks = cached(recipe, folder, bars.make)
    draw(folder / SHEET, banks[0], recipe.bands, recipe.name)
    if quiet:
        return
    for title, bank in zip(("to train on", "held out"), banks, strict=True):
        for line in counted(bank, title):
            say(line)
    say(f"{folder / SHEET}: some of them with their labels")


def _train(
    config: Config, folder: Path, again: str, *, resume: bool, threads: int | None, quiet: bool
) -> Made:
    try:
        from cloudmask_export.make import Order, make
        from cloudmask_export.training.events import Doing
        from cloudmask_export.training.train import train as trained
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    with _Signals() as signals, _bars(config, quiet=quiet) as bars:

        def tell(event: Event) -> None:
            bars.tell(event)
            signals.stop_if_idle(event)

        weights = trained(
            config, folder, resume=resume, threads=threads, tell=tell, stop=signals.asked
        )
        if weights is None:
            stop(signals.status, f"stopped after {bars.steps}; go on with: {again}")
        order = Order(folder=folder, name=config.recipe.name, force=True)
        return make(weights, order, lambda words: tell(Doing(words)))


def _sentences(made: Made) -> Iterator[str]:
    folder = made.path.parent
    yield f"{folder / 'log.csv'}: loss and scores on the way"
    yield f"{made.path}: {made.report.result.bytes / 1e6:.1f} MB"
    yield f"check it anywhere: cloudmask verify {quote(str(folder))}"
    yield f"use it: cloudmask mask S2.tif -o mask.tif -m {quote(str(made.path))}"


class _Signals:
    """Ctrl-C and a scheduler's SIGTERM ask to end; a second one ends at once."""

    number = 0

    def __enter__(self) -> Self:
        kinds = (signal.SIGINT, signal.SIGTERM)
        self.before = {kind: signal.signal(kind, self._asked) for kind in kinds}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self.before.items():
            signal.signal(kind, handler)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            self._end()
        self.number = number

    def asked(self) -> bool:
        """Tell whether to end."""
        return bool(self.number)

    @property
    def status(self) -> int:
        """Status to exit with."""
        return TERMINATED if self.number == signal.SIGTERM else INTERRUPTED

    def stop_if_idle(self, event: Event) -> None:
        """End at once where there is no step to be kept, as while images are made ready."""
        from cloudmask_export.training.events import Doing

        if self.number and isinstance(event, Doing):
            self._end()

    def _end(self) -> NoReturn:
        raise KeyboardInterrupt


class _Bars:
    """Progress on a terminal."""

    steps = "no step"

    def __init__(self, bars: Progress | None, images: int) -> None:
        self.bars, self.images, self.made = bars, images, 0
        self.task: TaskID | None = None
        self.kind = ""

    def make(self, words: str) -> None:
        """Say what is being made ready, an image each time."""
        self.made += 1
        self._show("images", words, self.made, max(self.images, self.made))

    def tell(self, event: Event) -> None:
        """Say what a training does."""
        from cloudmask_export.training.events import Doing, Stepped

        if isinstance(event, Doing) and self.kind in ("", "images"):
            self.make(event.words)
        elif isinstance(event, Doing):
            self._show("export", event.words, 0, None)
        elif isinstance(event, Stepped):
            self.steps = f"step {event.done} of {event.total}"
            self._show("steps", f"loss {event.loss:.3f}", event.done, event.total)
        elif self.bars:
            self.bars.console.print(_line(event), highlight=False, markup=False)

    def _show(self, kind: str, words: str, done: int, total: int | None) -> None:
        if not self.bars:
            return
        if self.task is None or kind != self.kind:
            if self.task is not None:
                self.bars.remove_task(self.task)
            self.task, self.kind = self.bars.add_task(words, total=total), kind
        self.bars.update(self.task, description=words, completed=done, total=total)


def _line(row: Row) -> str:
    scores = "".join(
        f", {name} F1 {score.f1:.3f} (precision {score.precision:.3f}, recall {score.recall:.3f})"
        for name, score in row.scores.items()
    )
    return f"stage {row.stage}, step {row.step}: loss {row.loss:.3f}{scores}"


@contextmanager
def _bars(config: Config, *, quiet: bool) -> Iterator[_Bars]:
    """Show bars on standard error: images that are made ready, then steps with the time left."""
    sources = config.recipe.sources
    images = 1 + sources.composed + sources.simulated
    if quiet or not sys.stderr.isatty():
        yield _Bars(None, images)
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars, images)
