"""`make soak`: eight batch jobs at once for five minutes against the loopback back-end.

Every kind of job is run alone first, then twice among the others. Then jobs of all kinds are kept
running side by side, and each mask is compared, bit by bit, with the one of the job run alone.
Memory, threads and open files of the server and its UDF workers are sampled meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, track
from rich.table import Table
from served import Place
from soak_jobs import Yard, kinds, scene, together, until, write_tiny
from soak_watch import GROWTH, IN_CHUNKS, IN_FLIGHT, WARM_UP, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soak_jobs import Kind, Tally
    from soak_watch import Trend

_console = Console(width=100)


def main() -> None:
    """Soak, print what was seen; exit status 1 if a job was lost, a mask differs, or all grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=8, help="at once")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2, help="UDF workers of each kind")
    asked = parser.parse_args()
    python = Path(sys.prefix) / "backends" / "driver" / "bin" / "python"
    if not python.exists():
        parser.error(f"no back-end in {python.parents[1]}; `make soak` installs it")
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Place(Path(name), python, workers=asked.workers)
        sys.exit(not soak(place, jobs=asked.jobs, seconds=60 * asked.minutes))


def soak(place: Place, *, jobs: int, seconds: float) -> bool:
    """Soak a back-end, and say whether it bore it."""
    some = kinds(write_tiny(place.folder))
    with place.open() as (driver, server):
        yard = Yard(driver, driver.add_collection(scene()), place.folder / "downloads")
        alone = {kind.name: yard.run(kind) for kind in track(some, "one by one", console=_console)}
        with _bar(None) as bar:  # every worker meets every network before it is watched
            tally = together(_shown(iter(2 * some), bar), yard.run, alone, jobs=jobs)
        with Watch(server.pid) as watch, _bar(seconds) as bar:
            work = _shown(until(time.monotonic() + seconds, some), bar)
            tally = tally.and_(together(work, yard.run, alone, jobs=jobs))
        _console.print(_of_jobs(tally))
        for line in tally.failed[:10]:
            _console.print(line, style="red", markup=False)
        if server.poll() is not None:
            _console.print(f"the server ended by itself (status {server.poll()})", style="red")
            return False
        trends = watch.trends()
    _console.print(_of_trends(trends))
    flat = all(each.flat for each in trends.values())
    _console.print(
        f"{tally.total} jobs, {jobs} at once, {len(watch.processes)} processes; lost "
        f"{len(tally.failed)}, masks that differ {tally.other.total()}; memory, threads and files "
        f"{'flat' if flat else 'NOT FLAT'}"
    )
    return tally.right and flat


def _bar(seconds: float | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(40), TimeElapsedColumn())
    bar = Progress(*columns, console=_console)
    bar.add_task("warming up" if seconds is None else "side by side", total=seconds)
    return bar


def _shown(work: Iterator[Kind], bar: Progress) -> Iterator[Kind]:
    start = time.monotonic()
    (task,) = bar.tasks
    what = task.description
    for number, kind in enumerate(work, 1):
        told = f"{what}, {number} jobs"
        bar.update(task.id, completed=time.monotonic() - start, description=told)
        yield kind


def _of_jobs(tally: Tally) -> Table:
    table = Table("kind of job", title="jobs", title_justify="left")
    for heading in ("same mask", "another mask", "seconds each"):
        table.add_column(heading, justify="right")
    for name in sorted(tally.seconds):
        ended = tally.done[name] + tally.other[name]
        each = f"{tally.seconds[name] / ended:.1f}" if ended else "-"
        table.add_row(name, str(tally.done[name]), str(tally.other[name]), each)
    return table


def _of_trends(trends: dict[str, Trend]) -> Table:
    rule = (
        f"flat: after the first {WARM_UP:.0%} of the time, the Theil-Sen slope adds up to at most "
        f"{GROWTH:.0%} of the median ({IN_FLIGHT:.0f} MiB of the server, "
        f"{IN_CHUNKS:.0f} MiB of all workers, three threads or files)"
    )
    table = Table("quantity", title="server and UDF workers", title_justify="left", caption=rule)
    for heading in ("median", "slope a minute", "growth", "allowed", "verdict"):
        table.add_column(heading, justify="right")
    for name, seen in trends.items():
        numbers = (seen.median, seen.slope, seen.growth, seen.allowed)
        verdict = "flat" if seen.flat else "GROWS"
        table.add_row(name, *(f"{number:.2f}" for number in numbers), verdict)
    return table


if __name__ == "__main__":
    main()
