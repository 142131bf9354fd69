"""Rasters of class codes, written by the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("rich")
pytest.importorskip("typer")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NORTH_UP = (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_000_000.0)
"""Ten metres, UTM."""


@pytest.fixture
def raster(tmp_path: Path) -> Callable[..., Path]:
    """Give the function that writes a raster: (name, codes (y, x) or (band, y, x), ...) -> path.

    Keywords: crs (default EPSG:32631, None for none), transform (six numbers), nodata, mask
    ((y, x), True = valid, kept inside the file), descriptions, tags, colorinterp.
    """

    def write(name: str, codes: Any, **kwargs: Any) -> Path:
        bands = np.atleast_3d(np.asarray(codes))
        bands = bands[None, :, :, 0] if np.ndim(codes) == 2 else np.asarray(codes)
        path = tmp_path / name
        transform = kwargs.get("transform", NORTH_UP)
        profile = {
            "driver": "GTiff",
            "count": bands.shape[0],
            "height": bands.shape[1],
            "width": bands.shape[2],
            "dtype": bands.dtype,
            "crs": kwargs.get("crs", "EPSG:32631"),
            "nodata": kwargs.get("nodata"),
            "transform": None if transform is None else rasterio.Affine(*transform),
        }
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **profile) as file,
        ):
            if "colorinterp" in kwargs:
                file.colorinterp = kwargs["colorinterp"]
            file.write(bands)
            if "mask" in kwargs:
                file.write_mask(np.asarray(kwargs["mask"]))
            file.update_tags(**kwargs.get("tags", {}))
            if "descriptions" in kwargs:
                file.descriptions = kwargs["descriptions"]
        return path

    return write
