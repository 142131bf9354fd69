"""Samples that are two rasters: an image and its labels."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rasterio.errors import RasterioIOError

from cloudmask.bands import PRESETS, as_preset, canonical
from cloudmask.errors import CubeError
from cloudmask.local.readers.meaning import own_preset
from cloudmask.local.readers.rasters import cause, gdal, opened
from cloudmask_export.evaluation.datasets.layout import MSI, alike, checked, image_of
from cloudmask_export.evaluation.labels import UNLABELLED
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Image

DEFAULT_PIXEL_SIZE = 10.0
"""Metres, of rasters that are not placed in metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the rasters of a layout are to be read."""

    scheme: Scheme
    """Of the labels."""
    level: Literal["L1C", "L2A", ""] | None = None
    """Processing level; None: L1C if there is a B10, which L2A has not, else unknown."""
    padded: bool = False
    """Whether pixels that are 0 in all bands lie outside the patch and have no label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterSample:
    """An image and its labels, each a raster that GDAL opens; nothing is read before asked."""

    name: str
    group: str
    path: Path
    """The image's file, for messages."""
    image_place: str
    """What GDAL opens for the image."""
    label_place: str
    """What GDAL opens for the labels; their first band counts."""
    reading: Reading

    def shape(self) -> tuple[int, int]:
        """Read rows and columns off the image's header."""
        with _raster(self.image_place) as dataset:
            return dataset.height, dataset.width

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: It cannot be read, or its bands or numbers are not as the layout says.
        """
        with _raster(self.image_place) as dataset:
            bands = bands_of(dataset)
            preset = _preset(dataset, bands)
            size = _pixel_size(dataset)
            numbers = dataset.read()
        level = self.reading.level
        if level is None:
            level = "L1C" if "B10" in bands else ""
        return image_of(numbers, preset, path=self.path, bands=bands, pixel_size=size, level=level)

    def truth(self) -> Truth:
        """Read the labels; see `Sample`.

        Raises:
            EvaluationError: They cannot be read, are of another size than the image, or have
                codes that the layout does not have.
        """
        with _raster(self.label_place) as dataset:
            codes = dataset.read(1)
        alike(codes.shape, self.shape(), self.path)
        codes = checked(codes, self.reading.scheme, self.path)
        return Truth(self._without_padding(codes) if self.reading.padded else codes)

    def _without_padding(self, codes: NDArray[np.integer]) -> NDArray[np.integer]:
        with _raster(self.image_place) as dataset:
            return unpadded(codes, dataset.read())


def unpadded(codes: NDArray[np.integer], numbers: NDArray[np.generic]) -> NDArray[np.integer]:
    """Take the labels off where all bands are 0.

    Args:
        codes: (y, x) labels.
        numbers: (band, y, x) as stored.
    """
    return np.where((numbers == 0).all(axis=0), np.uint8(UNLABELLED), codes)


@contextmanager
def _raster(place: str) -> Iterator[Any]:
    """Open a raster; what goes wrong while it is read is said as well.

    Raises:
        EvaluationError: It cannot be read.
    """
    try:
        with gdal(), opened(place) as dataset:
            yield dataset
    except CubeError as error:
        raise EvaluationError(str(error)) from error
    except RasterioIOError as error:
        raise EvaluationError(
            f"{place}: cannot be read ({cause(error)}); the file is damaged or incomplete"
        ) from error


def bands_of(dataset: Any) -> tuple[str, ...]:
    """Name the bands of an open raster: by its descriptions, else as the instrument has them.

    Raises:
        EvaluationError: The descriptions do not name each band once, or there are none and the
            bands are not 13.
    """
    said = [text or "" for text in dataset.descriptions]
    if not any(said):
        if dataset.count != len(MSI):
            raise EvaluationError(
                f"{dataset.name}: its {dataset.count} bands have no descriptions; without, they "
                f"must be all {len(MSI)} in the order {', '.join(MSI)}"
            )
        return MSI
    bands = [canonical(text) for text in said]
    for number, band in enumerate(bands):
        if band is None or band in bands[:number]:
            raise EvaluationError(
                f"{dataset.name}: band {number + 1} is called {said[number]!r}, which is "
                f"{'no band of Sentinel-2' if band is None else 'there twice'}; describe each "
                "band by its own name (B02, B03, ...)"
            )
    return tuple(band for band in bands if band)


def _preset(dataset: Any, bands: tuple[str, ...]) -> Preset:
    """Say what the numbers mean: the file's own scale and offset, else by the kind of number."""
    nodata = {value for value in dataset.nodatavals if value is not None}
    preset = PRESETS["reflectance" if np.dtype(dataset.dtypes[0]).kind == "f" else "dn"]
    own = own_preset(
        dataset.name, bands, dataset.scales, dataset.offsets, sorted({*preset.nodata, *nodata})
    )
    return own or as_preset(preset, nodata)


def _pixel_size(dataset: Any) -> float:
    """Give the edge of a pixel in metres."""
    if dataset.crs is None or not dataset.crs.is_projected:
        return DEFAULT_PIXEL_SIZE
    return float(abs(dataset.transform.a) * dataset.crs.linear_units_factor[1])
