"""Pictures for people: the scene, the mask over it, a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import Resampling

from cloudmask.classes import CLASSES, CLEAR, NO_DATA, NO_DATA_CLASS
from cloudmask.local.beside import beside
from cloudmask.local.readers import opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.local.product import RowRaster

LONGEST = 1400
"""Pixels of a panel's longer edge."""

PANEL_INCHES = 5.5

GAMMA = 1 / 1.6
"""Brightens the dark, as eyes do."""


def stretched(reflectance: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Make a picture of reflectance.

    Args:
        reflectance: (1 or 3, y, x), red green blue.
        valid: (y, x); the rest becomes grey.

    Returns:
        (y, x, 3), 0..1, all bands stretched alike so that colours stay true.
    """
    low, high = np.percentile(reflectance[:, valid], [1, 98]) if valid.any() else (0.0, 1.0)
    scaled = np.clip((reflectance - low) / max(high - low, 1e-6), 0, 1) ** GAMMA
    picture = np.moveaxis(np.broadcast_to(scaled, (3, *valid.shape)), 0, -1).copy()
    picture[~valid] = np.array(NO_DATA_CLASS.colour) / 255
    return picture


def coloured(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Paint class codes (y, x) as (y, x, 3), 0..1."""
    painted = np.ones((*classes.shape, 3), np.float32)
    for each in (*CLASSES, NO_DATA_CLASS):
        painted[classes == each.code] = np.array(each.colour) / 255
    return painted


def overlaid(picture: NDArray[np.float32], classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Lay the masked classes over a picture (y, x, 3); clear ground shows, no data hides it."""
    painted = coloured(classes)
    share = np.select([classes == CLEAR, classes == NO_DATA], [0.0, 1.0], 0.55)[..., None]
    return (picture * (1 - share) + painted * share).astype(np.float32)


def panels(
    path: Path,
    pictures: Mapping[str, NDArray[np.float32]],
    title: str,
    shares: Mapping[str, float],
) -> None:
    """Draw pictures side by side with a legend of the classes, as PNG.

    Args:
        path: File to make.
        pictures: Heading -> (y, x, 3), 0..1, all of one shape.
        title: Heading of the whole, may have several lines.
        shares: Class name -> percentage of the valid pixels (no data: of all), for the legend.
    """
    from matplotlib.figure import Figure

    height, width = next(iter(pictures.values())).shape[:2]
    tall = PANEL_INCHES * min(2.0, height / width)
    size = (PANEL_INCHES * len(pictures), tall + 1.1 + 0.25 * title.count("\n"))
    figure = Figure(figsize=size, layout="constrained")
    smooth = "antialiased" if max(height, width) > 500 else "nearest"  # noqa: PLR2004
    for axes, (heading, picture) in zip(
        np.atleast_1d(figure.subplots(1, len(pictures))), pictures.items(), strict=True
    ):
        axes.imshow(picture, interpolation=smooth)
        axes.set_title(heading, fontsize=11)
        axes.set_axis_off()
    figure.suptitle(title, fontsize=12)
    handles = _legend(shares)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    with beside(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def _legend(shares: Mapping[str, float]) -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(
            facecolor="#{:02x}{:02x}{:02x}".format(*each.colour),
            edgecolor="0.4",
            label=f"{each.title} {shares[each.name]:.1f} %" if each.name in shares else each.title,
        )
        for each in (*CLASSES, NO_DATA_CLASS)
    ]


def quicklook(path: Path, colours: RowRaster, preset: Preset, mask: Path, title: str) -> None:
    """Draw a scene and its mask side by side.

    Args:
        path: PNG to make.
        colours: Red, green and blue of the scene, or one band (`Product.colours`).
        preset: What its numbers mean.
        mask: GeoTIFF of class codes that was made of it.
        title: What the scene is called.
    """
    numbers = colours.thumbnail(LONGEST)
    with opened(mask) as dataset:
        shape = numbers.shape[1:]
        classes = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
        tags: dict[str, str] = dataset.tags()
    picture = stretched(preset.reflectance(numbers), preset.valid(numbers))
    panels(
        path,
        {"scene": picture, "mask over the scene": overlaid(picture, classes)},
        f"{title}   ({tags['MODEL']})",
        _shares(tags),
    )


def _shares(tags: Mapping[str, str]) -> dict[str, float]:
    """Read the percentage of each class off a mask's tags."""
    keys = {each.name: f"PERCENT_{each.name.upper()}" for each in (*CLASSES, NO_DATA_CLASS)}
    return {name: float(tags[key]) for name, key in keys.items() if key in tags}


def thumbnail(path: Path, colours: RowRaster, preset: Preset, longest: int = 512) -> None:
    """Draw a scene small, no data transparent.

    Args:
        path: PNG (red, green, blue, alpha) to make.
        colours: Red, green and blue of the scene, or one band, which becomes grey.
        preset: What its numbers mean.
        longest: Pixels of its longer edge at most; a smaller scene stays as it is.
    """
    from PIL import Image

    # Twice as many as wanted, so that noise is averaged away.
    numbers = colours.thumbnail(2 * longest)
    valid = preset.valid(numbers)
    picture = stretched(preset.reflectance(numbers), valid)
    layers = np.concatenate([picture, valid[..., None]], axis=-1)
    image = Image.fromarray(np.rint(layers * 255).astype(np.uint8))
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    with beside(path) as partial:
        # A third of the time of the usual level, and a hundredth more bytes.
        image.save(partial, format="PNG", compress_level=4)
