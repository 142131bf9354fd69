"""What was tried, and how each trial ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome that is documented nowhere."""

    what: str
    """What happened, in a line."""
    how: str
    """What makes it happen again: a seed, the input itself if it is short."""


@dataclass(slots=True)
class Tally:
    """How many trials ended how."""

    target: str
    """What was fuzzed."""
    kind: str
    """What one trial is: "cubes", "files", "contexts", in the plural."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Documented outcomes: "answered", "refused: BandError"."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """Number of trials."""
        return self.outcomes.total() + len(self.findings)


class Target(Protocol):
    """Something that takes made-up inputs."""

    @property
    def name(self) -> str:
        """What is fuzzed."""

    @property
    def kind(self) -> str:
        """What one trial is, in the plural."""

    @property
    def trials(self) -> int:
        """How many a whole run has."""

    def __call__(self, trials: int, seed: int, tell: Callable[[int], None]) -> Tally:
        """Try so many; `tell` is called with the number of trials done since its last call."""
