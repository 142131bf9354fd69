"""The openEO side of openeo-cloudmask: graphs for users, processes for back-ends."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudmask_openeo.client import Chunks, LevelWarning, cloud_free, mask_clouds
    from cloudmask_openeo.jobs import job_options
    from cloudmask_openeo.local import local_connection
    from cloudmask_openeo.plugin import register
    from cloudmask_openeo.text import udf_code

__all__ = [
    "Chunks",
    "LevelWarning",
    "cloud_free",
    "job_options",
    "local_connection",
    "mask_clouds",
    "register",
    "udf_code",
]

_ROOMS = {
    "Chunks": "client",
    "LevelWarning": "client",
    "cloud_free": "client",
    "job_options": "jobs",
    "local_connection": "local",
    "mask_clouds": "client",
    "register": "plugin",
    "udf_code": "text",
}


def __getattr__(name: str) -> Any:
    """Import on first use: a back-end has no client, a client none of a back-end's libraries."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = import_module(f"{__name__}.{_ROOMS[name]}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("openeo"):
            raise ImportError(
                f"{error}: {name} needs more packages: pip install 'openeo-cloudmask[openeo]'",
                name=error.name,
            ) from error
        raise
    return getattr(room, name)
