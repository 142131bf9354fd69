"""From numbers in rows to class probabilities in rows: the one road through the core.

A scene is read from the top, a band of rows at a time; each row of tiles is cut, filled, put to
the networks and stitched; rows leave as soon as they are final. Nothing here grows with the
height of the scene, so a file larger than memory and a chunk in a worker go the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cloudmask.blend import make_stitcher
from cloudmask.classes import classify
from cloudmask.errors import CubeError, OptionError
from cloudmask.fill import fill, occupied
from cloudmask.windows import Placement, Span, slid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.ensemble import Ensemble
    from cloudmask.windows import AxisPlan, Tiling


class RowSource(Protocol):
    """Something that rows can be read from: an array, a file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""

    def read(self, rows: Span) -> NDArray[np.generic]:
        """Read (band, rows, x), numbers as stored, bands in the network's order."""


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Rows of an array (band, y, x)."""

    array: NDArray[np.generic]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        bands, height, width = self.array.shape
        return bands, height, width

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `RowSource`."""
        return self.array[:, rows.slice]


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
    numbers = _NumberBand(source, preset)
    stitcher = make_stitcher(len(ensemble.spec.classes), plan.y, plan.x, plan.tiling)
    start = plan.y.out.start
    for number, placement in enumerate(plan.y.placements):
        numbers.hold(plan.y.needs(number))
        for batch in _batches(_tiles(numbers, plan, placement, progress), plan.batch):
            answers = ensemble(np.stack([tile.values for tile in batch]))
            for tile, answer in zip(batch, answers, strict=True):
                stitcher.add(answer, tile.y, tile.x)
                _tell(progress, tile.y, tile.x)
        stop = plan.y.settled(number)
        if stop > start:
            rows = Span(start, stop)
            valid, probabilities = numbers.valid(rows, plan.x.out), stitcher.take(stop)
            probabilities[:, ~valid] = 0
            yield Rows(rows, probabilities, valid)
            start = stop


@dataclass(frozen=True, slots=True)
class _Tile:
    """A tile ready for the networks."""

    values: NDArray[np.float32]
    y: Placement
    x: Placement


def _tell(progress: Callable[[int], None] | None, y: Placement, x: Placement) -> None:
    if progress:
        progress(y.core.size * x.core.size)


def _batches(tiles: Iterator[_Tile], size: int) -> Iterator[list[_Tile]]:
    batch: list[_Tile] = []
    for tile in tiles:
        batch.append(tile)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _tiles(
    numbers: _NumberBand, plan: Plan, y: Placement, progress: Callable[[int], None] | None
) -> Iterator[_Tile]:
    """Cut one row of tiles; those without a valid pixel to answer for are left out."""
    for x in plan.x.placements:
        tile = _cut(numbers, plan, y, x)
        if tile:
            yield tile
        else:
            _tell(progress, y, x)


def _cut(numbers: _NumberBand, plan: Plan, y: Placement, x: Placement) -> _Tile | None:
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
    return _Tile(fill(values, valid), y, x)


def _slide(placement: Placement, inner: Span, axis: AxisPlan) -> Placement:
    """Move a tile off no data; `inner` is its occupied part in its own frame."""
    there = inner.moved(placement.window.start)
    return replace(placement, window=slid(placement.window, there, axis.extent, axis.reach))


class _NumberBand:
    """The rows of the source that tiles in the making need, as stored, and their validity."""

    def __init__(self, source: RowSource, preset: Preset) -> None:
        self._source, self._preset = source, preset
        self._rows = Span(0, 0)
        self._all_columns = Span(0, source.shape[2])
        self._raw: NDArray[np.generic] | None = None
        self._valid = np.zeros((0, source.shape[2]), bool)

    def hold(self, needed: Span) -> None:
        """Forget the rows before what the next tiles can touch, read those that lack."""
        kept = self._rows.common(needed)
        if not kept.size:
            kept = Span(needed.start, needed.start)
        fresh = Span(kept.stop, max(kept.stop, needed.stop))
        raw = self._source.read(fresh)
        old = slice(kept.start - self._rows.start, kept.stop - self._rows.start)
        joined = (
            raw
            if not kept.size or self._raw is None
            else np.concatenate([self._raw[:, old], raw], axis=1)
        )
        valid = self._preset.valid(raw)
        self._valid = np.concatenate([self._valid[old], valid]) if kept.size else valid
        self._raw, self._rows = joined, Span(kept.start, fresh.stop)

    def valid(self, y: Span, x: Span) -> NDArray[np.bool_]:
        """Tell which pixels of y, x exist, (rows, columns); none does outside the source."""
        return self._window(self._valid[None], y, x)[0]

    def tile(self, y: Span, x: Span) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Give reflectance (band, y, x) and validity (y, x); outside the source invalid."""
        assert self._raw is not None, "hold() comes before tile()"
        values = self._preset.reflectance(self._window(self._raw, y, x))
        return values, self.valid(y, x)

    def _window(self, array: NDArray[np.generic], y: Span, x: Span) -> NDArray[np.generic]:
        y_in, x_in = y.common(self._rows), x.common(self._all_columns)
        inner = array[:, y_in.within(self._rows).slice, x_in.slice]
        if inner.shape[1:] == (y.size, x.size):
            return inner
        window = np.zeros((len(array), y.size, x.size), array.dtype)
        window[:, y_in.within(y).slice, x_in.within(x).slice] = inner
        return window
