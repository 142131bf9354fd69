"""The process `mask` as GeoTrellis does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from numpy.typing import NDArray


def masked(
    data: xr.DataArray, mask: xr.DataArray, replacement: float | None = None
) -> xr.DataArray:
    """Replace pixels where the mask is not 0. NaN is not 0: where the mask is no data, it masks.

    Args:
        data: (t, bands, y, x), t and bands may be absent.
        mask: the same y and x; band i masks band i if there are as many, else band 0 masks all.
            Dates that it lacks stay as they are.
        replacement: the new value; None is no data.
    """
    hits = _align(mask, data).values != 0
    new = np.nan if replacement is None else replacement
    return data.copy(data=np.where(hits & _valid(data), new, data.values).astype(np.float32))


def _valid(data: xr.DataArray) -> NDArray[np.bool_]:
    return ~np.isnan(data.values)


def _align(mask: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    if "bands" in mask.dims and mask.sizes["bands"] != data.sizes.get("bands"):
        mask = mask.isel(bands=0)
    if "t" in mask.dims and "t" in data.dims:
        mask = mask.reindex(t=data["t"], fill_value=0)
    return mask.broadcast_like(xr.zeros_like(data)).transpose(*data.dims)
