"""A list of checks that is run, told about as it goes, and summed up in a table."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CheckError(Exception):
    """A check failed; the message says what was found and what is right."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a check ended."""

    name: str
    good: bool
    said: str
    """What was found, in a line or a few."""
    seconds: float


@dataclass(slots=True)
class Checks:
    """Runs checks one by one; one that fails does not stop the others."""

    tell: Callable[[str], None] = print
    results: list[Result] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], str]) -> bool:
        """Run one.

        Args:
            name: What is checked.
            check: Returns what it found; raises CheckError, or OSError, if that is wrong.

        Returns:
            Whether all was well.
        """
        self.tell(f"== {name} ...")
        start = time.monotonic()
        try:
            good, said = True, check()
        except (CheckError, OSError) as error:
            good, said = False, str(error)
        self.results.append(Result(name, good, said, time.monotonic() - start))
        self.tell(f"   {'ok' if good else 'FAILED'}: {said}")
        return good

    @property
    def good(self) -> bool:
        """Whether something was checked, and nothing was wrong."""
        return bool(self.results) and all(result.good for result in self.results)

    def table(self) -> str:
        """Sum up, a line a check."""
        width = max((len(result.name) for result in self.results), default=0)
        return "\n".join(
            f"{'ok    ' if each.good else 'FAILED'}  {each.name:{width}}  "
            f"{each.seconds:6.1f} s  {each.said.splitlines()[0] if each.said else ''}"
            for each in self.results
        )

    def end(self) -> int:
        """Show the table; 0 if all was well, else 1."""
        self.tell(f"\n{self.table()}")
        return 0 if self.good else 1
