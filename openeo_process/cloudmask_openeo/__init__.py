"""The openEO side of openeo-cloudmask: graphs for users, processes for back-ends."""
