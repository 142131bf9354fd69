"""A progress bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from cloudmask.local.console import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task, TaskID

MEGA = 1e6


class _Megapixels(ProgressColumn):
    """Show pixels done, of how many, and how fast."""

    def render(self, task: Task) -> Text:
        speed = f", {task.speed / MEGA:.2f}/s" if task.speed else ""
        return Text(f"{task.completed / MEGA:.1f} of {(task.total or 0) / MEGA:.1f} Mpx{speed}")


class _Scenes(ProgressColumn):
    """Show scenes done, of how many."""

    def render(self, task: Task) -> Text:
        # Shares of scenes add up to a little less than they should.
        return Text(f"{int(task.completed + SLACK)} of {int(task.total or 0)} scenes")


SLACK = 1e-6


def _words() -> TextColumn:
    """Show a task's name; square brackets in it are brackets."""
    return TextColumn("{task.description}", markup=False)


def _on_a_terminal() -> bool:
    # None where a process is started with it closed.
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def scene_bar(scenes: int, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error while scenes are done; lines may be printed above it.

    Args:
        scenes: All there are to do.
        quiet: Show nothing.

    Yields:
        A function to be called, by any thread, with the share of a scene done since the last call.
    """
    if quiet or not _on_a_terminal():
        yield lambda _share: None
        return
    columns = (BarColumn(), _Scenes(), TimeRemainingColumn())
    # Lines that go to a file or a pipe stay what they are.
    lines = sys.stdout is not None and sys.stdout.isatty()
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=lines
    ) as bar:
        task = bar.add_task("", total=scenes)
        yield lambda share: bar.advance(task, share)


@contextmanager
def pixel_bar(
    title: str, pixels: int, *, quiet: bool = False
) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error while pixels are done.

    Args:
        title: What is being done.
        pixels: All there are to do.
        quiet: Show nothing.

    Yields:
        A function to be called with the number of pixels done since its last call.
    """
    if quiet or not _on_a_terminal():
        yield lambda _pixels: None
        return
    columns = (_words(), BarColumn(), _Megapixels(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(title), total=pixels)
        yield lambda done: bar.advance(task, done)
        bar.update(task, completed=pixels)


@contextmanager
def spinner(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show on standard error what is being done.

    Yields:
        A function to be called with a few words before each step; with none to hide.
    """
    if quiet or not _on_a_terminal():
        yield lambda _words: None
        return
    with Console(stderr=True).status("") as status:

        def tell(words: str) -> None:
            if words:
                status.update(Text(f"{clean(words)} ...", no_wrap=True, overflow="ellipsis"))
                status.start()
            else:
                status.stop()

        yield tell


@contextmanager
def byte_bars(*, quiet: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar for each download on standard error.

    Yields:
        A function to be called with a file's name, the bytes that are here, and those there will
        be, if anybody knows.
    """
    if quiet or not _on_a_terminal():
        yield lambda _file, _done, _total: None
        return
    columns = (
        _words(), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(clean(file))
            bars.update(tasks[file], completed=done, total=total)

        yield tell
