"""Class codes, names and colours, and the layouts in which an answer is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from cloudmask.checks import choice, finite
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CLEAR, THICK, THIN, SHADOW, NO_DATA = 0, 1, 2, 3, 255


@dataclass(frozen=True, slots=True)
class CloudClass:
    """One class of the answer."""

    code: int
    name: str
    title: str
    colour: tuple[int, int, int]
    """Red, green, blue, 0..255."""


CLASSES: tuple[CloudClass, ...] = (
    CloudClass(CLEAR, "clear", "clear", (120, 171, 99)),
    CloudClass(THICK, "thick_cloud", "thick cloud", (242, 179, 61)),
    CloudClass(THIN, "thin_cloud", "thin cloud", (125, 203, 232)),
    CloudClass(SHADOW, "cloud_shadow", "cloud shadow", (112, 66, 158)),
)
"""The four classes of CloudSEN12 (Aybar et al. 2022), which CloudS2Mask and OmniCloudMask use."""

NO_DATA_CLASS = CloudClass(NO_DATA, "no_data", "no data", (160, 160, 160))

PROBABILITY_STEPS = 250
"""Where probabilities are stored as bytes they are whole numbers 0..250."""

# Names that manifests give their classes. A network that knows one cloud class means the opaque.
_CODES: Mapping[str, int] = {
    "clear": CLEAR, "background": CLEAR,
    "thick_cloud": THICK, "cloud": THICK,
    "thin_cloud": THIN, "haze": THIN,
    "cloud_shadow": SHADOW, "shadow": SHADOW,
}  # fmt: skip


def code_of(name: str) -> int | None:
    """Return the class code for a class name of a manifest, or None."""
    return _CODES.get(name.strip().lower().replace("-", "_").replace(" ", "_"))


Layout = Literal["mask", "probabilities", "cloud_detection"]

LAYOUT_BANDS: Mapping[str, tuple[str, ...]] = {
    "mask": ("mask", "class"),
    "probabilities": ("mask", "class", *(each.name for each in CLASSES)),
    "cloud_detection": ("cloud", "shadow", "haze"),
}
"""Layout -> its band labels, in order, the same for every network.

mask: 1 masked, 0 usable, never NaN; class: the code; clear, thick_cloud, thin_cloud and
cloud_shadow: probabilities 0..1, 0 where the network does not know the class, NaN for no data.
cloud_detection: the band names of openEO's process of that name, probabilities."""

MASKED_BY_DEFAULT = (THICK, THIN, SHADOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What to answer."""

    layout: Layout = "mask"
    masked: tuple[int, ...] = MASKED_BY_DEFAULT
    """Class codes that the mask hides; no data is always hidden."""
    dilate: float = 0.0
    """Metres by which masked classes grow into clear pixels."""

    def __post_init__(self) -> None:
        """Refuse unknown layouts and classes and negative distances."""
        choice("layout", self.layout, tuple(LAYOUT_BANDS))
        if self.layout == "cloud_detection" and self.dilate:
            raise OptionError(
                f"dilate={self.dilate}: the layout cloud_detection has probabilities only, which "
                "do not grow; choose the layout mask or probabilities, or no dilation"
            )
        object.__setattr__(self, "masked", tuple(np.atleast_1d(self.masked).tolist()))
        if not set(self.masked) <= {THICK, THIN, SHADOW}:
            raise OptionError(
                f"masked={self.masked}: choose among 1 thick cloud, 2 thin cloud, 3 cloud shadow"
            )
        object.__setattr__(self, "dilate", finite("dilate", self.dilate))
        if not 0 <= self.dilate <= LARGEST_DILATION:
            raise OptionError(f"dilate={self.dilate}: must be 0 to {LARGEST_DILATION:g} metres")

    @property
    def bands(self) -> tuple[str, ...]:
        """Labels of the answer's bands."""
        return LAYOUT_BANDS[self.layout]


LARGEST_DILATION = 10_000.0
"""Metres; more would mask a scene for one cloud, and no longer fits in a chunk's neighbourhood."""


def most_probable(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Find the channel with the greatest probability of each pixel.

    The same as `argmax` along the first axis, which walks through memory the slow way.

    Args:
        probabilities: (channel, y, x), no NaN; a tie goes to the first channel.

    Returns:
        (y, x) channel numbers.
    """
    best = probabilities[0].copy()
    chosen = np.zeros(best.shape, np.uint8)
    for number, channel in enumerate(probabilities[1:], start=1):
        np.copyto(chosen, number, where=channel > best)
        np.maximum(best, channel, out=best)
    return chosen


def classify(
    probabilities: NDArray[np.float32], codes: Sequence[int], valid: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Choose the most probable class.

    Args:
        probabilities: (channel, y, x); a tie goes to the first channel.
        codes: Class code of each channel.
        valid: (y, x), True where the pixel exists.

    Returns:
        (y, x) class codes, 255 where the pixel does not exist.
    """
    chosen = np.asarray(codes, np.uint8)[most_probable(probabilities)]
    chosen[~valid] = NO_DATA
    return chosen


def dilate(classes: NDArray[np.uint8], masked: Sequence[int], radius: float) -> NDArray[np.uint8]:
    """Let masked classes grow into clear pixels.

    A clear pixel within `radius` pixels (centre to centre) of a masked class takes that class;
    where several are near, thick cloud goes before thin cloud, thin cloud before shadow. No
    data neither grows nor is grown into.

    Args:
        classes: (y, x) class codes.
        masked: Codes that grow.
        radius: Pixels; below 1 nothing changes.
    """
    if radius < 1:
        return classes
    grown = classes.copy()
    for code in sorted(set(masked)):
        if (classes == code).any():
            distance = ndimage.distance_transform_edt(classes != code)
            grown[(grown == CLEAR) & (distance <= radius)] = code
    return grown


def by_class(
    probabilities: NDArray[np.float32], codes: Sequence[int], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Spread a network's channels over the four classes.

    Args:
        probabilities: (channel, y, x).
        codes: Class code of each channel.
        valid: (y, x).

    Returns:
        (4, y, x) in the order of `CLASSES`; NaN for no data, 0 for a class without a channel.
    """
    spread = np.zeros((len(CLASSES), *valid.shape), np.float32)
    spread[list(codes)] = probabilities
    spread[:, ~valid] = np.nan
    return spread


def masked_pixels(classes: NDArray[np.uint8], masked: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which pixels of class codes (any shape) the mask hides."""
    return np.isin(classes, (*masked, NO_DATA))


def arrange(
    classes: NDArray[np.uint8], spread: NDArray[np.float32] | None, output: Output
) -> NDArray[np.generic]:
    """Put an answer into its layout.

    Args:
        classes: (y, x) class codes, dilated if that is wanted.
        spread: (4, y, x) as `by_class` gives; None will do for the layout "mask".
        output: The wanted layout.

    Returns:
        (band, y, x) in the order of `LAYOUT_BANDS`; uint8 for the layout "mask", else float32.
    """
    mask = masked_pixels(classes, output.masked)
    if output.layout == "mask":
        return np.stack([mask.astype(np.uint8), classes])
    assert spread is not None, "only the layout 'mask' does without probabilities"
    if output.layout == "cloud_detection":
        return spread[[THICK, SHADOW, THIN]]
    return np.concatenate([mask[None], classes[None], spread]).astype(np.float32)
