"""One target of fuzzing: makes inputs, hands them to the product, tells how each trial ended."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz.guards import SECONDS, ExecutedError, HangError, guarded, limited, watched
from fuzz.tally import Finding, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PRODUCT = tuple(str(ROOT / name) for name in ("udf", "openeo_process", "export"))
TELL_EVERY = 100
"""Trials."""


class WrongError(AssertionError):
    """What was accepted is not what it should be, or a refusal does not say what it must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is tried, once there is a folder to try it in."""

    make: Callable[[random.Random], Any]
    """Makes an input, files included; not watched."""
    take: Callable[[Any], str | None]
    """Hands it to the product; says how it was accepted, nothing for "answered". Raises WrongError
    if the answer is wrong."""
    warm: Callable[[], object] = lambda: None
    """Does once what is done with a sound input: what the product imports late is then there."""
    named: str = ""
    """Must be in the message of every refusal."""
    writable: Path | None = None
    """Where the product may write."""
    check: Callable[[Any], None] = lambda _: None
    """Looks at what is left behind after a trial, unwatched; raises WrongError."""


@dataclass(slots=True, kw_only=True)
class Trials:
    """See `fuzz.tally.Target`."""

    name: str
    kind: str
    trials: int
    refusals: tuple[type[Exception], ...]
    """Documented errors."""
    prepare: Callable[[Path], Subject]
    """Takes a folder of its own."""
    seconds: float = SECONDS
    """That a trial may take."""
    hungry: bool = False
    """Whether a refusal for want of memory is documented; else it is a bomb that worked."""

    def __call__(self, trials: int, seed: int, tell: Callable[[int], None]) -> Tally:
        """Try so many; see `fuzz.tally.Target`."""
        run = _Run(self, seed)
        logging.disable(logging.CRITICAL)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # Warnings are documented where they are given; here only errors count.
            warnings.simplefilter("ignore")
            subject = self.prepare(Path(folder))
            with limited():
                subject.warm()
                for index in range(trials):
                    run.one(subject, index)
                    if (index + 1) % TELL_EVERY == 0:
                        tell(TELL_EVERY)
        logging.disable(logging.NOTSET)
        tell(trials % TELL_EVERY)
        return run.tally

    def again(self, seed: int, index: int) -> str | None:
        """Repeat one trial and let its error through, with nothing but the canaries watching."""
        with tempfile.TemporaryDirectory() as folder:
            subject = self.prepare(Path(folder))
            subject.warm()
            given = subject.make(_numbers(self, seed, index))
            with guarded(subject.writable):
                return subject.take(given)


def _numbers(trials: Trials, seed: int, index: int) -> random.Random:
    return random.Random(f"{trials.name} {seed} {index}")


@dataclass(slots=True)
class _Run:
    """A run under way; findings of one type and place are told once."""

    target: Trials
    seed: int
    tally: Tally = field(init=False)
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tally = Tally(self.target.name, self.target.kind)

    def one(self, subject: Subject, index: int) -> None:
        """Make one trial and count it."""
        given = subject.make(_numbers(self.target, self.seed, index))
        try:
            with watched(self.target.seconds), guarded(subject.writable):
                answer = subject.take(given) or "answered"
            subject.check(given)
        except self.target.refusals as error:
            self._refused(error, subject, given, index)
        except (Exception, HangError, ExecutedError) as error:  # noqa: BLE001 - the very question
            self._found(error, "", given, index)
        else:
            self.tally.outcomes[answer] += 1

    def _refused(self, error: Exception, subject: Subject, given: Any, index: int) -> None:
        if not self.target.hungry and _starved(error):
            self._found(error, "a bomb, however politely told: ", given, index)
        elif subject.named not in str(error):
            self._found(error, f"does not name {subject.named!r}: ", given, index)
        elif not str(error).strip():
            self._found(error, "says nothing: ", given, index)
        else:
            self.tally.outcomes[f"refused: {type(error).__name__}"] += 1

    def _found(self, error: BaseException, why: str, given: Any, index: int) -> None:
        place = f"{why}{type(error).__name__} at {_place(error)}"
        if place in self.known:
            self.tally.outcomes[f"again: {place}"] += 1
            return
        text = " ".join(ascii(str(error))[:200].split())
        self.known[place] = text
        how = f"target {self.target.name!r}, seed {self.seed}, index {index}"
        shown = _shown(given)
        short = f": {shown}" if len(shown) <= 300 else ""
        self.tally.findings.append(Finding(f"{place}: {text}", how + short))


def _shown(given: Any) -> str:
    try:
        return ascii(given)
    except RecursionError:
        return "nested deeper than can be shown " * 20


def _starved(error: BaseException | None) -> bool:
    """Tell whether memory ran out on the way to an error."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False


def _place(error: BaseException) -> str:
    """Name the innermost line of the product that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if each.filename.startswith(PRODUCT)] or list(frames)
    last = ours[-1]
    return f"{last.filename.removeprefix(f'{ROOT}/')}:{last.lineno}"


def loaded(path: str) -> Any:
    """Import a module of the tests, which are no package, by its path below the repository."""
    from importlib.util import module_from_spec, spec_from_file_location

    place = ROOT / path
    name = f"fuzz_{place.stem}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, place)
        assert spec
        assert spec.loader
        # dataclasses look their module up.
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
