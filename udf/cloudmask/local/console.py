"""What commands say, and how they stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator


def say(text: str) -> None:
    """Print a line."""
    typer.echo(text)


def complain(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"cloudmask: {text}", err=True)


@contextmanager
def stoppable() -> Iterator[None]:
    """Clean up and say so when stopped by Ctrl-C or by a scheduler (SIGTERM)."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except KeyboardInterrupt:
        stop(130, "stopped; no file was left half written")
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(_number: int, _frame: object) -> NoReturn:
    stop(143, "terminated; no file was left half written")


def stop(status: int, text: str) -> NoReturn:
    """Say what went wrong in one line, and end with an exit status."""
    complain(text)
    raise SystemExit(status) from None
