"""Draw docs/images/road.png and filling.png: one scene on its way, as the package takes it.

python docs/images/road.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from drawing import INK, ORANGE, RED, save
from matplotlib.patches import Rectangle

from cloudmask.bands import PRESETS
from cloudmask.classes import classify
from cloudmask.fill import fill
from cloudmask.local.picture import coloured, stretched
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.options import Options
from cloudmask.scene import Plan, predict_rows
from cloudmask.source import ArraySource
from cloudmask.windows import Tiling, plan_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cloudmask.ensemble import Ensemble

EDGE = 448
TILING = Tiling(tile=192, overlap=64)
RGB = (3, 2, 1)
PRESET = PRESETS["dn"]


def main() -> None:
    """Make both drawings."""
    scene = simulate(SceneSettings(shape=(EDGE, EDGE), seed=8, thick_cover=0.2, thin_cover=0.15))
    numbers = scene.reflectance_dn.copy()
    y, x = np.mgrid[:EDGE, :EDGE]
    numbers[:, x + y // 3 > EDGE + 40] = 0  # the edge of a swath
    _road(numbers)
    _filling(PRESET.reflectance(numbers))


def _road(numbers: NDArray[np.uint16]) -> None:
    ensemble = Options().ensemble("cloudmask-s2-small")
    plan = Plan(*(plan_axis(EDGE, TILING, "crop") for _ in "yx"), TILING)
    figure, panels = plt.subplots(2, 3, figsize=(7.2, 5.3), layout="constrained")
    (whole, cut, filled), (answer, some, done) = panels
    view = _picture(numbers)
    down, across = plan.y.placements[1], plan.x.placements[2]
    whole.imshow(view)
    whole.set_title("1  a row of tiles")
    for each in plan.x.placements:
        _frame(whole, each.window.start, down.window.start, TILING.tile, ORANGE)
    _frame(whole, across.window.start, down.window.start, TILING.tile, RED, width=2.5)
    tile, there = _tile(numbers, down.window.start, across.window.start)
    cut.imshow(_painted(tile, there))
    cut.set_title("2  one tile, cut out")
    whole_tile = fill(np.where(there, tile, 0), there)
    filled.imshow(_painted(whole_tile, np.ones_like(there)))
    filled.set_title("3  what it lacks, filled")
    probabilities = ensemble(whole_tile[None])[0]
    codes = ensemble.spec.classes
    answer.imshow(coloured(classify(probabilities, codes, np.ones_like(there))))
    answer.set_title("4  the network's answer")
    _frame(answer, TILING.margin, TILING.margin, TILING.stride, INK, width=2)
    answer.text(TILING.tile / 2, TILING.margin + 12, "kept", ha="center", va="center")
    classes = _masked(numbers, plan, ensemble)
    some.imshow(coloured(np.where(np.arange(EDGE)[:, None] < down.core.stop, classes, 254)))
    some.set_title("5  rows leave when final")
    done.imshow(coloured(classes))
    done.set_title("6  the mask, no data grey")
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    save(figure, "road.png")


def _masked(numbers: NDArray[np.uint16], plan: Plan, ensemble: Ensemble) -> NDArray[np.uint8]:
    rows = predict_rows(ArraySource(numbers), plan, ensemble, PRESET)
    return np.concatenate([each.classes(ensemble.spec.classes) for each in rows])


def _tile(
    numbers: NDArray[np.uint16], top: int, left: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cut a tile (band, y, x) that may reach outside; what is outside is not there."""
    size = TILING.tile
    padded = np.pad(numbers, ((0, 0), (size, size), (size, size)))
    part = padded[:, top + size : top + 2 * size, left + size : left + 2 * size]
    return PRESET.reflectance(part), PRESET.valid(part)


def _filling(reflectance: NDArray[np.float32]) -> None:
    """Draw three tiles that lack something, and what becomes of them."""
    tile = reflectance[:, 60:188, 40:168]
    y, x = np.mgrid[:128, :128]
    right, top, across, radius = 88, 26, 120, 26
    cases = {
        "the image ends": (x < right) & (y > top),
        "the swath ends": x + 0.6 * y < across,
        "a hole": np.hypot(x - 70, y - 60) > radius,
    }
    figure, panels = plt.subplots(2, 3, figsize=(7.2, 5), layout="constrained")
    for (title, there), (before, after) in zip(cases.items(), panels.T, strict=True):
        before.set_title(title)
        before.imshow(_painted(tile, there))
        after.imshow(_painted(fill(tile, there), np.ones_like(there)))
        after.contour(there, levels=[0.5], colors=RED, linewidths=1, linestyles="--")
    panels[0, 0].set_ylabel("before")
    panels[1, 0].set_ylabel("after")
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    save(figure, "filling.png")


def _picture(numbers: NDArray[np.uint16]) -> NDArray[np.float32]:
    return _painted(PRESET.reflectance(numbers), PRESET.valid(numbers))


def _painted(reflectance: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    return stretched(reflectance[list(RGB)], there)


def _frame(axes: Axes, left: int, top: int, size: int, colour: str, width: float = 1.5) -> None:
    """Outline a square; parts outside the image are drawn, too."""
    axes.add_patch(
        Rectangle(
            (left, top), size, size, fill=False, edgecolor=colour, linewidth=width, clip_on=False
        )
    )


if __name__ == "__main__":
    main()
