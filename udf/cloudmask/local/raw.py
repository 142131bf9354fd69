"""Rows of a mask on their way to a file: counted, and kept on disk until the last has come."""

from __future__ import annotations

import tempfile
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from cloudmask.classes import CLASSES, NO_DATA, PROBABILITY_STEPS
from cloudmask.local.beside import hidden
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from numpy.typing import NDArray

    from cloudmask.local.product import Grid

BLOCK = 512
"""Edge of a block in pixels."""


@dataclass
class Counts:
    """How many pixels of each class have been written."""

    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))

    def add(self, classes: NDArray[np.uint8]) -> None:
        """Count class codes."""
        self.pixels += np.bincount(classes.ravel(), minlength=256)

    def shares(self, codes: Sequence[int]) -> dict[str, float]:
        """Give the percentage of some classes among valid pixels, and of no data among all.

        Args:
            codes: Those that the network knows: nothing can be said of another.
        """
        total, absent = int(self.pixels.sum()), int(self.pixels[NO_DATA])
        valid = max(1, total - absent)
        known = [each for each in CLASSES if each.code in codes]
        percent = {each.name: 100 * int(self.pixels[each.code]) / valid for each in known}
        return percent | {"no_data": 100 * absent / max(1, total)}

    def tags(self, codes: Sequence[int]) -> dict[str, str]:
        """Give the shares as GeoTIFF tags."""
        shares = self.shares(codes)
        return {f"PERCENT_{name.upper()}": f"{share:.3f}" for name, share in shares.items()}


@dataclass(slots=True)
class Sums:
    """Checksums of bands whose rows come from the top."""

    bands: list[int]
    """CRC-32 of each band's rows so far."""
    stop: int = 0
    """The next row."""

    def add(self, rows: Span, values: NDArray[np.uint8]) -> None:
        """Go on with rows (band, rows, x)."""
        assert rows.start == self.stop, "rows come in order"
        for number, band in enumerate(values):
            self.bands[number] = zlib.crc32(band.tobytes(), self.bands[number])
        self.stop = rows.stop


@dataclass(frozen=True, slots=True)
class Raw:
    """A plain GeoTIFF that takes rows from the top."""

    dataset: Any
    sums: Sums

    @classmethod
    def beside(cls, path: Path, count: int, like: Grid, stack: ExitStack) -> Raw:
        """Open one in a hidden folder beside `path`, both gone when `stack` closes.

        Args:
            path: What will be made of the rows.
            count: Bands.
            like: Its grid.
            stack: Closes the file and removes the folder.
        """
        place = tempfile.TemporaryDirectory(prefix=hidden(path), dir=path.parent)
        partial = Path(stack.enter_context(place)) / "rows.tif"
        profile = _PROFILE | {"height": like.height, "width": like.width, "count": count}
        with warnings.catch_warnings():
            # A mask lies nowhere if its scene does.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(
                partial, "w", crs=like.crs, transform=like.transform, **profile
            )
        stack.callback(dataset.close)
        return cls(dataset, Sums([0] * count))

    @property
    def size(self) -> int:
        """Bytes of all rows, unpacked."""
        dataset = self.dataset
        return int(dataset.count * dataset.height * dataset.width)

    def write(self, rows: Span, values: NDArray[np.uint8]) -> None:
        """Write (band, rows, x)."""
        window = Window(0, rows.start, self.dataset.width, rows.size)
        self.dataset.write(values, window=window)
        self.sums.add(rows, values)

    def closed(self) -> Path:
        """Write what is still held, and give the file to read the rows from."""
        self.dataset.close()
        return Path(self.dataset.name)

    def is_in(self, path: Path) -> bool:
        """Tell whether a file holds the rows that were written.

        When a file is closed, GDAL writes what it still holds, and says nothing if it cannot.

        Raises:
            RasterioIOError: The file cannot even be read.
        """
        found = Sums([0] * len(self.sums.bands))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path)
        with dataset:
            for start in range(0, self.sums.stop, BLOCK):
                rows = Span(start, min(start + BLOCK, self.sums.stop))
                found.add(rows, dataset.read(window=Window(0, start, dataset.width, rows.size)))
        return found == self.sums


_PROFILE = {
    "driver": "GTiff",
    "dtype": "uint8",
    "nodata": NO_DATA,
    "tiled": True,
    "blockxsize": BLOCK,
    "blockysize": BLOCK,
    "compress": "deflate",
    "zlevel": 1,
    "interleave": "band",
    # Else GDAL takes four bands of bytes for red, green, blue and transparency.
    "photometric": "minisblack",
    "alpha": "unspecified",
    "bigtiff": "if_safer",
}


def stored_probabilities(spread: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn probabilities 0..1, NaN for no data, into 0..250 and 255."""
    steps = np.rint(np.nan_to_num(spread) * PROBABILITY_STEPS).astype(np.uint8)
    steps[np.isnan(spread)] = NO_DATA
    return steps
