"""From numbers in rows to class probabilities in rows: the one road through the core.

A scene is read from the top, a band of rows at a time; each row of tiles is cut, filled, put to
the networks and stitched; rows leave as soon as they are final. Nothing here grows with the
height of the scene, so a file larger than memory and a chunk in a worker go the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudmask.blend import make_stitcher
from cloudmask.classes import classify
from cloudmask.errors import CubeError, OptionError
from cloudmask.fill import fill, occupied
from cloudmask.source import SourceBand
from cloudmask.windows import Placement, Span, slid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.blend import Stitcher
    from cloudmask.ensemble import Ensemble
    from cloudmask.source import RowSource
    from cloudmask.windows import AxisPlan, Tiling


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tiles to run over a scene, and how many at once."""

    y: AxisPlan
    x: AxisPlan
    tiling: Tiling
    batch: int = 1

    def __post_init__(self) -> None:
        """Refuse empty batches."""
        if self.batch < 1:
            raise OptionError(f"batch={self.batch}: must be 1 or more")


@dataclass(frozen=True, slots=True)
class Rows:
    """Finished rows of a scene."""

    y: Span
    """Which rows, in the frame of the source."""
    probabilities: NDArray[np.float32]
    """(channel, rows, width); 0 where no data."""
    valid: NDArray[np.bool_]
    """(rows, width), True where the pixel exists."""

    def classes(self, codes: Sequence[int]) -> NDArray[np.uint8]:
        """Give the most probable class code of each pixel, (rows, width), 255 = no data."""
        return classify(self.probabilities, codes, self.valid)


def predict_rows(
    source: RowSource,
    plan: Plan,
    ensemble: Ensemble,
    preset: Preset,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Rows]:
    """Run the networks over a scene, from the top.

    Args:
        source: Where the numbers come from.
        plan: Which tiles to run.
        ensemble: The networks.
        preset: What the numbers mean.
        progress: Called with the number of output pixels done since the last call.

    Yields:
        All rows of `plan.y.out`, in order, each once.

    Raises:
        CubeError: The source has another number of bands than the networks.
    """
    if source.shape[0] != len(ensemble.spec.bands):
        raise CubeError(
            f"{source.shape[0]} bands given, model {ensemble.name!r} takes "
            f"{len(ensemble.spec.bands)}: {', '.join(ensemble.spec.bands)}"
        )
    steps = _steps(SourceBand(source, preset), plan, progress)
    stitcher = make_stitcher(len(ensemble.spec.classes), plan.y, plan.x, plan.tiling)
    for step, answer in ensemble.answers(steps, plan.batch):
        if isinstance(step, _RowDone):
            yield from step.rows(stitcher)
        elif answer is not None:
            stitcher.add(answer, step.y, step.x)
            _tell(progress, step.y, step.x)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tile lies."""

    y: Placement
    x: Placement


@dataclass(frozen=True, slots=True)
class _RowDone:
    """A row of tiles ends here; with it some rows of pixels are final."""

    y: Span
    valid: NDArray[np.bool_]
    """(rows, width), kept here as the source may have gone on by the time tiles are answered."""

    def rows(self, stitcher: Stitcher) -> Iterator[Rows]:
        """Take what is final, a few rows at once: copies of all would double the memory."""
        for start in range(self.y.start, self.y.stop, ROWS_AT_ONCE):
            part = Span(start, min(start + ROWS_AT_ONCE, self.y.stop))
            probabilities = stitcher.take(part.stop)
            valid = self.valid[part.within(self.y).slice]
            if not valid.all():
                probabilities *= valid
            yield Rows(part, probabilities, valid)


ROWS_AT_ONCE = 128


_Step = tuple[_Place | _RowDone, "NDArray[np.float32] | None"]


def _steps(
    numbers: SourceBand, plan: Plan, progress: Callable[[int], None] | None
) -> Iterator[_Step]:
    """Cut all tiles, row by row; those without a valid pixel to answer for are left out."""
    start = plan.y.out.start
    for number, y in enumerate(plan.y.placements):
        numbers.hold(plan.y.needs(number))
        for x in plan.x.placements:
            step = _cut(numbers, plan, y, x)
            if step:
                yield step
            else:
                _tell(progress, y, x)
        rows = Span(start, plan.y.settled(number))
        if rows.size:
            yield _RowDone(rows, numbers.valid(rows, plan.x.out)), None
            start = rows.stop


def _tell(progress: Callable[[int], None] | None, y: Placement, x: Placement) -> None:
    if progress:
        progress(y.core.size * x.core.size)


def _cut(numbers: SourceBand, plan: Plan, y: Placement, x: Placement) -> _Step | None:
    if plan.y.stitch == "crop":
        if not numbers.valid(y.core, x.core).any():
            return None
    else:
        valid = numbers.valid(y.window, x.window)
        if not valid.any():
            return None
        rows, columns = occupied(valid)
        y = _slide(y, rows, plan.y)
        x = _slide(x, columns, plan.x)
        if not (y.window.common(plan.y.out).size and x.window.common(plan.x.out).size):
            return None  # asked for only in case it slides into the output
    values, valid = numbers.tile(y.window, x.window)
    return _Place(y, x), fill(values, valid)


def _slide(placement: Placement, inner: Span, axis: AxisPlan) -> Placement:
    """Move a tile off no data; `inner` is its occupied part in its own frame."""
    there = inner.moved(placement.window.start)
    return replace(placement, window=slid(placement.window, there, axis.extent, axis.reach))
