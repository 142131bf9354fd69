"""Draw docs/images/tiling.svg and chunks.svg: plans of tiles, as the package makes them.

python docs/images/tiling.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, GREEN, INK, NOTHING, ORANGE, PALE, PURPLE, RED, SKY, save
from matplotlib.patches import Rectangle

from cloudmask.blend import ramp
from cloudmask.chunk_plan import ChunkAxis, carried_for
from cloudmask.windows import Span, Tiling, plan_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cloudmask.windows import AxisPlan

TILING = Tiling(tile=16, overlap=6)
LENGTH = 43
COLOURS = (BLUE, ORANGE, GREEN, RED, SKY, PURPLE)


def main() -> None:
    """Make both drawings."""
    _tiling()
    _chunks()


def _tiling() -> None:
    figure, (crop, blend) = plt.subplots(2, figsize=(7.2, 6.2), layout="constrained")
    crop.set_title("crop: tiles never move, each pixel is taken from one core", loc="left")
    _scene(crop, LENGTH, 6.6)
    plan = plan_axis(LENGTH, TILING, "crop")
    for number, each in enumerate(plan.placements):
        low, colour = 4.9 - 0.95 * number, COLOURS[number]
        _bar(crop, each.window, low, colour, hatched=True)
        _bar(crop, each.core, low, colour)
        _bar(crop, each.core, -0.2, colour)
        _number(crop, number, each.core, low)
    _note(crop, -0.2, "answer")
    blend.set_title("blend: neighbours are mixed, the last tile is pulled inside", loc="left")
    _scene(blend, LENGTH, 6.6)
    _ramps(blend, plan_axis(LENGTH, TILING, "blend"))
    save(figure, "tiling.svg")


def _ramps(axes: Axes, plan: AxisPlan) -> None:
    weights = np.zeros((len(plan.placements), LENGTH))
    for number, each in enumerate(plan.placements):
        low, colour = 4.9 - 0.95 * number, COLOURS[number]
        _bar(axes, each.window, low, colour)
        _number(axes, number, each.window, low)
        weights[number, each.window.slice] = ramp(TILING)
    shares = weights / weights.sum(axis=0)
    pixels = np.linspace(0, LENGTH, LENGTH)
    for number, share in enumerate(shares):
        axes.fill_between(pixels, -0.2, -0.2 + 1.3 * share, color=COLOURS[number], alpha=0.55)
        axes.plot(pixels[share > 0], -0.2 + 1.3 * share[share > 0], color=INK, linewidth=0.8)
    _note(axes, -0.2, "weight")


def _chunks() -> None:
    """Draw the plan of a scene, and that of a chunk that knows nothing of it."""
    size = 2 * TILING.stride
    carried = carried_for(TILING, "crop")
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    axes.set_title("crop: a chunk runs the tiles that the whole scene runs", loc="left")
    _scene(axes, LENGTH, 8.4)
    whole = plan_axis(LENGTH, TILING, "crop")
    for number, each in enumerate(whole.placements):
        _bar(axes, each.window, 7.1 - 0.3 * (number % 2), COLOURS[number], height=0.28)
    axes.text(-9.6, 7.1, "whole\nscene", va="center", fontsize=9)
    for chunk, low in ((0, 4.5), (1, 2.0), (2, -0.5)):
        own = Span(chunk * size, min((chunk + 1) * size, LENGTH))
        _chunk(axes, own, carried, low, size)
    save(figure, "chunks.svg")


def _chunk(axes: Axes, own: Span, carried: int, low: float, size: int) -> None:
    handed = Span(own.start, own.start + size).grown(carried)
    exists = handed.common(Span(0, LENGTH)).within(handed)
    plan = ChunkAxis(handed.size, carried, exists).plan(TILING, "crop").moved(handed.start)
    _bar(axes, handed, low + 0.9, "#777777", hatched=True, height=0.55)
    _bar(axes, own, low + 0.9, PALE, height=0.55)
    middle = (own.start + own.stop) / 2
    axes.text(middle, low + 1.17, "own", ha="center", va="center", fontsize=9)
    for number, each in enumerate(plan.placements):
        if each.window.common(Span(0, LENGTH)).size and each.core.common(own).size:
            colour = COLOURS[each.core.start // TILING.stride]
            _bar(axes, each.window, low + 0.35 - 0.3 * (number % 2), colour, height=0.28)
    axes.text(-9.6, low + 0.8, f"chunk {own.start // size}", va="center", fontsize=9)


def _scene(axes: Axes, length: int, height: float) -> None:
    """Draw the ground: what exists is white, what does not is grey."""
    axes.set(xlim=(-10, length + 13), ylim=(-1.1, height))
    for left, width in ((-10, 10), (length, 13)):
        axes.add_patch(Rectangle((left, -1.1), width, height + 1.1, color=NOTHING, zorder=0))
    axes.vlines((0, length), -1.1, height, color=INK, linewidth=1, linestyle="--")
    axes.text(0.3, height - 0.1, "first pixel", va="top", fontsize=9)
    axes.text(length - 0.3, height - 0.1, "last pixel", va="top", ha="right", fontsize=9)
    axes.set_axis_off()


def _bar(
    axes: Axes, span: Span, low: float, colour: str, *, hatched: bool = False, height: float = 0.7
) -> None:
    face, hatch, edge = ("white", "////", colour) if hatched else (colour, None, INK)
    axes.add_patch(
        Rectangle(
            (span.start, low), span.size, height,
            facecolor=face, hatch=hatch, edgecolor=edge, linewidth=0.8,
        )
    )  # fmt: skip


def _number(axes: Axes, number: int, span: Span, low: float) -> None:
    colour = "white" if COLOURS[number] in {BLUE, RED} else INK
    place = ((span.start + span.stop) / 2, low + 0.33)
    axes.text(*place, str(number), color=colour, ha="center", va="center", fontsize=10)


def _note(axes: Axes, low: float, text: str) -> None:
    axes.text(-9.6, low + 0.35, text, va="center", fontsize=9)


if __name__ == "__main__":
    main()
