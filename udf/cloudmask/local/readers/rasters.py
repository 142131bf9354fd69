"""Rasters as rows: anything GDAL opens with a band description or a name for each band."""

from __future__ import annotations

import itertools
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from cloudmask.bands import Preset, as_preset, canonical, check_dtype, misfit, positions
from cloudmask.errors import BandError, CubeError, PresetWarning
from cloudmask.local.readers.drivers import open_raster
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.local.product import RowRaster
    from cloudmask.source import RowSource

CACHE_MIB = 64
"""What GDAL may keep of a file; its default is a twentieth of the machine."""

SAMPLE = 64
"""Edge in pixels of the windows that are looked at before the work starts."""

BAND_OF_ROWS = 512
"""Rows read at once for a picture; a usual block height."""

TRUE_COLOUR = ("B04", "B03", "B02")


@contextmanager
def gdal(**options: Any) -> Iterator[None]:
    """Use GDAL with a small cache, quiet sidecar handling, and no programs inside rasters."""
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_CACHEMAX=CACHE_MIB, GDAL_VRT_ENABLE_PYTHON="NO", **options),
    ):
        # A raster without a place on Earth is masked like any other.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def cause(error: BaseException) -> str:
    """Say what GDAL said first: rasterio's own sentence only points to it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().rstrip(".")


@contextmanager
def opened(path: Path | str) -> Iterator[Any]:
    """Open a raster.

    Raises:
        CubeError: GDAL cannot.
    """
    try:
        dataset = open_raster(path)
    except RasterioIOError as error:
        why = cause(error).removeprefix(f"{path}: ")
        raise CubeError(
            f"{path}: cannot be read as a raster ({why}); GeoTIFF and VRT can"
        ) from error
    with dataset:
        yield dataset


def band_labels(dataset: Any, names: Sequence[str] | None) -> list[str]:
    """Name the bands of a raster.

    Raises:
        BandError: The file does not name them, or the given names are too few or too many.
    """
    if names:
        if len(names) != dataset.count:
            raise BandError(
                f"bands {','.join(names)}: {len(names)} names for {dataset.count} bands; name "
                "every band of the file, in its order"
            )
        return list(names)
    labels = [description or "" for description in dataset.descriptions]
    if not any(labels):
        raise BandError(
            f"{dataset.name}: its {dataset.count} bands have no descriptions; name them in their "
            "order, for example --bands B02,B03,B04,B08"
        )
    return labels


@dataclass(frozen=True, slots=True)
class Raster:
    """Chosen bands of an open raster, in rows (a `cloudmask.source.RowSource`)."""

    dataset: Any
    """Open rasterio dataset, on whatever grid."""
    indexes: tuple[int, ...]
    """1-based bands of it, in the network's order."""
    absent: float | None = None
    """Whole number to put where the file's own mask says that nothing is; NaN if there is none."""
    place: str = ""
    """What to call it in messages; the dataset's own name if empty."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        return len(self.indexes), self.dataset.height, self.dataset.width

    @property
    def itemsize(self) -> int:
        """Bytes of a number as `read` gives it."""
        masked = self._masked and self.absent is None
        return np.result_type(self._dtype, *([np.float32] if masked else [])).itemsize

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `RowSource`."""
        window = Window(0, rows.start, self.dataset.width, rows.size)
        if not rows.size:
            return np.zeros((len(self.indexes), 0, self.dataset.width), self._dtype)
        numbers = self._numbers(window)
        if not self._masked:
            return numbers
        absent = np.nan if self.absent is None or numbers.dtype.kind == "f" else self.absent
        nothing = self.dataset.dataset_mask(window=window) == 0
        dtype = np.result_type(numbers.dtype, np.float32) if np.isnan(absent) else numbers.dtype
        return np.where(nothing, np.asarray(absent, dtype), numbers)

    def _numbers(self, window: Window) -> NDArray[np.generic]:
        """Read (band, y, x) as stored."""
        try:
            numbers: NDArray[np.generic] = self.dataset.read(list(self.indexes), window=window)
        except RasterioIOError as error:
            raise CubeError(
                f"{self.place or self.dataset.name}: {self._damaged(window)} cannot be read "
                f"({cause(error)}); the file is damaged or incomplete"
            ) from error
        return numbers

    def _damaged(self, window: Window) -> str:
        """Name the first band that cannot be read, for a message."""
        for index in self.indexes:
            try:
                self.dataset.read(index, window=window)
            except RasterioIOError:
                return f"band {self.dataset.descriptions[index - 1] or index}"
        return "it"

    @property
    def _dtype(self) -> str:
        return str(np.result_type(*(self.dataset.dtypes[index - 1] for index in self.indexes)))

    @property
    def _masked(self) -> bool:
        """Whether the file has a mask or alpha band of its own."""
        return MaskFlags.per_dataset in self.dataset.mask_flag_enums[self.indexes[0] - 1]

    def thumbnail(self, longest: int) -> NDArray[np.generic]:
        """See `thinned`."""
        return thinned(self, longest)

    def sample(self) -> NDArray[np.generic]:
        """Read some small windows from all over: (band, n)."""
        parts = [
            self._numbers(Window(x.start, y.start, x.size, y.size)) for y, x in places(self.shape)
        ]
        return np.concatenate([part.reshape(len(self.indexes), -1) for part in parts], axis=1)


def thinned(source: RowSource, longest: int) -> NDArray[np.generic]:
    """Read everything, made small: (band, y, x) with about `longest` pixels an edge.

    Every so many pixels one is taken. GDAL's own decimated read is many times slower on files
    without overviews, as it fetches their blocks again for every line.
    """
    _, height, width = source.shape
    step = max(1, max(height, width) // longest)
    rows = range(0, height, BAND_OF_ROWS // step * step or step)
    parts = [
        source.read(Span(start, min(start + rows.step, height)))[:, ::step, ::step]
        for start in rows
    ]
    return np.concatenate(parts, axis=1)


def places(shape: tuple[int, int, int]) -> list[tuple[Span, Span]]:
    """Spread small windows (y, x) over (band, y, x)."""
    y, x = (_spread(size) for size in shape[1:])
    return list(itertools.product(y, x))


def _spread(size: int) -> list[Span]:
    """Spread five windows over an axis."""
    starts = sorted({int(start) for start in np.linspace(0, max(0, size - SAMPLE), 5)})
    return [Span(start, start + min(SAMPLE, size)) for start in starts]


def choose(
    dataset: Any, wanted: Sequence[str], preset: str | Preset, names: Sequence[str] | None = None
) -> tuple[Raster, Preset]:
    """Find the network's bands in a raster, and what its numbers mean.

    Args:
        dataset: Open rasterio dataset.
        wanted: The network's bands.
        preset: What the numbers mean; the file's own no-data value is added to it.
        names: Names of the file's bands, if its descriptions will not do.

    Raises:
        BandError: A band is missing.
        CubeError: The numbers are complex.
    """
    found = [number + 1 for number in positions(band_labels(dataset, names), wanted)]
    for index in found:
        check_dtype(np.dtype(dataset.dtypes[index - 1]))
    own = {dataset.nodatavals[index - 1] for index in found} - {None}
    full = as_preset(preset, own)
    return Raster(dataset, tuple(found), full.nodata[0] if full.nodata else None), full


def warn_of_misfit(raster: RowRaster, preset: Preset) -> None:
    """Look at some pixels before the work starts, and warn if the preset cannot be right."""
    sentence = misfit(raster.sample(), preset)
    if sentence:
        warnings.warn(sentence, PresetWarning, stacklevel=2)


def true_colour(dataset: Any, names: Sequence[str] | None = None) -> tuple[int, ...]:
    """Choose 1-based bands for a picture: red, green, blue if present, else the first."""
    labels = [canonical(label) for label in (names or dataset.descriptions)]
    if set(TRUE_COLOUR) <= set(labels):
        return tuple(labels.index(band) + 1 for band in TRUE_COLOUR)
    return (1,)
