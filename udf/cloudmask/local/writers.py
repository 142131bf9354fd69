"""Masks as Cloud-Optimised GeoTIFF, written beside and renamed, so that a file is whole or absent.

Rows are written to a plain tiled GeoTIFF as they come; GDAL's COG driver then makes the overviews
(by mode: an average of class codes means nothing) and puts them in order.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from cloudmask.classes import CLASSES, NO_DATA, PROBABILITY_STEPS
from cloudmask.local.beside import beside
from cloudmask.local.style import category_names, colour_table, qgis_style
from cloudmask.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudmask.windows import Span

BLOCK = 512


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


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with beside(path) as partial:
        partial.write_text(text, "utf-8")


@dataclass(frozen=True, slots=True)
class Raw:
    """A plain GeoTIFF that takes rows."""

    dataset: Any

    def write(self, rows: Span, values: NDArray[np.uint8]) -> None:
        """Write (band, rows, x)."""
        window = Window(0, rows.start, self.dataset.width, rows.size)
        self.dataset.write(values, window=window)


class MaskWriter:
    """Takes rows of classes, and of probabilities if wanted; `finish` makes the files appear."""

    def __init__(self, path: Path, like: Any, probabilities: Path | None = None) -> None:
        """Open beside `path`.

        Args:
            path: GeoTIFF to make.
            like: Open rasterio dataset whose grid the mask has.
            probabilities: GeoTIFF of class probabilities to make as well.
        """
        self.counts = Counts()
        self._path, self._probabilities = path, probabilities
        self._like = like
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._raw_classes = self._raw(self._path, 1)
        self._raw_spread = self._raw(self._path, len(CLASSES)) if self._probabilities else None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _raw(self, path: Path, count: int) -> Raw:
        place = tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent)
        partial = Path(self._stack.enter_context(place)) / "rows.tif"
        dataset = rasterio.open(
            partial,
            "w",
            driver="GTiff",
            height=self._like.height,
            width=self._like.width,
            count=count,
            dtype="uint8",
            crs=self._like.crs,
            transform=self._like.transform,
            nodata=NO_DATA,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            compress="deflate",
            zlevel=1,
            interleave="band",
            # Else GDAL takes four bands of bytes for red, green, blue and transparency.
            photometric="minisblack",
            alpha="unspecified",
            bigtiff="if_safer",
        )
        self._stack.callback(dataset.close)
        return Raw(dataset)

    def write(
        self, rows: Span, classes: NDArray[np.uint8], spread: NDArray[np.float32] | None = None
    ) -> None:
        """Write rows: classes (rows, x) and, if wanted, probabilities (4, rows, x)."""
        self.counts.add(classes)
        self._raw_classes.write(rows, classes[None])
        if self._raw_spread is not None:
            assert spread is not None, "probabilities were asked for"
            self._raw_spread.write(rows, stored_probabilities(spread))

    def finish(self, tags: Mapping[str, str], of_classes: Mapping[str, str]) -> None:
        """Make the files: GeoTIFF, QGIS style, category names, and probabilities if wanted.

        Args:
            tags: What is true of both files.
            of_classes: What is true of the classes only.
        """
        self._dress_classes({**tags, **of_classes})
        if self._probabilities and self._raw_spread is not None:
            self._dress_spread(tags)
            _make_cog(self._raw_spread.dataset, self._probabilities, "AVERAGE")
            # Statistics of an earlier file of that name.
            Path(f"{self._probabilities}.aux.xml").unlink(missing_ok=True)
        _make_cog(self._raw_classes.dataset, self._path, "MODE")
        write_text(self._path.with_suffix(".qml"), qgis_style())
        write_text(Path(f"{self._path}.aux.xml"), category_names())

    def _dress_classes(self, tags: Mapping[str, str]) -> None:
        dataset = self._raw_classes.dataset
        dataset.write_colormap(1, colour_table())
        dataset.set_band_description(1, "class")
        names = {f"CLASS_{each.code}": each.title for each in CLASSES}
        dataset.update_tags(**tags, **names)

    def _dress_spread(self, tags: Mapping[str, str]) -> None:
        assert self._raw_spread is not None
        dataset = self._raw_spread.dataset
        dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (len(CLASSES) - 1)]
        dataset.scales = (1 / PROBABILITY_STEPS,) * len(CLASSES)
        for each in CLASSES:
            dataset.set_band_description(each.code + 1, each.name)
        dataset.update_tags(**tags)


def stored_probabilities(spread: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn probabilities 0..1, NaN for no data, into 0..250 and 255."""
    steps = np.rint(np.nan_to_num(spread) * PROBABILITY_STEPS).astype(np.uint8)
    steps[np.isnan(spread)] = NO_DATA
    return steps


def _make_cog(raw: Any, path: Path, resampling: str) -> None:
    """Close the rows and copy them to a Cloud-Optimised GeoTIFF."""
    raw.close()
    with beside(path) as partial:
        rasterio.shutil.copy(
            raw.name,
            str(partial),
            driver="COG",
            compress="DEFLATE",
            blocksize=BLOCK,
            overview_resampling=resampling,
            num_threads=str(Runtime().intra_op_threads),
            bigtiff="IF_SAFER",
        )
