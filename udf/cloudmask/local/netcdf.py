"""netCDF, one thread at a time.

The netCDF and HDF5 libraries are not thread-safe, and xarray locks neither what is opened nor what
is closed, nor a file's attributes: so whoever does so in a thread of ours holds `NETCDF`.
"""

from __future__ import annotations

from threading import RLock

NETCDF = RLock()
"""Held while a cube is opened, read or closed, and while a netCDF one is written."""
