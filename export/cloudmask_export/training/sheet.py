"""A look at what a network will be trained on: images and labels, side by side, and counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import CLASSES
from cloudmask_export.training.bank import EDGE, KINDS, SCALE
from cloudmask_export.training.sets import UNKNOWN, only

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.training.bank import Bank

SHOWN = 24
"""Images on a sheet, at most."""
COLUMNS = 6
COLOURS = ("B04", "B03", "B02")
UNSURE = (0.62, 0.62, 0.62)
"""Colour of a pixel that may be anything."""
SMALLER = 2
"""Only every so-manieth pixel is drawn."""


def counted(bank: Bank, title: str) -> Iterator[str]:
    """Say how many images there are of each kind, and how large each class is."""
    number = np.bincount(bank.kinds, minlength=len(KINDS))
    kinds = ", ".join(
        f"{count} {kind}" for kind, count in zip(KINDS, number, strict=True) if count
    )
    yield f"{title}: {len(bank.kinds)} images{f' ({kinds})' if kinds else ''}"
    if len(bank.kinds):
        found = np.bincount(bank.sets.ravel(), minlength=UNKNOWN + 1) / bank.sets.size
        shares = {each.title: found[only(each.code)] for each in CLASSES}
        shares["unknown"] = found[UNKNOWN]
        shares["one of several"] = 1 - sum(shares.values())
        yield "  " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())


def draw(path: Path, bank: Bank, bands: Sequence[str], title: str) -> None:
    """Draw images of a bank and their labels as PNG, evenly taken from all of it.

    A label that leaves a choice has the mean of its classes' colours; grey ones say nothing.

    Args:
        path: File to make.
        bank: Where the images are.
        bands: Their names.
        title: Heading.
    """
    from cloudmask.local.picture import panels, stretched

    count = min(SHOWN, len(bank.kinds))
    chosen = np.linspace(0, len(bank.kinds) - 1, count).round().astype(int)
    shown = [bands.index(band) for band in COLOURS] if set(COLOURS) <= set(bands) else [0]
    thin = slice(None, None, SMALLER)
    everywhere = np.ones((EDGE // SMALLER,) * 2, bool)
    pictures = [
        stretched(bank.images[n][shown][:, thin, thin].astype(np.float32) / SCALE, everywhere)
        for n in chosen
    ]
    labels = [painted(bank.sets[n][thin, thin]) for n in chosen]
    panels(path, {"images": _mosaic(pictures), "labels": _mosaic(labels)}, title, {})


def painted(sets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Paint sets of classes (y, x) as (y, x, 3), 0..1."""
    table = np.zeros((UNKNOWN + 1, 3), np.float32)
    for which in range(1, UNKNOWN):
        colours = [each.colour for each in CLASSES if which & only(each.code)]
        table[which] = np.mean(colours, axis=0) / 255
    table[UNKNOWN] = UNSURE
    return table[sets]


def _mosaic(pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Put pictures (y, x, 3) of one size in rows, a white line between them."""
    edge = pictures[0].shape[0] + 2
    rows = math.ceil(len(pictures) / COLUMNS)
    whole = np.ones((rows * edge, min(COLUMNS, len(pictures)) * edge, 3), np.float32)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        part = (
            slice(row * edge, row * edge + edge - 2),
            slice(column * edge, column * edge + edge - 2),
        )
        whole[part] = picture
    return whole
