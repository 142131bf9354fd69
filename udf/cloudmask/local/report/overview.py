"""The folder in a few words: totals, networks, how the masks were made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING

from cloudmask.errors import ModelError
from cloudmask.registry import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cloudmask.local.report.scenes import Masked, Network


@dataclass(frozen=True, slots=True)
class Totals:
    """The folder in a few numbers."""

    scenes: int
    clear: float | None
    """Mean percentage, each scene alike; None if none has a valid pixel."""
    middle: float | None
    """Median of the same."""
    mostly_clear: int
    """Scenes with at least `mostly` percent clear."""
    mostly: int
    first: datetime | None
    last: datetime | None


MOSTLY = 80
"""Percent from which a scene counts as mostly clear."""


def totals(scenes: Sequence[Masked]) -> Totals:
    """Sum the scenes up."""
    shares = [scene.clear for scene in scenes if scene.clear is not None]
    times = [scene.when for scene in scenes if scene.when]
    return Totals(
        scenes=len(scenes),
        clear=fmean(shares) if shares else None,
        middle=median(shares) if shares else None,
        mostly=MOSTLY,
        mostly_clear=sum(share >= MOSTLY for share in shares),
        first=min(times, default=None),
        last=max(times, default=None),
    )


@dataclass(frozen=True, slots=True)
class Used:
    """A network, how often it was used, and how to cite it."""

    network: Network
    scenes: int
    citation: str


def networks(scenes: Sequence[Masked]) -> list[Used]:
    """List the networks that took part; this installation knows how to cite its own."""
    counts = Counter(network for scene in scenes for network in scene.networks)
    citations = _citations()
    return [Used(each, count, citations.get(each.name, "")) for each, count in counts.items()]


def _citations() -> Mapping[str, str]:
    try:
        return {name: entry.spec.citation for name, entry in known().items()}
    except ModelError:  # a damaged manifest that has nothing to do with these masks
        return {}


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which masks were made."""

    networks: tuple[str, ...]
    options: Mapping[str, str]
    scenes: int


def ways(scenes: Sequence[Masked]) -> list[Way]:
    """List the ways in which masks were made, the most usual first."""
    counts = Counter(
        (tuple(each.name for each in scene.networks), tuple(scene.options.items()))
        for scene in scenes
    )
    return [Way(names, dict(options), count) for (names, options), count in counts.most_common()]


def sentinel_years(scenes: Sequence[Masked]) -> str:
    """Name the years of the Sentinel scenes, for the notice that their licence asks for."""
    years = sorted(
        {
            scene.when.year
            for scene in scenes
            if scene.when and scene.facts.get("platform", "").lower().startswith("sentinel")
        }
    )
    return _ranges(years)


def _ranges(years: Sequence[int]) -> str:
    """Write 2019, 2020, 2021, 2023 as 2019-2021, 2023."""
    if not years:
        return ""
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(years), 1) if b != a + 1), len(years)]
    runs = [years[start:stop] for start, stop in pairwise(cuts)]
    return ", ".join(f"{run[0]}" + (f"–{run[-1]}" if len(run) > 1 else "") for run in runs)  # noqa: RUF001
