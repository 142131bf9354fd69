"""netCDF, one thread at a time.

The netCDF and HDF5 libraries are not thread-safe, and xarray locks neither what is opened nor what
is closed, nor a file's attributes: so whoever opens, reads, writes or closes one holds `NETCDF`.
"""

from __future__ import annotations

from threading import RLock

NETCDF = RLock()
"""Held while a netCDF or Zarr cube is opened, read, written or closed in a thread of ours."""
