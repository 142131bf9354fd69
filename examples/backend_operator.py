"""For back-end operators: three processes more, by one line.

The back-end reads graphs with openeo-pg-parser-networkx and computes with xarray, as those on
openeo-processes-dask and its siblings do. (`cloudmask_openeo.titiler` is for titiler-openeo.)
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from openeo_pg_parser_networkx import OpenEOProcessGraph, ProcessRegistry
from openeo_pg_parser_networkx.process_registry import Process

from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_openeo import register

if TYPE_CHECKING:
    from collections.abc import Callable


def process(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for the back-end's decorator of processes, which resolves parameters."""

    @wraps(function)
    def call(*_: Any, **arguments: Any) -> Any:
        arguments.pop("named_parameters", None)
        return function(**arguments)

    return call


registry = ProcessRegistry(wrap_funcs=[process])  # the back-end's own
register(registry)  # the one line
for name in ("apply_neighborhood", "cloud_detection", "run_udf"):
    print(f"{name:20} {registry[name].spec['summary']}")


def load_collection(**_: object) -> xr.DataArray:
    """Stand for the back-end's own."""
    scene = simulate(SceneSettings(shape=(256, 256), seed=4))
    cube = xr.DataArray(
        scene.reflectance_dn.astype(np.float32),
        dims=("bands", "y", "x"),
        coords={"bands": list(scene.bands)},
    )
    return cube.where(cube > 0).chunk(y=128, x=128)


registry["load_collection"] = Process(spec={}, implementation=load_collection)
graph = {
    "load": {"process_id": "load_collection", "arguments": {"id": "S2"}},
    "clouds": {
        "process_id": "cloud_detection",
        "arguments": {"data": {"from_node": "load"}, "options": {"preset": "cdse"}},
        "result": True,
    },
}
clouds = OpenEOProcessGraph(graph).to_callable(registry)()
print("lazy:", clouds.chunks is not None, "bands:", list(clouds.bands.values))
print("mean cloud probability:", round(float(clouds.sel(bands="cloud").mean()), 2))
