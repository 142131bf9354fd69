"""Small pictures for the page: of a scene with its no data transparent, and of its mask."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from cloudmask.classes import CLASSES, CLEAR, NO_DATA, NO_DATA_CLASS
from cloudmask.errors import CubeError
from cloudmask.local.cubes import CLASS
from cloudmask.local.netcdf import NETCDF
from cloudmask.local.readers import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

LONGEST = 448
"""Pixels of a picture's longer edge: a card is about as wide on a screen."""

QUALITY = 55
"""Of WebP: a scene of clouds and fields takes 15 to 30 kB."""

VEIL = 165
"""Opacity of masked classes, 0..255; clear ground is not covered at all, no data entirely."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture."""

    width: int
    height: int
    kind: str
    """"webp" or "png"."""
    data: bytes

    @property
    def uri(self) -> str:
        """The picture itself as an address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


def of_scene(path: Path) -> Picture:
    """Make the thumbnail smaller still.

    Args:
        path: PNG as `picture.thumbnail` writes it.

    Raises:
        CubeError: It cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            small = image.convert("RGBA")
    # What Pillow finds no picture, a broken one, or one too large to be meant.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CubeError(f"{path.name}: cannot be read as a PNG") from error
    small.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    return _encoded(small, "webp", quality=QUALITY, method=2, alpha_quality=60)


def of_mask(path: Path) -> Picture:
    """Paint a mask to be laid over its scene.

    Args:
        path: GeoTIFF of class codes, or a cube (.nc, .zarr) with the variable `class`.

    Raises:
        CubeError: It cannot be read.
    """
    from PIL import Image

    cube = path.suffix.lower() in (".nc", ".zarr")
    codes = _codes_of_cube(path) if cube else _codes_of_raster(path)
    # A palette of a few entries, so that the file is small: four bits a pixel.
    index = np.where(codes == NO_DATA, len(CLASSES), np.minimum(codes, len(CLASSES)))
    image = Image.fromarray(index.astype(np.uint8))
    image.putpalette([part for each in (*CLASSES, NO_DATA_CLASS) for part in each.colour])
    opacity = [0 if each.code == CLEAR else VEIL for each in CLASSES]
    return _encoded(image, "png", compress_level=7, transparency=bytes([*opacity, 255]))


def _codes_of_raster(path: Path) -> NDArray[np.uint8]:
    """Read (y, x), small; overviews are used where there are some."""
    with opened(path) as dataset:
        shrink = max(1.0, max(dataset.shape) / LONGEST)
        shape = tuple(max(1, round(size / shrink)) for size in dataset.shape)
        try:
            codes: NDArray[np.uint8] = dataset.read(
                1, out_shape=shape, resampling=Resampling.nearest
            )
        except RasterioError as error:
            raise CubeError(f"{path.name}: cannot be read ({error})") from error
    return codes


def _codes_of_cube(path: Path) -> NDArray[np.uint8]:
    """Read (y, x), every so many pixels one."""
    import xarray as xr

    try:
        with NETCDF, xr.open_dataset(path, mask_and_scale=False, decode_cf=False) as cube:
            codes = cube[CLASS]
            step = max(1, math.ceil(max(codes.shape) / LONGEST))
            return np.asarray(codes[::step, ::step].values)
    # Whatever a format's package says of a damaged file, or that the package is missing.
    except (ImportError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise CubeError(f"{path.name}: cannot be read ({error})") from error


def _encoded(image: Image, kind: str, **options: object) -> Picture:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return Picture(image.width, image.height, kind, stream.getvalue())
