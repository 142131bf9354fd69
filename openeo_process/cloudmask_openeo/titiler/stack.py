"""titiler's cubes as labelled cubes, and back.

titiler keeps a cube as images (band, y, x) by date, masked arrays that are read when they are
needed. Here each becomes a labelled cube with NaN for what is masked, is answered as any other
cube is, and becomes an image again: date by date when someone asks for it, if dates are apart.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from rio_tiler.models import ImageData
    from titiler.openeo.processes.implementations.data_model import RasterStack

    Answer = Callable[[xr.DataArray], xr.DataArray]


def checked(data: Any) -> Any:
    """Refuse the bare arrays that titiler's callbacks of other processes get."""
    if not hasattr(data, "map_tasks"):
        raise CubeError(
            f"{type(data).__name__}: a cube with its labels is needed, which apply, "
            "apply_dimension and reduce_dimension do not pass on here; use apply_neighborhood"
        )
    if not len(data):
        raise CubeError("the cube has no dates")
    return data


def each_date(data: RasterStack, answer: Answer, bands: Sequence[str] = ()) -> RasterStack:
    """Answer dates one by one, each when someone asks for it.

    Args:
        data: The cube.
        answer: What to do to a cube of one date.
        bands: Labels of the answer, if known beforehand.
    """

    def answered(key: datetime, image: ImageData) -> ImageData:
        return images_of(answer(cube_of({key: image})), {key: image})[key]

    return each_image(data, answered, band_names=list(bands))


def each_image(
    data: RasterStack, change: Callable[[datetime, ImageData], ImageData], **known: Any
) -> RasterStack:
    """Change images one by one, each when someone asks for it.

    Args:
        data: The cube; titiler may forget its images when this returns.
        change: What to do to the image of a date.
        known: What is known of the changed images beforehand: band_names, width, height, bounds.
    """
    # What another process has computed cannot be read again.
    held = {key: ref.realize() for key, ref in data.get_image_refs() if ref.realized}

    def changed(key: datetime, read: Callable[[], ImageData]) -> ImageData:
        return change(key, held[key] if key in held else read())

    return data.map_tasks(changed, **known)


def all_dates(data: RasterStack, answer: Answer) -> RasterStack:
    """Answer all dates at once.

    Raises:
        CubeError: There is nothing to answer, or the dates do not fit each other.
    """
    images = dict(data.items())
    if not images:
        raise CubeError("no date can be read: none covers the extent that is loaded")
    return data.from_images(images_of(answer(cube_of(images)), images))


def cube_of(images: Mapping[datetime, ImageData]) -> xr.DataArray:
    """Make a labelled cube of titiler's images.

    Returns:
        float32, dimensions t, bands, y, x; NaN where an image is masked; labels as titiler has
        them ("B02_b1"), y and x the centres of pixels if the images have bounds.

    Raises:
        CubeError: The images differ in size or bands.
    """
    layers = [image.array.astype(np.float32).filled(np.nan) for image in images.values()]
    if len({layer.shape for layer in layers}) != 1:
        shapes = ", ".join(str(layer.shape) for layer in layers)
        raise CubeError(f"dates of different shapes, {shapes}: resample them to one grid")
    first = next(iter(images.values()))
    times = np.array([_utc(key) for key in images], "datetime64[ns]")
    coords = {"t": times, "bands": list(first.band_descriptions), **_centres(first)}
    return xr.DataArray(np.stack(layers), coords, ("t", "bands", "y", "x"))


def _utc(moment: datetime) -> datetime:
    """Leave the time zone out, which numpy does not know."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _centres(image: ImageData) -> dict[str, Any]:
    if image.bounds is None:
        return {}
    west, south, east, north = image.bounds
    columns = (np.arange(image.width) + 0.5) / image.width
    rows = (np.arange(image.height) + 0.5) / image.height
    return {"y": north - rows * (north - south), "x": west + columns * (east - west)}


def images_of(cube: xr.DataArray, like: Mapping[datetime, ImageData]) -> dict[datetime, ImageData]:
    """Make titiler's images of a cube.

    Args:
        cube: Dimensions t, bands, y, x in any order.
        like: Images of the same dates, whose place on Earth is kept.

    Returns:
        Images, masked where they are NaN, with the cube's band labels.
    """
    labels = [str(label) for label in cube["bands"].values]
    layers = cube.transpose("t", "bands", "y", "x").values
    return {
        key: type(image)(
            np.ma.masked_array(layer, np.isnan(layer)),
            assets=image.assets,
            crs=image.crs,
            bounds=image.bounds,
            band_descriptions=labels,
        )
        for (key, image), layer in zip(like.items(), layers, strict=True)
    }
