"""Masks as files, written beside and renamed, so that a file is whole or absent.

Rows are kept in a plain tiled GeoTIFF as they come. For a Cloud-Optimised GeoTIFF, GDAL's COG
driver then makes the overviews (by mode: an average of class codes means nothing) and puts them in
order; netCDF and Zarr are made in `cloudmask.local.cubes`.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError, RasterioIOError

from cloudmask.classes import CLASSES, PROBABILITY_STEPS
from cloudmask.errors import OptionError
from cloudmask.local.beside import beside
from cloudmask.local.raw import BLOCK, Counts, Raw, stored_probabilities
from cloudmask.local.room import room
from cloudmask.local.style import category_names, colour_table, qgis_style
from cloudmask.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.local.product import Grid
    from cloudmask.windows import Span

GEOTIFF = (".tif", ".tiff")
CUBES = (".nc", ".zarr")
SUFFIXES = (*GEOTIFF, *CUBES)
"""Of the files that can be written."""


def writer_for(path: Path, like: Grid, probabilities: Path | None = None) -> MaskWriter:
    """Choose how to write by the files' suffixes.

    Args:
        path: What to make: see `SUFFIXES`.
        like: The grid that the mask has.
        probabilities: What to make of the class probabilities; for netCDF and Zarr it may be
            `path` itself, which then holds both.

    Raises:
        OptionError: No such format, or GeoTIFF for both in one.
    """
    for each in (path, probabilities or path):
        if each.suffix.lower() not in SUFFIXES:
            raise OptionError(
                f"{each}: the name's ending says the format; choose one of {', '.join(SUFFIXES)}"
            )
    if path == probabilities and path.suffix.lower() in GEOTIFF:
        raise OptionError(f"{path}: probabilities need a GeoTIFF of their own; name another")
    return MaskWriter(path, like, probabilities)


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with beside(path) as partial:
        partial.write_text(text, "utf-8")


class MaskWriter:
    """Takes rows of classes, and of probabilities if wanted; `finish` makes the files appear."""

    def __init__(self, path: Path, like: Grid, probabilities: Path | None = None) -> None:
        """Open beside `path`.

        Args:
            path: File to make.
            like: The grid that the mask has.
            probabilities: File of class probabilities to make as well.
        """
        self.counts = Counts()
        self._path, self._probabilities = path, probabilities
        self._like = like
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        spread = self._probabilities
        with ExitStack() as stack:
            self._classes = Raw.beside(self._path, 1, self._like, stack)
            self._spread = Raw.beside(spread, len(CLASSES), self._like, stack) if spread else None
            # Now, as GDAL wants to know that it is a palette before the first row.
            self._classes.dataset.write_colormap(1, colour_table())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(
        self, rows: Span, classes: NDArray[np.uint8], spread: NDArray[np.float32] | None = None
    ) -> None:
        """Write rows: classes (rows, x) and, if wanted, probabilities (4, rows, x).

        Raises:
            OSError: They cannot be written, as the disk is full, say.
        """
        self.counts.add(classes)
        with _named(self._path, self._classes):
            self._classes.write(rows, classes[None])
        if self._probabilities and self._spread:
            assert spread is not None, "probabilities were asked for"
            with _named(self._probabilities, self._spread):
                self._spread.write(rows, stored_probabilities(spread))

    def finish(self, tags: Mapping[str, str], of_classes: Mapping[str, str]) -> None:
        """Make the files: mask and probabilities if wanted, with what goes beside a GeoTIFF.

        Args:
            tags: What is true of both files.
            of_classes: What is true of the classes only.

        Raises:
            OSError: They cannot be written; what stood there before still does.
        """
        if self._probabilities == self._path and self._spread:
            _cube(self._path, {**tags, **of_classes}, self._classes, self._spread)
            return
        if self._probabilities and self._spread:
            _make_probabilities(self._probabilities, tags, self._spread)
        _make_mask(self._path, {**tags, **of_classes}, self._classes)


@contextmanager
def _named(path: Path, raw: Raw) -> Iterator[None]:
    """Name the file that could not be written: GDAL knows the hidden one only."""
    # The rows, the file and its overviews, if nothing of it could be packed.
    needed = raw.size * 7 // 3
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise OSError(f"{path}: cannot be written ({error}); {room(path, needed)}") from error


def _make_mask(path: Path, tags: Mapping[str, str], raw: Raw) -> None:
    if path.suffix.lower() in CUBES:
        _cube(path, tags, raw, None)
        return
    dataset = raw.dataset
    dataset.set_band_description(1, "class")
    names = {f"CLASS_{each.code}": each.title for each in CLASSES}
    dataset.update_tags(**tags, **names)
    _make_cog(raw, path, "MODE")
    write_text(path.with_suffix(".qml"), qgis_style())
    write_text(Path(f"{path}.aux.xml"), category_names())


def _make_probabilities(path: Path, tags: Mapping[str, str], raw: Raw) -> None:
    if path.suffix.lower() in CUBES:
        _cube(path, tags, None, raw)
        return
    dataset = raw.dataset
    dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (len(CLASSES) - 1)]
    dataset.scales = (1 / PROBABILITY_STEPS,) * len(CLASSES)
    for each in CLASSES:
        dataset.set_band_description(each.code + 1, each.name)
    dataset.update_tags(**tags)
    _make_cog(raw, path, "AVERAGE")
    # Statistics of an earlier file of that name.
    Path(f"{path}.aux.xml").unlink(missing_ok=True)


def _cube(path: Path, tags: Mapping[str, str], classes: Raw | None, spread: Raw | None) -> None:
    from cloudmask.local.cubes import Layers, write_cube  # xarray and dask take a while to load

    def closed(raw: Raw | None) -> Path | None:
        if raw is None:
            return None
        with _named(path, raw):
            _check(raw, raw.closed())
        return raw.closed()

    write_cube(path, Layers(closed(classes), closed(spread)), tags)


def _make_cog(raw: Raw, path: Path, resampling: str) -> None:
    """Close the rows and copy them to a Cloud-Optimised GeoTIFF."""
    with _named(path, raw), beside(path) as partial:
        rasterio.shutil.copy(
            raw.closed(),
            str(partial),
            driver="COG",
            compress="DEFLATE",
            blocksize=BLOCK,
            overview_resampling=resampling,
            num_threads=str(Runtime().intra_op_threads),
            bigtiff="IF_SAFER",
        )
        _check(raw, partial)


def _check(raw: Raw, path: Path) -> None:
    """Refuse a file that does not hold what was written."""
    if not raw.is_in(path):
        raise RasterioIOError("what is in it is not what was written")
