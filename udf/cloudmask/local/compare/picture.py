"""The difference picture: both masks, and where they differ."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.classes import CLASSES, CLEAR, NO_DATA, NO_DATA_CLASS, SHADOW, THICK, THIN
from cloudmask.local.beside import beside
from cloudmask.local.picture import coloured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cloudmask.local.compare.comparison import Comparison

Colour = tuple[float, float, float]
"""Red, green, blue, 0..1."""

INCHES = 5.5
"""Width of a panel."""

GREYS = {CLEAR: 0.93, THIN: 0.82, THICK: 0.72, SHADOW: 0.58}
"""Agreement on a group, by the first of its classes, so that the scene can still be made out."""


def draw(path: str | Path, comparison: Comparison) -> None:
    """Draw both masks and their difference side by side, as PNG.

    Agreement is grey, lighter for clear; each kind of disagreement has its own colour, dark and
    light for the two ways round; no data is white. The legend has the share of all compared
    pixels, counted on the full grid.
    """
    from matplotlib.figure import Figure

    pictures = {
        f"a: {comparison.a.scheme.title}": painted(comparison, 0),
        f"b: {comparison.b.scheme.title}": painted(comparison, 1),
        "where they differ": difference(comparison),
    }
    height, width = comparison.looks[0].shape
    size = (INCHES * len(pictures), INCHES * min(2.0, height / width) + 2.4)
    figure = Figure(figsize=size, layout="constrained")
    for axes, (heading, picture) in zip(
        figure.subplots(1, len(pictures)), pictures.items(), strict=True
    ):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(heading, fontsize=11)
        axes.set_axis_off()
    names = [Path(side.place).name for side in (comparison.a, comparison.b)]
    figure.suptitle(f"a: {names[0]}\nb: {names[1]}", fontsize=12)
    masks, shares = of_classes(comparison), of_shares(comparison)
    figure.legend(handles=masks, loc="outside lower left", frameon=False)
    figure.legend(handles=shares, loc="outside lower right", ncols=3, frameon=False)
    with beside(Path(path)) as partial:
        figure.savefig(partial, format="png", dpi=110)


def painted(comparison: Comparison, side: int) -> NDArray[np.float32]:
    """Paint one mask (0 or 1) in the colours of the classes: (y, x, 3), 0..1."""
    codes = np.full(256, NO_DATA, np.uint8)
    codes[: len(comparison.groups)] = [group[0] for group in comparison.groups]
    return coloured(codes[comparison.looks[side]])


def difference(comparison: Comparison) -> NDArray[np.float32]:
    """Paint agreement grey and each kind of disagreement its colour: (y, x, 3), 0..1."""
    a, b = comparison.looks
    picture = np.ones((*a.shape, 3), np.float32)
    for place, group in enumerate(comparison.groups):
        picture[(a == place) & (b == place)] = GREYS[group[0]]
    for (left, right), colour in colours(len(comparison.groups)):
        picture[(a == left) & (b == right)] = colour
    return picture


def colours(groups: int) -> Iterator[tuple[tuple[int, int], Colour]]:
    """Give each (group of a, group of b) that differ a colour: a hue a pair, its shade the way."""
    from matplotlib import colormaps

    shades = colormaps["Paired"]
    for number, (low, high) in enumerate(itertools.combinations(range(groups), 2)):
        yield (high, low), _rgb(shades(2 * number + 1))
        yield (low, high), _rgb(shades(2 * number))


def _rgb(colour: Any) -> Colour:
    red, green, blue = (float(each) for each in colour[:3])
    return red, green, blue


def of_shares(comparison: Comparison) -> list[Any]:
    """Make the legend of the difference: each kind that occurs, and agreement, with its share."""
    counts, titles = comparison.confusion.counts, comparison.titles
    differing = sorted(
        (
            (counts[left][right], f"a {titles[left]}, b {titles[right]}", colour)
            for (left, right), colour in colours(len(titles))
            if counts[left][right]
        ),
        key=lambda entry: entry[0],
        reverse=True,
    )
    same = [
        (counts[place][place], f"both {name}", _rgb((GREYS[group[0]],) * 3))
        for place, (name, group) in enumerate(zip(titles, comparison.groups, strict=True))
    ]
    total = comparison.confusion.total
    return [
        _patch(colour, f"{label} {100 * pixels / total:.2f} %")
        for pixels, label, colour in (*differing, *same)
    ]


def of_classes(comparison: Comparison) -> list[Any]:
    """Make the legend of the masks."""
    by_code = {each.code: each.colour for each in CLASSES}
    named = zip(comparison.titles, comparison.groups, strict=True)
    entries = [*((name, by_code[group[0]]) for name, group in named), _NO_DATA]
    return [_patch(_rgb(np.array(colour) / 255), name) for name, colour in entries]


_NO_DATA = (NO_DATA_CLASS.title, NO_DATA_CLASS.colour)


def _patch(colour: Colour, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor="0.4", label=label)
