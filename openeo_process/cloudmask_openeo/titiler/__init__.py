"""The plugin for titiler-openeo: openEO's processes on its RasterStack.

A back-end operator registers it before importing the application, which reads the registry then::

    from cloudmask_openeo.titiler import register
    from titiler.openeo.processes import PROCESS_SPECIFICATIONS, process_registry

    register(process_registry, PROCESS_SPECIFICATIONS)

    from titiler.openeo.main import app
"""

from cloudmask_openeo.titiler.registration import register

__all__ = ["register"]
