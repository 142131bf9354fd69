"""What a product says its numbers mean, as one preset for all bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask.bands import PRESETS, Preset
from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = "own"
"""Name of the preset that a product's metadata say."""


def own_preset(
    place: str,
    bands: Sequence[str],
    scales: Sequence[float | None],
    offsets: Sequence[float | None],
    nodata: Sequence[float] = (),
) -> Preset | None:
    """Make a preset of scale and offset as GDAL, CF and STAC mean them.

    Args:
        place: The scene, for messages.
        bands: Names of the bands.
        scales: For each, what a number is multiplied by; None for 1.
        offsets: For each, what is then added; None for 0.
        nodata: Numbers that mean no data.

    Returns:
        The preset; None if nothing is said, that is all scales are 1 and all offsets 0.

    Raises:
        CubeError: The bands differ, or the scale is not positive.
    """
    said = [(scale or 1.0, offset or 0.0) for scale, offset in zip(scales, offsets, strict=True)]
    check_alike(place, bands, said)
    scale, offset = said[0]
    if (scale, offset) == (1.0, 0.0):
        return None
    # A preset adds first: (number + offset) * scale. The quotient of two decimals is rounded to
    # what was meant: -0.1 / 0.0001 is -1000, give or take the last bit.
    return preset_of(place, scale, round(offset / scale, 9) + 0.0, nodata)


def check_alike(place: str, bands: Sequence[str], said: Sequence[tuple[float, float]]) -> None:
    """Refuse bands that are stored in different ways.

    Raises:
        CubeError: They are.
    """
    odd = [band for band, pair in zip(bands, said, strict=True) if pair != said[0]]
    if odd:
        pair = said[bands.index(odd[0])]
        raise CubeError(
            f"{place}: band {bands[0]} has scale {said[0][0]:g} and offset {said[0][1]:g}, but "
            f"{odd[0]} has {pair[0]:g} and {pair[1]:g}; one scale and offset for all bands is "
            "needed, so bring them to reflectance first, or say what they mean with --preset"
        )


def preset_of(place: str, scale: float, offset: float, nodata: Sequence[float]) -> Preset:
    """Make the preset (number + offset) * scale; the known one if there is one like it.

    Raises:
        CubeError: The scale is not positive, or one of them is not finite.
    """
    try:
        preset = Preset(OWN, scale, offset, tuple(nodata))
    except ValueError as error:
        raise CubeError(f"{place}: its metadata give {error}") from error
    return next((each for each in PRESETS.values() if _alike(each, preset)), preset)


def _alike(one: Preset, two: Preset) -> bool:
    return (one.scale, one.offset, one.nodata) == (two.scale, two.offset, two.nodata)
