"""What a tile lacks is filled from the tile's own valid pixels.

A network must be given a number everywhere. Image edges and no data are the same to it and to
us: pixels that do not exist. They are mirrored at the border of what does exist, which keeps the
texture that a network was trained on and, as it looks at nothing outside the tile, gives the same
tile whether the scene comes whole or in chunks (docs/decisions/0003-fill.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cloudmask.windows import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fill(tile: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace the values of invalid pixels.

    Args:
        tile: (band, y, x); invalid pixels may hold anything, NaN included.
        valid: (y, x), True where the pixel exists; at least one must.

    Returns:
        (band, y, x), the valid pixels unchanged, all finite if those are. The argument itself if
        nothing is missing.
    """
    if valid.all():
        return tile
    y, x = occupied(valid)
    inner = _mirror_holes(tile[:, y.slice, x.slice], valid[y.slice, x.slice])
    rows = _reflected(valid.shape[0], y)
    columns = _reflected(valid.shape[1], x)
    filled: NDArray[np.float32] = inner[:, rows[:, None], columns]
    return filled


def occupied(valid: NDArray[np.bool_]) -> tuple[Span, Span]:
    """Find the smallest rows and columns that hold every True of (y, x); one must be True."""
    return _between(np.any(valid, axis=1)), _between(np.any(valid, axis=0))


def _between(flags: Any) -> Span:
    return Span(int(flags.argmax()), len(flags) - int(flags[::-1].argmax()))


def _reflected(size: int, inner: Span) -> NDArray[np.intp]:
    """Index into `inner` for each of `size` positions, bouncing at its first and last pixel."""
    steps = np.arange(size) - inner.start
    if inner.size == 1:
        return np.zeros(size, np.intp)
    # A triangle wave: 0 1 2 3 2 1 0 1 ...
    period = 2 * (inner.size - 1)
    return (inner.size - 1 - np.abs(steps % period - (inner.size - 1))).astype(np.intp)


def _mirror_holes(tile: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give a missing pixel the value at its mirror image in the nearest valid pixel.

    Where that mirror image is missing too, it takes the nearest valid pixel itself.
    """
    missing = ~valid
    if not missing.any():
        return tile
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    at = np.nonzero(missing)
    border = nearest[:, at[0], at[1]]
    image = 2 * border - np.stack(at)
    inside = ((image >= 0) & (image < np.array(valid.shape)[:, None])).all(axis=0)
    image = np.where(inside, image, border)
    image = np.where(valid[image[0], image[1]], image, border)
    filled = tile.copy()
    filled[:, at[0], at[1]] = tile[:, image[0], image[1]]
    return filled
