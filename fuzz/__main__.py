"""Try many made-up inputs, and tell how each trial ended."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.tally import Tally, Target

HELP = """\
Every trial must end in a documented answer, which is checked, or in one of the package's own
errors. Anything else - another error, a warning, a wrong answer, a hang, something executed - is
a finding. Inputs are drawn at random by a seed: the same seed draws the same inputs.

  python -m fuzz                            all, some ten minutes
  python -m fuzz --share 0.01               one trial in a hundred, some seconds
  python -m fuzz --only cubes tilings       some targets; --list names them
  python -m fuzz --seed 7                   other inputs

A finding is listed with what makes it happen again. Mend it, and put the input into a test of
the module that was wrong. Nothing is written but what is printed; the exit code is 1 if there
are findings.
"""

AGAIN = "again: "
"""What outcomes start with that are like a finding that is listed."""


def parsed(arguments: Sequence[str], targets: Sequence[Target]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [target.name for target in targets]
    parser.add_argument("--seed", type=int, default=0, help="draws the inputs (default: 0)")
    parser.add_argument(
        "--share", type=_share, default=1.0, help="of the trials, above 0; 2 is twice as many"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=names, default=names, help="these targets"
    )
    parser.add_argument("--list", action="store_true", help="name the targets, and stop")
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return value


def run(targets: Sequence[Target], share: float, seed: int, console: Console) -> list[Tally]:
    """Try all targets, with a bar that moves."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tallies = []
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        for target in targets:
            trials = max(1, round(target.trials * share))
            task = progress.add_task(target.name, total=trials)
            tallies.append(target(trials, seed, _mover(progress, task)))
    return tallies


def _mover(progress: Progress, task: TaskID) -> Callable[[int], None]:
    def tell(done: int) -> None:
        progress.advance(task, done)

    return tell


def undocumented(tally: Tally) -> int:
    """Count the trials that ended as nothing says they may."""
    again = (count for outcome, count in tally.outcomes.items() if outcome.startswith(AGAIN))
    return len(tally.findings) + sum(again)


def table(tallies: Sequence[Tally]) -> Table:
    """Lay out what was tried."""
    made = Table("target", "kind", title="What was tried", title_justify="left")
    for name in ("tried", "answered", "refused"):
        made.add_column(name, justify="right")
    made.add_column("by")
    made.add_column("undocumented", justify="right")
    for tally in tallies:
        refused = _kinds(tally)
        bad, no = undocumented(tally), sum(refused.values())
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(refused.items()))
        counts = (tally.tried, tally.tried - no - bad, no)
        made.add_row(tally.target, tally.kind, *(f"{n:,}" for n in counts), kinds, f"{bad:,}")
    return made


def _kinds(tally: Tally) -> dict[str, int]:
    """Count refusals by the error that says so."""
    mark = "refused: "
    return {
        outcome.removeprefix(mark): count
        for outcome, count in tally.outcomes.items()
        if outcome.startswith(mark)
    }


def findings(tallies: Sequence[Tally], seed: int) -> Group:
    """List what is documented nowhere."""
    lines = []
    for tally in tallies:
        for number, finding in enumerate(tally.findings, 1):
            lines.append(f"\n{tally.target}, finding {number}: {finding.what}")
            lines.append(f"  again: {finding.how}")
            lines.append(f"  found by: python -m fuzz --seed {seed} --only {tally.target!r}")
    return Group(*map(escape, lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        # hypothesis keeps tables there, else in the working folder.
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        from fuzz.targets import TARGETS

        asked = parsed(sys.argv[1:] if arguments is None else arguments, TARGETS)
        # A log has no width; a table of 80 columns would be hard to read.
        console = Console(width=None if sys.stdout.isatty() else 120)
        chosen = [target for target in TARGETS if target.name in asked.only]
        if asked.list:
            for target in chosen:
                console.print(f"{target.name}: {target.trials:,} {target.kind}", highlight=False)
            return 0
        tallies = run(chosen, asked.share, asked.seed, console)
    console.print(table(tallies))
    console.print(findings(tallies, asked.seed), highlight=False)
    return int(any(map(undocumented, tallies)))


if __name__ == "__main__":
    sys.exit(main())
