"""Drives hypothesis outside of pytest: reproducible by a seed, counted, findings made small."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky

from fuzz.tally import Finding, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

AT_ONCE = 500
"""Trials in one run of hypothesis, which ends at its first finding."""

MOST_FINDINGS = 10
"""When there are so many, the rest waits until they are mended."""

SHRINKING = 90.0
"""Seconds in which a finding is made smaller."""


class UndocumentedError(AssertionError):
    """Something happened that is documented nowhere."""


class Trial(Protocol):
    """Tries one input."""

    def __call__(self, case: Any, /) -> str:
        """Tell the documented outcome, such as "answered" or "refused: BandError".

        Raises:
            UndocumentedError: There was another.
        """


@dataclass(frozen=True, slots=True)
class Driven:
    """A target whose inputs hypothesis draws."""

    name: str
    kind: str
    trials: int
    cases: SearchStrategy[Any]
    """Draws inputs whose repr makes them again."""
    judge: Trial
    how: str
    """How an input is tried again, with {case} in place of its repr."""

    def __call__(self, trials: int, seed: int, tell: Callable[[int], None]) -> Tally:
        """See `fuzz.tally.Target`."""
        tally = Tally(self.name, self.kind)
        number = 0
        while tally.tried < trials and len(tally.findings) < MOST_FINDINGS:
            share = _Share(self, tally, tell)
            share.run(min(AT_ONCE, trials - tally.tried), seed * 10_007 + number)
            number += 1
        return tally


class _EnoughError(BaseException):
    """Ends the shrinking; hypothesis lets through what is no Exception."""


@dataclass(slots=True)
class _Share:
    """Some trials, up to the first finding."""

    target: Driven
    tally: Tally
    tell: Callable[[int], None]
    found: Finding | None = None
    until: float = field(default=0.0)

    def run(self, trials: int, seed: int) -> None:
        """Try so many, or fewer if there is a finding, which is put on the list."""
        once = seeded(seed)(_settings(trials)(given(self.target.cases)(self._one)))
        try:
            once()
        except (UndocumentedError, _EnoughError, Flaky):
            assert self.found is not None, "what was raised was kept"
            self.tally.findings.append(self.found)
            self.tell(1)

    def _one(self, case: Any) -> None:
        if self.found is not None and time.monotonic() > self.until:
            raise _EnoughError
        try:
            outcome = self._judged(case)
        except UndocumentedError as error:
            if self.found is None:
                self.until = time.monotonic() + SHRINKING
            self.found = Finding(str(error), self.target.how.format(case=case))
            raise
        if self.found is None:
            self.tally.outcomes[outcome] += 1
            self.tell(1)

    def _judged(self, case: Any) -> str:
        try:
            return self.target.judge(case)
        except UndocumentedError:
            raise
        except Exception as error:
            message = f"the check itself fails with {type(error).__name__}: {error}"
            raise UndocumentedError(message) from error


def _settings(trials: int) -> settings:
    return settings(
        max_examples=trials,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
