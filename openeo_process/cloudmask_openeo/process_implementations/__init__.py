"""openEO processes for back-ends that read graphs with openeo-pg-parser-networkx.

The layout is that of openeo-processes-dask and its siblings: every function of this package is the
process of its name, and `cloudmask_openeo.specs` has its description under the same name.
"""

from cloudmask_openeo.process_implementations.processes import (
    apply_neighborhood,
    cloud_detection,
    run_udf,
)

__all__ = ["apply_neighborhood", "cloud_detection", "run_udf"]
