"""A stand-in on xarray for the cubes of VITO's and CDSE's openEO back-end, behind `openeo_driver`.

It runs in that back-end's own environment. What it copies is the contract that a UDF meets there:
the shape of chunks, their borders, coordinates, labels, workers and errors.
"""
