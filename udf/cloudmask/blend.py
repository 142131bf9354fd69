"""Stitching: tiles in, finished rows out, with only a band of rows in memory.

Both stitchers take tiles in the order of their plan and give each output row once no later tile
can change it. Memory is O(width x tile), whatever the height. Sums are float32 and weights
positive everywhere: CloudS2Mask's integer ramps lose the corners of a scene to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.windows import AxisPlan, Placement, Tiling


class Stitcher(Protocol):
    """Puts tiles together."""

    def add(self, tile: NDArray[np.float32], y: Placement, x: Placement) -> None:
        """Take the answer (channel, P, P) of the tile at y, x."""

    def take(self, stop: int) -> NDArray[np.float32]:
        """Give the rows (channel, rows, width) from the last one given up to `stop`.

        Pixels that no tile answered are 0 in every channel.
        """


class RowBand:
    """Rows of an image of which only those in the making are kept.

    The same memory serves for all rows: they move to its top when they reach its end.
    """

    def __init__(self, channels: int, y: AxisPlan, x: AxisPlan) -> None:
        self._out_y, self._out_x = y.out, x.out
        # All at once: to make it larger later would take both sizes for a moment.
        self._rows = np.zeros((channels, y.most_rows, x.out.size), np.float32)
        self._top = self._start = y.out.start  # of the memory, and of the rows still kept

    def window(self, y: Span, x: Span) -> tuple[NDArray[np.float32], Span, Span]:
        """Give the part of the image that y, x covers, as a view, and that part's place.

        Returns:
            The view (channel, rows, columns), and its rows and columns in the frame of y, x.
        """
        y_in, x_in = y.common(self._out_y), x.common(self._out_x)
        view = self._held(y_in)[:, :, x_in.within(self._out_x).slice]
        return view, y_in.within(y), x_in.within(x)

    def take(self, stop: int) -> NDArray[np.float32]:
        """Give and forget the rows before `stop`."""
        done = self._held(Span(self._start, stop)).copy()
        self._start = stop
        return done

    def _held(self, y: Span) -> NDArray[np.float32]:
        """Give rows that are kept, with room made for them."""
        if y.stop - self._top > self._rows.shape[1]:
            self._move_up()
        return self._rows[:, y.moved(-self._top).slice]

    def _move_up(self) -> None:
        gone = self._start - self._top
        left = self._rows.shape[1] - gone
        for channel in self._rows:  # one by one, as overlapping memory is moved by way of a copy
            channel[:left] = channel[gone:]
            channel[left:] = 0
        self._top = self._start


class CropStitcher:
    """Each pixel from the one tile whose core holds it."""

    def __init__(self, channels: int, y: AxisPlan, x: AxisPlan) -> None:
        self._band = RowBand(channels, y, x)

    def add(self, tile: NDArray[np.float32], y: Placement, x: Placement) -> None:
        """See `Stitcher`."""
        view, _, _ = self._band.window(y.core, x.core)
        view[:] = tile[:, y.core.within(y.window).slice, x.core.within(x.window).slice]

    def take(self, stop: int) -> NDArray[np.float32]:
        """See `Stitcher`."""
        return self._band.take(stop)


class BlendStitcher:
    """Tiles mixed over their overlap by linear ramps."""

    def __init__(self, channels: int, y: AxisPlan, x: AxisPlan, tiling: Tiling) -> None:
        # The last channel holds the sum of weights.
        self._band = RowBand(channels + 1, y, x)
        edge = ramp(tiling)
        self._weight = edge[:, None] * edge

    def add(self, tile: NDArray[np.float32], y: Placement, x: Placement) -> None:
        """See `Stitcher`."""
        view, rows, columns = self._band.window(y.window, x.window)
        weight = self._weight[rows.slice, columns.slice]
        # A channel's product is small enough to be still at hand when it is added.
        for number, channel in enumerate(tile):
            view[number] += channel[rows.slice, columns.slice] * weight
        view[-1] += weight

    def take(self, stop: int) -> NDArray[np.float32]:
        """See `Stitcher`."""
        rows = self._band.take(stop)
        total, weight = rows[:-1], rows[-1]
        return np.divide(total, weight, out=total, where=weight > 0)


def ramp(tiling: Tiling) -> NDArray[np.float32]:
    """Weigh the pixels of a tile along one axis: (P,), greater than 0, 1 in the middle.

    Neighbours that share the full overlap sum to 1.
    """
    inward = np.minimum(np.arange(1, tiling.tile + 1), np.arange(tiling.tile, 0, -1))
    return np.minimum(inward / (tiling.overlap + 1), 1).astype(np.float32)


def make_stitcher(channels: int, y: AxisPlan, x: AxisPlan, tiling: Tiling) -> Stitcher:
    """Choose the stitcher that a plan is for."""
    if y.stitch == "crop":
        return CropStitcher(channels, y, x)
    return BlendStitcher(channels, y, x, tiling)
