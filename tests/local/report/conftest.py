"""Folders of masks as `cloudmask mask` writes them, made without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

import rasterio
from rasterio.crs import CRS

from cloudmask.bands import PRESETS
from cloudmask.classes import CLASSES
from cloudmask.local.item import Made, write_item
from cloudmask.local.picture import thumbnail
from cloudmask.local.product import Facts, Grid
from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudmask.windows import Span

NETWORK = ModelSpec(
    name="ukis-4b-l1c",
    version="1.0.0",
    sha256="ab" * 32,
    licence="Apache-2.0",
    bands=("B02", "B03", "B04", "B08"),
    classes=(0, 1, 2, 3),
    tile=64,
    overlap=16,
)
START = datetime(2021, 6, 1, 10, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Numbers:
    """Colours of a scene that are all in memory (a `cloudmask.local.product.RowRaster`)."""

    numbers: NDArray[np.generic]
    """(band, y, x)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Give (band, y, x)."""
        bands, height, width = self.numbers.shape
        return bands, height, width

    @property
    def itemsize(self) -> int:
        """Give the bytes of a number."""
        return self.numbers.itemsize

    def read(self, rows: Span) -> NDArray[np.generic]:
        """Give (band, rows, x)."""
        return self.numbers[:, rows.start : rows.stop]

    def sample(self) -> NDArray[np.generic]:
        """Give everything: (band, n)."""
        return self.numbers.reshape(len(self.numbers), -1)

    def thumbnail(self, longest: int) -> NDArray[np.generic]:
        """Take every so many pixels one."""
        step = max(1, max(self.numbers.shape[1:]) // longest)
        return self.numbers[:, ::step, ::step]


def some_codes(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """Give every class a stripe, and no data a corner."""
    codes = np.zeros((height, width), np.uint8)
    codes[:, width // 2 :] = 1
    codes[:, 5 * width // 8 :] = 2
    codes[:, 7 * width // 8 :] = 3
    codes[: height // 4, : width // 4] = 255
    return codes


def shares_of(codes: NDArray[np.uint8]) -> dict[str, float]:
    valid = max(1, int(np.count_nonzero(codes != 255)))
    known = {each.name: 100 * np.count_nonzero(codes == each.code) / valid for each in CLASSES}
    return known | {"no_data": 100 * float(np.mean(codes == 255))}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A scene to write; what is not said is usual."""

    name: str = "S2A_T31TCJ"
    facts: Facts = field(
        default_factory=lambda: Facts(when=START, platform="sentinel-2a", level="L1C")
    )
    codes: NDArray[np.uint8] = field(default_factory=some_codes)
    numbers: NDArray[np.uint16] | None = None
    """(3, y, x) reflectance x 10000, 0 = no data; None for something striped."""
    models: tuple[ModelSpec, ...] = (NETWORK,)
    options: dict[str, Any] = field(default_factory=lambda: {"stitch": "crop", "tta": None})
    confidence: tuple[int, ...] = (*[0] * 10, *range(10))

    def write(self, folder: Path) -> Path:
        """Write mask, thumbnail and Item; return the Item's path."""
        folder.mkdir(exist_ok=True)
        mask, small = f"{self.name}_mask.tif", f"{self.name}_thumbnail.png"
        grid = self._write_mask(folder / mask)
        colours = self._striped() if self.numbers is None else self.numbers
        thumbnail(folder / small, Numbers(colours), PRESETS["dn"])
        path = folder / f"{self.name}.json"
        made = Made(
            name=self.name,
            facts=self.facts,
            grid=grid,
            mask=Path(mask),
            thumbnail=Path(small),
            models=self.models,
            options=self.options,
            shares=shares_of(self.codes),
            confidence=self.confidence,
            fingerprint="cd" * 32,
            seconds=1.25,
        )
        write_item(path, made)
        return path

    def _striped(self) -> NDArray[np.uint16]:
        height, width = self.codes.shape
        row = np.linspace(400, 9000, width).astype(np.uint16)
        numbers = np.broadcast_to(row, (3, height, width)).copy()
        numbers[:, self.codes == 255] = 0
        return numbers

    def _write_mask(self, path: Path) -> Grid:
        height, width = self.codes.shape
        transform = rasterio.Affine(10, 0, 600_000, 0, -10, 4_900_000)
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 1}
        place = {"crs": CRS.from_epsg(32631), "transform": transform}
        with rasterio.open(path, "w", **profile, **place, dtype="uint8", nodata=255) as dataset:
            dataset.write(self.codes, 1)
            return Grid.of(dataset)


@pytest.fixture
def sample() -> type[Sample]:
    return Sample


@pytest.fixture
def numbers() -> type[Numbers]:
    return Numbers


@pytest.fixture
def write_series() -> Callable[[Path, int], list[Path]]:
    """Give a function that writes scenes ten days apart, each cloudier than the one before."""

    def write(folder: Path, count: int) -> list[Path]:
        return [_nth(number, count).write(folder) for number in range(count)]

    return write


def _nth(number: int, count: int) -> Sample:
    codes = np.zeros((40, 40), np.uint8)
    codes[:, 40 - 40 * number // count :] = 1
    facts = Facts(when=START + timedelta(days=10 * number), platform="sentinel-2b", level="L2A")
    # Names run against time, so that sorting by either differs.
    return Sample(name=f"scene-{count - number:03d}", facts=facts, codes=codes)
