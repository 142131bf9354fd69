"""A UDF on one chunk: `python -m benchmarks.sides.udf JSON`.

JSON: `which` ("plain", as people write it today, or "ours"), `model` (path), `edge`.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.chunks import PLAIN_UDF
from benchmarks.sides.serving import Side, serve
from cloudmask.registry import find


def load(order: dict[str, Any]) -> Side:
    """Define the UDF, and make a chunk as a back-end gives it: float32, reflectance x 10000."""
    spec = find(order["model"]).spec
    bands = list(spec.bands)
    shape = (len(bands), order["edge"], order["edge"])
    numbers = np.random.default_rng(0).integers(300, 6000, shape).astype(np.float32)
    cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": bands})
    scope: dict[str, Any] = {"__name__": "builtins"}
    if order["which"] == "plain":
        exec(PLAIN_UDF, scope)  # noqa: S102 - as back-ends run UDFs
        context: dict[str, Any] = {"path": order["model"], "input": spec.input_name}
        context |= {"classes": spec.classes}
        # The network standardises by itself.
        context |= {"mean": [0.0] * len(bands), "std": [1.0] * len(bands)}
    else:
        from cloudmask_openeo import udf_code

        exec(udf_code(), scope)  # noqa: S102
        context = {"model": order["model"], "preset": "cdse"}
    return Side(partial(scope["apply_datacube"], cube, context))


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
