"""Tiny files of the layouts that datasets are distributed in."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MSI = (
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
)  # fmt: skip


def numbers(edge: int = 8, bands: int = 13) -> NDArray[np.uint16]:
    """(band, y, x): 1000 x the band's place, + 10 x row + column."""
    rows, columns = np.mgrid[:edge, :edge]
    return np.stack([1000 * (place + 1) + 10 * rows + columns for place in range(bands)]).astype(
        np.uint16
    )


def write_tiff(path: Path, array: NDArray[Any], names: Sequence[str] = (), **options: Any) -> Path:
    """Write (band, y, x) or (y, x); `scales` and `offsets` are set if given."""
    array = array if array.ndim == 3 else array[None]
    scales, offsets = options.pop("scales", None), options.pop("offsets", None)
    profile = {
        "driver": "GTiff", "count": len(array), "height": array.shape[1], "width": array.shape[2],
        "dtype": array.dtype, "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **{**profile, **options}) as dataset:
        dataset.write(array)
        for place, name in enumerate(names, 1):
            dataset.set_band_description(place, name)
        if scales:
            dataset.scales, dataset.offsets = scales, offsets
    return path


def tiff_bytes(array: NDArray[Any]) -> bytes:
    with rasterio.MemoryFile() as memory:
        array = array if array.ndim == 3 else array[None]
        profile = {
            "driver": "GTiff", "count": len(array), "height": array.shape[1],
            "width": array.shape[2], "dtype": array.dtype,
        }  # fmt: skip
        with memory.open(
            **profile, crs="EPSG:32633", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
        ) as dataset:
            dataset.write(array)
        return memory.read()


def tortilla(items: Sequence[tuple[dict[str, Any], bytes]], magic: bytes = b"#y") -> bytes:
    """Pack items as the TACO specification says: header, items, Parquet table."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    body, rows = bytearray(18), []
    for facts, payload in items:
        rows.append({**facts, "tortilla:offset": len(body), "tortilla:length": len(payload)})
        body += payload
    table = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    body[:18] = struct.pack("<2sQQ", magic, len(body), len(table.getvalue()))
    return bytes(body) + table.getvalue()


class Files:
    """Writers of tiny files."""

    bands = MSI
    numbers = staticmethod(numbers)
    tiff = staticmethod(write_tiff)
    tiff_bytes = staticmethod(tiff_bytes)
    tortilla = staticmethod(tortilla)


@pytest.fixture(scope="session")
def files() -> type[Files]:
    """Give the writers."""
    return Files


@pytest.fixture
def spoil() -> Callable[[Path], Path]:
    """Give what makes a file unreadable: its name stays, its bytes are none of its kind."""

    def spoiled(path: Path) -> Path:
        path.write_bytes(b"this is no such file")
        return path

    return spoiled
