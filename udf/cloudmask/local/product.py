"""What every reader gives: a scene that can be opened, and what it is once it is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.windows import Span


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels of a scene lie."""

    height: int
    """Rows."""
    width: int
    """Columns."""
    crs: Any = None
    """Coordinate reference system (rasterio's CRS); None if the scene has none."""
    transform: Any = None
    """Affine from (column, row) to the CRS; None if the scene has none."""

    @classmethod
    def of(cls, dataset: Any) -> Grid:
        """Take the grid of an open rasterio dataset."""
        return cls(dataset.height, dataset.width, dataset.crs, dataset.transform)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        return self.height, self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a scene besides its numbers; empty where it is not known."""

    when: datetime | None = None
    """When it was sensed, with its time zone."""
    platform: str = ""
    """As STAC names it: "sentinel-2a"."""
    level: Literal["L1C", "L2A", ""] = ""
    baseline: str = ""
    """Processing baseline, "04.00"."""
    product: str = ""
    """The provider's own identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a network wants of a scene."""

    bands: tuple[str, ...]
    """Sentinel-2 names, in the network's order."""
    pixel_size: float = 10.0
    """Metres; a reader that can choose a grid takes the finest of the bands."""
    preset: str | Preset | None = None
    """What the numbers mean; None for what the scene itself says, "dn" where it says nothing."""
    names: tuple[str, ...] | None = None
    """Names of the scene's bands in their order; None to read them off the scene."""


class RowRaster(Protocol):
    """Bands of a scene, in rows (a `cloudmask.source.RowSource`), with looks at all of it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""

    @property
    def itemsize(self) -> int:
        """Bytes of a number as `read` gives it."""

    def read(self, rows: Span) -> NDArray[np.generic]:
        """Read (band, rows, x), numbers as stored."""

    def sample(self) -> NDArray[np.generic]:
        """Read some pixels from all over: (band, n)."""

    def thumbnail(self, longest: int) -> NDArray[np.generic]:
        """Read everything, made small: (band, y, x) with about `longest` pixels an edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An open scene."""

    raster: RowRaster
    """The wanted bands, in the order wanted."""
    colours: RowRaster
    """Red, green and blue for pictures if it has them, else one band."""
    grid: Grid
    preset: Preset
    """What the numbers mean, the scene's own no-data value included."""
    facts: Facts


class Scene(Protocol):
    """Something that can be masked; cheap to have, as nothing is open yet."""

    @property
    def name(self) -> str:
        """How its files are named: no path, no suffix."""

    @property
    def place(self) -> str:
        """Path or address, for messages."""

    def identity(self) -> str:
        """Tell this input from any other, and from itself once it was changed.

        Names, sizes and times of its files, or what a catalogue says; no pixels are read.
        """

    def sources(self) -> Sequence[Path]:
        """Give its files on this machine, as far as they are known: none may be written over."""

    def opened(self, wanted: Wanted) -> AbstractContextManager[Product]:
        """Open it.

        Raises:
            BandError: A band is missing.
            CubeError: It cannot be read, or is no such product; says which scene and why.
        """
