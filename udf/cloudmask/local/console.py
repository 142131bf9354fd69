"""What commands say, and how they stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from cloudmask.local.addresses import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator


def say(text: str) -> None:
    """Print a line."""
    typer.echo(clean(text))


def complain(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"cloudmask: {clean(text)}", err=True)


def clean(text: str) -> str:
    """Make a text fit to be printed, whoever has named the files and bands in it.

    Secrets in addresses are left out. What would steer the terminal (escape sequences, letters
    that turn the direction of writing) is written as Python writes it in a string.
    """
    seen = without_secrets(text)
    return "".join(
        each if each.isprintable() or each in HARMLESS else ascii(each)[1:-1] for each in seen
    )


HARMLESS = "\n\t\u00a0"
"""Not printable by the letter, but good for a text."""


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
