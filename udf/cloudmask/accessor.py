"""The functions of this package as methods of a cube: `import cloudmask.accessor`.

    cube.cloudmask.mask("ukis-4b-l1c").cloudmask.clear_share()

Importing `cloudmask` alone registers nothing: masks are named "cloudmask", and in a Dataset that
holds one the accessor would hide it. So only DataArrays get it, and only if it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from cloudmask import uses
from cloudmask.cube import mask_clouds

if TYPE_CHECKING:
    from cloudmask.options import SomeModels


@xr.register_dataarray_accessor("cloudmask")
class CloudmaskAccessor:
    """What can be done with a cube, or with its mask."""

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    def mask(self, model: SomeModels | None = None, **how: Any) -> xr.DataArray:
        """Mask this cube; see `cloudmask.mask_clouds`."""
        return mask_clouds(self._array, model, **how)

    def cloud_free(self, mask: xr.DataArray, **how: Any) -> xr.DataArray:
        """Take clouds out of this cube; see `cloudmask.cloud_free`."""
        return uses.cloud_free(self._array, mask, **how)

    def composite(self, mask: xr.DataArray, **how: Any) -> xr.DataArray:
        """Take the median of what is usable of this cube; see `cloudmask.composite`."""
        return uses.composite(self._array, mask, **how)

    def only_clear(self, mask: xr.DataArray, least: float = 0.8, **how: Any) -> xr.DataArray:
        """Keep the clear dates of this cube; see `cloudmask.only_clear`."""
        return uses.only_clear(self._array, mask, least, **how)

    def clear_share(self, **how: Any) -> xr.DataArray:
        """Tell which share of this mask is usable; see `cloudmask.clear_share`."""
        return uses.clear_share(self._array, **how)

    def valid_share(self, **how: Any) -> xr.DataArray:
        """Tell which share of this mask exists; see `cloudmask.valid_share`."""
        return uses.valid_share(self._array, **how)
