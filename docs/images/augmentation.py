"""Draw docs/images/symmetries.png, adaptive.png and ensemble.svg.

python docs/images/augmentation.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, GREEN, INK, ORANGE, PALE, PURPLE, RED, SKY, save
from matplotlib.patches import Rectangle

from cloudmask.augment import ISOLATED_ALLOWED, SYMMETRIES, isolated_pixels
from cloudmask.bands import PRESETS
from cloudmask.fill import fill
from cloudmask.local.picture import coloured, stretched
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.options import Options

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cloudmask.ensemble import Ensemble

EDGE = 256
ALLOWED = ISOLATED_ALLOWED * 512**2
COVERS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3)
PRESET = PRESETS["dn"]
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
NAMES = ("r0", "r90", "r180", "r270", "flip r0", "flip r90", "flip r180", "flip r270")


def main() -> None:
    """Make the three drawings."""
    _symmetries()
    _adaptive()
    _ensemble()


def _tile(seed: int, cover: float) -> NDArray[np.float32]:
    """Simulate reflectance (band, y, x), `cover` of it under thick clouds."""
    settings = SceneSettings(shape=(EDGE, EDGE), seed=seed, thick_cover=cover, thin_cover=cover)
    numbers = simulate(settings).reflectance_dn
    return fill(PRESET.reflectance(numbers), PRESET.valid(numbers))


def _symmetries() -> None:
    view = stretched(_tile(3, 0.15)[[3, 2, 1]], np.ones((EDGE, EDGE), bool))
    figure, panels = plt.subplots(2, 4, figsize=(7.2, 4.0), layout="constrained")
    for axes, symmetry, name in zip(panels.flat, SYMMETRIES, NAMES, strict=True):
        axes.imshow(np.moveaxis(symmetry.forward(np.moveaxis(view, -1, 0)), 0, -1))
        axes.set(xticks=[], yticks=[], title=name)
    save(figure, "symmetries.png")


def _running_classes(network: Ensemble, tile: NDArray[np.float32]) -> list[NDArray[np.intp]]:
    """Give the channel numbers (y, x) of the running mean after each augmentation."""
    total = np.zeros((len(network.spec.classes), EDGE, EDGE), np.float32)
    classes = []
    for symmetry in SYMMETRIES:
        total += symmetry.inverse(network(symmetry.forward(tile)[None])[0])
        classes.append(total.argmax(axis=0))
    return classes


def _adaptive() -> None:
    network = Options().ensemble("cloudmask-s2-small")
    tiles = [_running_classes(network, _tile(2 + at, cover)) for at, cover in enumerate(COVERS)]
    figure, (before, after, curves) = plt.subplots(
        1, 3, figsize=(7.2, 3.0), width_ratios=(1, 1, 1.35), layout="constrained"
    )
    scale = 512**2 / EDGE**2
    counts = np.array([[isolated_pixels(each) * scale for each in classes] for classes in tiles])
    # Augmentations after which a tile is done, 8 if it never is.
    done = np.where((smooth := counts <= ALLOWED).any(axis=1), smooth.argmax(axis=1) + 1, 8)
    shown = int(np.where(done < len(SYMMETRIES), counts[:, 0], 0).argmax())
    for axes, number in ((before, 1), (after, int(done[shown]))):
        _isolated(axes, network, tiles[shown][number - 1])
        axes.set_title(f"after {number}{', done' * (number > 1)}")
    _curves(curves, counts, done)
    save(figure, "adaptive.png")


def _curves(axes: Axes, counts: NDArray[np.float64], done: NDArray[np.intp]) -> None:
    """Draw how many pixels are isolated, as far as the rule goes on and, thinly, beyond."""
    looks = np.arange(1, len(SYMMETRIES) + 1)
    for colour, line, stop in zip(COLOURS, counts, done, strict=True):
        axes.plot(looks, line, color=colour, linewidth=0.7, alpha=0.5)
        axes.plot(looks[:stop], line[:stop], color=colour, linewidth=2, marker="o", markersize=4)
    axes.axhline(ALLOWED, color=INK, linestyle="--", linewidth=1)
    axes.set(
        title="six tiles", xlabel="augmentations", ylabel="isolated per 512 x 512", xticks=looks
    )


def _isolated(axes: Axes, network: Ensemble, channels: NDArray[np.intp]) -> None:
    """Paint classes, with a ring around each pixel that is alone in its class."""
    codes = np.array(network.spec.classes, np.uint8)[channels]
    axes.imshow(coloured(codes))
    padded = np.pad(channels, 1)
    around = [
        padded[1 + y : EDGE + 1 + y, 1 + x : EDGE + 1 + x]
        for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)
    ]  # fmt: skip
    y, x = np.nonzero(np.all([other != channels for other in around], axis=0))
    axes.scatter(x, y, s=40, facecolors="none", edgecolors=RED, linewidths=1.2)
    axes.set(xticks=[], yticks=[], xlabel=f"{len(y)} isolated")


def _ensemble() -> None:
    """Draw what is averaged, in which order, and where a tile may stop."""
    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    axes.set(xlim=(0, 10), ylim=(-1.3, 4.5))
    axes.set_axis_off()
    _box(axes, 0.6, 3.0, "tile", PALE)
    _arrow(axes, (1.0, 3.0), (1.75, 3.0))
    for column, name in enumerate(NAMES[:3]):
        _round(axes, 2.75 + 2.5 * column, name)
    axes.text(9.3, 3.0, "... up to\nflip r270", ha="center", va="center")
    _box(axes, 5.0, -0.95, "the running mean so far is the tile's answer", GREEN)
    save(figure, "ensemble.svg")


def _round(axes: Axes, x: float, name: str) -> None:
    """Draw one augmentation around x, and the ways from it to the next one and to the answer."""
    axes.add_patch(
        Rectangle((x - 0.95, 2.0), 1.9, 2.0, facecolor="white", edgecolor=INK, linewidth=0.8)
    )
    axes.text(x, 4.25, name, ha="center", va="center", fontweight="bold")
    _box(axes, x, 3.4, "network 1", SKY)
    _box(axes, x, 2.6, "network 2", SKY)
    _arrow(axes, (x, 2.0), (x, 1.55))
    _box(axes, x, 1.2, "mean", ORANGE)
    _arrow(axes, (x, 0.87), (x, 0.55))
    axes.text(x, 0.3, "smooth?", ha="center", va="center")
    _arrow(axes, (x, 0.05), (x, -0.55))
    axes.text(x + 0.08, -0.2, "yes", va="center", fontsize=9)
    axes.plot((x + 0.62, x + 1.25, x + 1.25), (0.3, 0.3, 3.0), color=INK, linewidth=1)
    _arrow(axes, (x + 1.24, 3.0), (x + 1.53, 3.0))
    axes.text(x + 0.7, 0.45, "no", fontsize=9)


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    style = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": INK, "linewidth": 0.8}
    axes.text(x, y, text, ha="center", va="center", bbox=style)


def _arrow(axes: Axes, start: tuple[float, float], stop: tuple[float, float]) -> None:
    axes.annotate("", xy=stop, xytext=start, arrowprops={"arrowstyle": "->", "color": INK})


if __name__ == "__main__":
    main()
