"""What will it cost? A granule, a country, a year: from measured figures and stated assumptions.

`python -m benchmarks.projection --granules 80 --workers 16 64 --cpu-hour 1.5` writes the tables
with other assumptions; without arguments docs/projection.md is written anew from what is kept.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.documents import fill_in
from benchmarks.markdown import paragraphs, table
from benchmarks.measure import kept
from cloudmask.windows import Tiling, plan_axis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Results = Mapping[str, Any]

PAGE = Path(__file__).parents[1] / "docs" / "projection.md"
GRANULES = {10: 10980, 20: 5490}
"""Metres a pixel -> pixels along an edge of a granule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is not measured here."""

    granules: int = 60
    """Granules that a country touches, some in part: an assumption, about Germany's."""
    dates: int = 73
    """Acquisitions of a granule in a year: one every five days, from two satellites."""
    empty: float = 0.3
    """Share of a granule that is no data on average, whose tiles are not computed."""
    workers: tuple[int, ...] = (1, 16, 64)
    """Workers of one core each."""
    gib: float = 2.0
    """GiB of memory that a worker is given."""
    cpu_hour: float | None = None
    """Credits for a CPU-hour; the back-end's price list has it."""
    gib_hour: float | None = None
    """Credits for a GiB-hour."""

    @property
    def runs(self) -> int:
        """Granules times dates: batch jobs, if each is one."""
        return self.granules * self.dates

    def credits(self, cpu_hours: float) -> float | None:
        """CPU-hours x price + GiB-hours x price; None without a price."""
        if self.cpu_hour is None and self.gib_hour is None:
            return None
        return cpu_hours * ((self.cpu_hour or 0) + self.gib * (self.gib_hour or 0))


DEFAULT = Assumptions()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a network with an engine, as measured."""

    name: str
    tiling: Tiling
    metres: tuple[int, ...]
    cpu_seconds: float
    """A tile, end to end, both cores counted."""
    one_core: float
    """Seconds of a tile on one core alone."""

    def tiles(self, metres: int) -> int:
        """Count the tiles of a full granule."""
        return len(plan_axis(GRANULES[metres], self.tiling, "blend").placements) ** 2


def markdown(results: Results, assumed: Assumptions = DEFAULT) -> str:
    """Write all that can be told from the results there are."""
    costs = list(_costs(results))
    if not costs:
        return "Not measured yet."
    added = _added_seconds(results)
    return paragraphs([_granule(costs), _country(costs, assumed, added), _said(assumed, added)])


def _costs(results: Results) -> Iterator[Cost]:
    limits = results.get("limit", {}).get("networks", {})
    for name, title, metres in (
        ("clouds2mask", "CloudS2Mask", (10, 20)),
        ("omnicloudmask", "OmniCloudMask V4", (10, 20)),
    ):
        found = results.get(name, {})
        tiling = Tiling(found.get("tile", 2), found.get("overlap", 0))
        for engine, seconds in found.get("seconds", {}).items():
            if engine.startswith(("onnxruntime", "OpenVINO")):
                alone = _one_thread(limits.get(title, {}), engine)
                a_tile = statistics.median(seconds) / found["tiles"]
                cpu = a_tile * found.get("measured_on", {}).get("cores", 2)
                yield Cost(f"{title}, {engine}", tiling, metres, cpu, a_tile * alone)


def _one_thread(found: Mapping[str, Any], engine: str) -> float:
    """How many times as long one thread takes; where not measured, what fp32 does, else 2."""
    seconds = found.get("seconds", {})
    for both in (engine, "onnxruntime fp32"):
        one = f"{both}, one thread"
        if one in seconds and both in seconds:
            return statistics.median(seconds[one]) / statistics.median(seconds[both])
    return 2.0


def _granule(costs: list[Cost]) -> str:
    rows = [
        ["one granule, no pixel of it empty", "tiles", "CPU-hours on two cores",
         "hours on one core"]
    ]  # fmt: skip
    for metres in GRANULES:
        for cost in costs:
            if metres in cost.metres:
                tiles = cost.tiles(metres)
                rows.append(
                    [
                        f"{metres} m, {cost.name}", str(tiles),
                        f"{tiles * cost.cpu_seconds / 3600:.3f}",
                        f"{tiles * cost.one_core / 3600:.3f}",
                    ]
                )  # fmt: skip
    return table(rows)


def _country(costs: list[Cost], assumed: Assumptions, added: tuple[float, float]) -> str:
    priced = assumed.credits(1) is not None
    many = [f"{n} workers, hours" for n in assumed.workers]
    head = ["a country", "once, CPU-hours", "a year, CPU-hours", "a year, GiB-hours", *many]
    rows = [[*head, *(["a year, credits"] if priced else [])]]
    for metres in GRANULES:
        for cost in costs:
            if metres in cost.metres:
                hours = _hours(cost, metres, assumed, added)
                year = hours * assumed.dates
                money = [f"{assumed.credits(year):.0f}"] if priced else []
                spans = [f"{year / n:.1f}" for n in assumed.workers]
                rows.append(
                    [
                        f"{metres} m, {cost.name}", f"{hours:.1f}", f"{year:.0f}",
                        f"{year * assumed.gib:.0f}", *spans, *money,
                    ]
                )  # fmt: skip
    return table(rows)


def _hours(cost: Cost, metres: int, assumed: Assumptions, added: tuple[float, float]) -> float:
    """Hours of one core for all granules once, with what a back-end adds."""
    a_job, a_megapixel = added
    work = cost.tiles(metres) * cost.one_core * (1 - assumed.empty)
    besides = a_job + a_megapixel * GRANULES[metres] ** 2 / 1e6
    return assumed.granules * (work + besides) / 3600


def _added_seconds(results: Results) -> tuple[float, float]:
    """Seconds that the loopback back-end adds a job and a megapixel; 0 if not measured."""
    found = results.get("backend", {})
    return (
        max(0.0, found.get("seconds_a_job", 0.0)),
        max(0.0, found.get("seconds_a_megapixel", 0.0)),
    )


def _said(assumed: Assumptions, added: tuple[float, float]) -> str:
    a_job, a_megapixel = added
    return (
        f"Assumed, not measured: {assumed.granules} granules, {assumed.dates} dates a year, "
        f"{100 * assumed.empty:.0f} % of a granule without data, workers of one core with "
        f"{assumed.gib:g} GiB that are never idle. Measured: the time of a tile from array to "
        f"classes, what one core loses or gains against two, and {a_job:.1f} s a job and "
        f"{a_megapixel:.2f} s a megapixel that the loopback back-end adds. Downloading imagery "
        "and waiting for machines come on top."
    )


def _read(words: list[str] | None = None) -> Assumptions:
    """Read assumptions from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for each in fields(Assumptions):
        default = getattr(DEFAULT, each.name)
        kind = int if each.name in ("granules", "dates", "workers") else float
        flag, many = f"--{each.name.replace('_', '-')}", "+" if each.name == "workers" else None
        parser.add_argument(flag, type=kind, default=default, nargs=many)
    found = vars(parser.parse_args(words))
    return Assumptions(**{**found, "workers": tuple(found["workers"])})


def main() -> None:
    """Write the page; with other assumptions, print."""
    assumed = _read()
    text = markdown(kept(), assumed)
    if assumed == DEFAULT:
        fill_in(PAGE, "projection", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
