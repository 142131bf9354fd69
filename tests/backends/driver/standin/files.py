"""One thread at a time for netCDF files: the library beneath has no locks of its own."""

from __future__ import annotations

from threading import Lock

NETCDF = Lock()
"""Held while a netCDF file is open; without it jobs that start at once end the server."""
