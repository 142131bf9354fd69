"""Labels from two images of one place, one with clouds and one without.

What a cloud adds and a shadow takes is the difference to the clear image, once that is brought to
the light, the air and the season of the other. The rule is that of the reference masks which come
with the SEN12MS-CR pairs of the project's test data: a rise of more than 0.035 in the mean of B02
and B04 is cloud; a fall of B08 and B11 below 0.70 and 0.75 over land, without a rise in the blue,
is shadow; what lies between says nothing, nor does a rim around every boundary. Three things are
added. How far the visible bands rise tells thick from thin. Snow that only the cloudy image shows
is no cloud: it is dark in B11. And where no pixel seems to be the same in both, there are no
labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from cloudmask_export.training.sets import (
    IS_CLEAR,
    IS_CLOUD,
    IS_SHADOW,
    IS_THICK,
    IS_THIN,
    UNKNOWN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Band = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRule:
    """Limits of the rule, in reflectance (0..1) or as a ratio."""

    cloud: float = 0.035
    """Rise of the mean of B02 and B04 from which a pixel is cloud."""
    clear: float = 0.015
    """Rise up to which it is none."""
    thin: float = 0.13
    """Rise up to which a cloud is thin..."""
    thick: float = 0.22
    """... and from which it is thick."""
    dark: tuple[float, float] = (0.70, 0.75)
    """B08 and B11 in shadow, as shares of what they would be without, at most."""
    lit: tuple[float, float] = (0.82, 0.85)
    """The same in the sun, at least."""
    land: float = 0.08
    """B08 from which a clear pixel is land: water has no light to lose."""
    snow: float = 0.4
    """Normalised difference of B03 and B11 from which a bright pixel is snow..."""
    ice: float = 0.008
    """... unless B10 is above this: cirrus and high clouds look like snow in the others."""
    rim: int = 2
    """Pixels on each side of a boundary that say nothing."""
    speck: int = 20
    """Smallest patch of one label, in pixels."""


DEFAULT = PairRule()
FITTED = ("B02", "B04", "B08", "B11")
NEEDED = ("B02", "B03", "B04", "B08", "B10", "B11")
HAZE = 0.045
"""Most that the air of two clear days differs by in B02."""
ALIKE = 0.45
"""Least correlation of two images of the same land in B11."""
OF_CLOUD = 0.25
"""B11 of a thick cloud, at least; snow is darker there."""
ROUNDS = 8
"""How often the fit is made anew without what does not fit."""
BRIGHT = 0.15
"""Reflectance in B03 below which nothing is called snow."""


def labels(
    cloudy: Mapping[str, Band], clear: Mapping[str, Band], rule: PairRule = DEFAULT
) -> NDArray[np.uint8]:
    """Label the cloudy one of two images.

    Args:
        cloudy: Band name -> reflectance (y, x); those of `NEEDED`.
        clear: The same place without clouds.
        rule: Limits.

    Returns:
        (y, x): sets of classes (`sets`).
    """
    kept = _unchanged(cloudy, clear)
    expected = {name: _fitted(clear[name], cloudy[name], kept) for name in FITTED}
    land = expected["B08"] >= rule.land
    if _comparable(cloudy, clear, kept, land):
        sets = _by_difference(cloudy, expected, land, rule)
    else:
        sets = _by_brightness(cloudy, clear, rule)
    _take_snow_out(sets, cloudy, rule)
    return _tidied(sets, rule)


def _by_difference(
    cloudy: Mapping[str, Band],
    expected: Mapping[str, Band],
    land: NDArray[np.bool_],
    rule: PairRule,
) -> NDArray[np.uint8]:
    rise = _mean_rise(cloudy, expected)
    fall = [cloudy[name] / np.maximum(expected[name], 0.01) for name in ("B08", "B11")]
    in_sun = ~land | ((fall[0] >= rule.lit[0]) & (fall[1] >= rule.lit[1]))
    dark = (fall[0] < rule.dark[0]) & (fall[1] < rule.dark[1])
    sets = np.full(rise.shape, UNKNOWN, np.uint8)
    sets[(rise < rule.clear) & in_sun] = IS_CLEAR
    sets[(rise < rule.clear) & land & dark] = IS_SHADOW
    sets[rise > rule.cloud] = IS_CLOUD
    sets[(rise > rule.cloud) & (rise < rule.thin)] = IS_THIN
    sets[rise > rule.thick] = IS_THICK
    return sets


def _by_brightness(
    cloudy: Mapping[str, Band], clear: Mapping[str, Band], rule: PairRule
) -> NDArray[np.uint8]:
    """Label what is sure although nothing is as in the clear image: thick cloud."""
    sets = np.full(cloudy["B02"].shape, UNKNOWN, np.uint8)
    sets[(_mean_rise(cloudy, clear) > rule.thick) & (cloudy["B11"] > OF_CLOUD)] = IS_THICK
    return sets


def _comparable(
    cloudy: Mapping[str, Band],
    clear: Mapping[str, Band],
    kept: NDArray[np.bool_],
    land: NDArray[np.bool_],
) -> bool:
    """Tell whether the pixels that seem unchanged are, and not all under cloud or snow.

    Their blue has risen little; and land shows its pattern in B11, as water, which has none,
    cannot.
    """
    if abs(float(np.median((cloudy["B02"] - clear["B02"])[kept]))) > HAZE:
        return False
    pattern = kept & land
    if pattern.mean() < 0.1:  # noqa: PLR2004 - water, with a little land at most
        return True
    return float(np.corrcoef(cloudy["B11"][pattern], clear["B11"][pattern])[0, 1]) > ALIKE


def _unchanged(cloudy: Mapping[str, Band], clear: Mapping[str, Band]) -> NDArray[np.bool_]:
    """Find the pixels that are the same in both, up to one line for each band.

    Begins with the third that rises least in the blue and falls least in the infrared, then keeps
    what lies near the fit.
    """
    blue, infrared = (cloudy[name] - clear[name] for name in ("B02", "B08"))
    low = blue <= np.quantile(blue, 0.6)
    kept = np.asarray(low & (infrared >= np.quantile(infrared[low], 0.4)))
    for _ in range(ROUNDS):
        near = np.ones(kept.shape, bool)
        for name in ("B02", "B04", "B08", "B11"):
            off = np.abs(cloudy[name] - _fitted(clear[name], cloudy[name], kept))
            middle = np.median(off[kept])
            near &= off <= np.maximum(3.0 * 1.4826 * middle, 0.006)
        if near.sum() < 64:  # noqa: PLR2004 - a line through fewer says nothing
            break
        kept = near
    return kept


def _fitted(clear: Band, cloudy: Band, kept: NDArray[np.bool_]) -> Band:
    """Bring the clear image to the other's light: a line through the pixels that are the same."""
    x, y = clear[kept], cloudy[kept]
    spread = float(np.var(x))
    slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread > 1e-7 else 1.0  # noqa: PLR2004
    slope = float(np.clip(slope, 0.3, 2.0))
    return np.asarray(slope * (clear - x.mean()) + y.mean(), np.float32)


def _mean_rise(cloudy: Mapping[str, Band], expected: Mapping[str, Band]) -> Band:
    return np.asarray(
        sum(cloudy[name] - expected[name] for name in ("B02", "B04")) / 2, np.float32
    )


def _take_snow_out(sets: NDArray[np.uint8], cloudy: Mapping[str, Band], rule: PairRule) -> None:
    green, infrared = cloudy["B03"], cloudy["B11"]
    index = (green - infrared) / np.maximum(green + infrared, 0.01)
    snow = (index > rule.snow) & (green > BRIGHT)
    high = cloudy["B10"] > rule.ice
    sets[snow & ~high] = IS_CLEAR
    sets[snow & high] = UNKNOWN
    # Dark ground beside snow may be shadow on snow or bare: the other image does not know.
    if snow.mean() > 0.05:  # noqa: PLR2004 - more than a roof or a glint
        sets[sets == IS_SHADOW] = UNKNOWN


def _tidied(sets: NDArray[np.uint8], rule: PairRule) -> NDArray[np.uint8]:
    """Take out specks, and a rim around every boundary but that between thick and thin."""
    kinds = np.where((sets & IS_CLOUD > 0) & (sets != UNKNOWN), IS_CLOUD, sets)
    out = sets.copy()
    box = np.ones((2 * rule.rim + 1,) * 2, bool)
    for kind in (IS_CLEAR, IS_CLOUD, IS_SHADOW):
        here = kinds == kind
        parts, count = ndimage.label(here)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        kept = here & (sizes >= rule.speck)[parts]
        inner = ndimage.binary_erosion(kept, box, border_value=1)
        out[here & ~inner] = UNKNOWN
    return out
