"""How patient a download is, and whom it tells."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudmask_export.fetch.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIB = 2**30


class Progress(Protocol):
    """Told of every piece that arrives."""

    def __call__(self, file: str, done: int, total: int | None, /) -> None:
        """Say that of the file's `total` bytes `done` are here; None if nobody knows how many."""


class Say(Protocol):
    """Told what a person should know, one sentence at a time."""

    def __call__(self, sentence: str, /) -> None:
        """Show the sentence."""


def no_progress(file: str, done: int, total: int | None) -> None:
    """Show nothing."""


def silence(sentence: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When to wait, when to try again, when to give up."""

    attempts: int = 6
    """How often one place is asked before the next is."""
    first_wait: float = 1.0
    """Seconds before the second attempt; doubled before each further one."""
    longest_wait: float = 30.0
    """Seconds at most between two attempts."""
    connect_timeout: float = 10.0
    """Seconds for a server to take the call."""
    stall_timeout: float = 30.0
    """Seconds without a byte."""
    slowest: float = 1024.0
    """Bytes a second; what comes slower for as long as `stall_timeout` has stalled, too."""
    longest_asked: float = 300.0
    """Seconds that a server may ask to be left alone (Retry-After); one that asks for more is
    given up at once."""
    patience: float = 3600.0
    """Seconds to wait for another process that is fetching the same file."""
    largest: int = 2 * GIB
    """Bytes; a larger file is no network that is known here."""
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Refuse what never ends or never begins."""
        times = (self.connect_timeout, self.stall_timeout)
        if self.attempts < 1 or self.largest < 1 or min(times) <= 0:
            raise FetchError(
                f"attempts {self.attempts}, largest {self.largest}, timeouts {times}: all must be "
                "above 0"
            )
        if min(self.first_wait, self.longest_wait, self.patience) < 0:
            raise FetchError(
                f"waits {self.first_wait}, {self.longest_wait}, {self.patience}: none may be "
                "negative"
            )

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each attempt; 0 before the first."""
        yield 0.0
        for number in range(self.attempts - 1):
            yield min(self.first_wait * 2**number, self.longest_wait)


PATIENT = Policy()
