"""KappaSet (KappaZeta, doi:10.5281/zenodo.7100327): one netCDF for each sub-tile.

A file of KappaZeta's cm-vsm has a variable for each band (B01 to B12, all resampled to 10 m) and
`Label`, both of (512, 512). Bands are float32 in 0..1: the product's 16-bit numbers divided by
65535, so that reflectance is value x 65535 / 10000, and 0 is no data. `Label` has the classes of
KappaMask. Rows are stored from south to north and are turned here. Whether -1000 has to be added
is read off the baseline in the product's name (the global attribute `product_name`, else the
file's name), or off its date: before 25 January 2022 there was no offset.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cloudmask.bands import PRESETS, Preset
from cloudmask_export.evaluation.datasets.layout import (
    MSI,
    Layout,
    alike,
    checked,
    image_of,
    tile_of,
)
from cloudmask_export.evaluation.labels import KAPPASET
from cloudmask_export.evaluation.samples import EvaluationError, Truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.evaluation.samples import Image

LARGEST = 65_535
"""Number that is stored as 1."""

LABEL = "Label"
FIRST_OFFSET = "20220125"
"""Day on which baseline 04.00 began."""

OFFSET_BASELINE = 400

_BASELINE = re.compile(r"_N(\d{4})_")
_DATE = re.compile(r"_(20\d{6})(?:T\d{6})?(?:_|\.|$)")


@dataclass(frozen=True, slots=True)
class SubTile:
    """One netCDF; see `Sample`."""

    path: Path
    name: str

    @property
    def group(self) -> str:
        """The Sentinel-2 tile that it is of."""
        return tile_of(self.path.name) or tile_of(self._product()) or self._product()

    def shape(self) -> tuple[int, int]:
        """Read rows and columns off the header."""
        with _netcdf(self.path) as file:
            return self._size(file, self._bands(file)[0])

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: It cannot be read, its numbers are not as the layout says, or it
                cannot be told whether they have an offset.
        """
        preset = self._preset()
        with _netcdf(self.path) as file:
            bands = self._bands(file)
            size = self._size(file, bands[0])
            for band in bands:
                alike(self._size(file, band), size, self.path)
            stored = np.stack([self._rows(file, band) for band in bands])
        if stored.dtype.kind != "f" or stored.max() > 1:
            raise EvaluationError(
                f"{self.path}: bands are {stored.dtype} up to {stored.max()}; floats from 0 to 1 "
                "are needed"
            )
        numbers = np.rint(np.nan_to_num(stored) * LARGEST).astype(np.uint16)
        return image_of(numbers, preset, path=self.path, bands=bands, level=self._level(bands))

    def truth(self) -> Truth:
        """Read the labels; see `Sample`.

        Raises:
            EvaluationError: They cannot be read, or are not as the layout says.
        """
        with _netcdf(self.path) as file:
            if LABEL not in file.variables:
                raise EvaluationError(
                    f"{self.path}: has no variable {LABEL}; only labelled sub-tiles can be used, "
                    "so take it out"
                )
            codes = self._rows(file, LABEL)
        alike(codes.shape, self.shape(), self.path)
        return Truth(checked(codes, KAPPASET, self.path))

    def _size(self, file: Any, name: str) -> tuple[int, int]:
        shape = file.variables[name].shape
        if len(shape) != 2:  # noqa: PLR2004
            raise EvaluationError(f"{self.path}: {name} is of the shape {shape}; (y, x) is needed")
        return shape[0], shape[1]

    def _rows(self, file: Any, name: str) -> NDArray[Any]:
        """Read a variable (y, x), north first."""
        self._size(file, name)
        return np.asarray(file.variables[name][:])[::-1]

    def _bands(self, file: Any) -> tuple[str, ...]:
        bands = tuple(band for band in MSI if band in file.variables)
        if not bands:
            raise EvaluationError(
                f"{self.path}: has the variables {', '.join(file.variables) or 'none'}, but no "
                "bands (B01, B02, ...)"
            )
        return bands

    def _product(self) -> str:
        with _netcdf(self.path) as file:
            return str(getattr(file, "product_name", "")) or self.path.stem

    def _preset(self) -> Preset:
        """Say what the 16-bit numbers mean."""
        product = self._product()
        names = f"{product}_{self.path.name}"
        if baseline := _BASELINE.search(names):
            later = int(baseline[1]) >= OFFSET_BASELINE
            return PRESETS["dn_n0400" if later else "dn"]
        date = _DATE.search(names)
        if date is None or date[1] >= FIRST_OFFSET:
            raise EvaluationError(
                f"{self.path}: neither product_name ({product}) nor the file's name says the "
                f"baseline (_N0206_) or a date before {FIRST_OFFSET}, so it cannot be told "
                "whether its numbers have the offset of 1000; rename it after its product"
            )
        return PRESETS["dn"]

    def _level(self, bands: tuple[str, ...]) -> Literal["L1C", "L2A"]:
        # Only L1C has a B10, and the name may not say it.
        return "L1C" if "B10" in bands or "MSIL1C" in self._product() else "L2A"


@contextmanager
def _netcdf(path: Path) -> Iterator[Any]:
    try:
        from netCDF4 import Dataset
    except ImportError as error:
        raise EvaluationError(
            f"{path}: reading netCDF needs netCDF4: pip install 'openeo-cloudmask[cubes]'"
        ) from error
    try:
        with Dataset(path) as file:
            # Numbers as stored: 0 or 255 must not become a masked value.
            file.set_auto_maskandscale(False)
            yield file
    except (OSError, RuntimeError) as error:
        raise EvaluationError(
            f"{path}: cannot be read as netCDF ({error}); fetch it again"
        ) from error


def _samples(path: Path) -> list[SubTile]:
    files = sorted(path.rglob("*.nc"))
    return [
        SubTile(file, str(file.relative_to(path).with_suffix("")))
        for file in files
        if not file.name.startswith(".")
    ]


LAYOUT = Layout(
    name="kappaset",
    title="KappaSet",
    licence="not verified; see its record",
    source=KAPPASET.source,
    folder="a folder, of any depth, of .nc files with the variables B01, B02, ... and Label",
    unverified="The record's own description could not be read. Variables, scale and the order of "
    "rows are those of cm-vsm, the tool that writes such files; file names are not known.",
    scheme=KAPPASET,
    human=True,
    one_size=True,
    fits=lambda path: path.is_dir() and next(path.rglob("*.nc"), None) is not None,
    samples=_samples,
)
