"""How long a trial may take: of the processor's time, as the machine may be busy with others."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fuzz.guards import HangError, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPUTING = 60.0
"""Seconds of the processor; a trial takes a fraction of one."""
WAITING = 900.0
"""Seconds altogether: what waits forever computes nothing."""


@contextmanager
def patient() -> Iterator[None]:
    """Give up on what never ends; in the main thread only.

    Raises:
        HangError: It takes too long.
    """
    handler = signal.signal(signal.SIGPROF, _hangs)
    signal.setitimer(signal.ITIMER_PROF, COMPUTING)
    try:
        with watched(WAITING):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)


def _hangs(*_: object) -> None:
    raise HangError(f"it computes for {COMPUTING:g} s")
