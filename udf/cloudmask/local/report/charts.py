"""Where things lie in the charts: percentages of their boxes, so that they fit any screen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cloudmask.local.report.scenes import Masked

MARGIN = 0.03
"""Of the time between first and last scene, kept free at both ends."""

SHORTEST = timedelta(days=2)
"""What the time line shows at least."""


@dataclass(frozen=True, slots=True)
class Point:
    """A scene on the time line."""

    x: float
    """Percent from the left."""
    y: float
    """Percent from the top: all clear is 0."""
    number: int
    """Which card shows the scene, from 1."""
    scene: Masked


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Clear share over time."""

    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    span: str
    """What the ticks leave unsaid, such as their year."""


def time_line(scenes: Sequence[Masked]) -> TimeLine | None:
    """Lay out the scenes that have a time and a valid pixel; None if fewer than two have."""
    times = [scene.when for scene in scenes if scene.when and scene.clear is not None]
    if len(times) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    axis = _Axis.around(min(times), max(times))
    points = tuple(
        Point(axis.place(scene.when), 100 - scene.clear, number, scene)
        for number, scene in enumerate(scenes, 1)
        if scene.when and scene.clear is not None
    )
    return TimeLine(points, *axis.ticks())


@dataclass(frozen=True, slots=True)
class _Axis:
    start: datetime
    end: datetime

    @classmethod
    def around(cls, first: datetime, last: datetime) -> _Axis:
        margin = max(SHORTEST - (last - first), (last - first) * 2 * MARGIN) / 2
        return cls(first - margin, last + margin)

    def place(self, when: datetime) -> float:
        return 100 * ((when - self.start) / (self.end - self.start))

    def ticks(self) -> tuple[tuple[Tick, ...], str]:
        """Choose round times, and say what their labels leave out."""
        import matplotlib.dates as untyped

        dates: Any = untyped
        locator = dates.AutoDateLocator(tz=UTC, minticks=3)
        formatter = dates.ConciseDateFormatter(locator, tz=UTC)
        times = dates.num2date(locator.tick_values(self.start, self.end), tz=UTC)
        shown = [when for when in times if self.start <= when <= self.end]
        labels = formatter.format_ticks(dates.date2num(shown))
        ticks = tuple(
            Tick(self.place(when), label) for when, label in zip(shown, labels, strict=True)
        )
        return ticks, formatter.get_offset()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Confidence of a scene: share of valid pixels in bins of probability, 0..1."""

    heights: tuple[float, ...]
    """Percent of the highest bin."""
    sure: float
    """Percent of the pixels whose class has a probability of at least 0.9."""


SURE = 0.9


def histogram(counts: Sequence[float]) -> Histogram | None:
    """Lay out the counts; None if there are none."""
    total, highest = sum(counts), max(counts, default=0)
    if not total:
        return None
    first = round(SURE * len(counts))
    heights = tuple(100 * count / highest for count in counts)
    return Histogram(heights, 100 * sum(counts[first:]) / total)
