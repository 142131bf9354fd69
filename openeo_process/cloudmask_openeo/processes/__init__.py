"""Processes for catalogues: JSON made by `cloudmask_openeo.processes.generate`."""
