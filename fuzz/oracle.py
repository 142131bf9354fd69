"""What a mask must be, said once more and in the plainest way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudmask.bands import Preset

CLEAR, THICK, THIN, SHADOW, NO_DATA = 0, 1, 2, 3, 255
FILL = 100
"""Reflectance beyond which a number is a fill value, as `cloudmask.bands` documents."""


def missing(numbers: NDArray[Any], preset: Preset) -> NDArray[np.bool_]:
    """Tell where (time, band, y, x) lacks a number in any band, (time, y, x).

    In Python's own numbers where they are few, in the widest floats where not.
    """
    wide: NDArray[Any] = numbers.astype(np.longdouble)
    gone: NDArray[Any] = ~np.isfinite(wide) | np.isin(wide, preset.nodata)
    with np.errstate(invalid="ignore"):
        gone |= np.abs(wide) > np.longdouble(FILL / preset.scale)
    return np.asarray(gone.any(axis=1))


def brightest(numbers: NDArray[Any], preset: Preset, codes: Sequence[int]) -> NDArray[np.uint8]:
    """Give the class of the brightest of the first bands, (time, y, x); no data as `missing`."""
    gone = missing(numbers, preset)
    few = numbers[:, : len(codes)]
    with np.errstate(all="ignore"):
        light = few.astype(np.float32)
        light = (light + np.float32(preset.offset)) * np.float32(preset.scale)
    light = np.where(gone[:, None], np.float32(0), light)
    found: NDArray[np.uint8] = np.asarray(codes, np.uint8)[light.argmax(axis=1)]
    return np.where(gone, np.uint8(NO_DATA), found)


def masked_after_growing(
    classes: NDArray[np.uint8], masked: Sequence[int], pixels: float
) -> NDArray[np.bool_]:
    """Tell what is masked in (time, y, x) when masked classes grow by so many pixels."""
    own = np.isin(classes, masked)
    grown = own | (classes == NO_DATA)
    if pixels >= 1:
        for number, step in enumerate(own):
            if step.any():
                near = ndimage.distance_transform_edt(~step) <= pixels
                grown[number] |= near & (classes[number] == CLEAR)
    return grown
