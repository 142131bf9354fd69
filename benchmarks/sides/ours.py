"""We mask an array, end to end: `python -m benchmarks.sides.ours JSON`.

JSON: `scene` (.npz with `numbers` (band, y, x) and `bands`), `models` (paths or names),
`provider`, `tile`, `overlap`.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.sides.serving import Side, serve
from cloudmask import Options, Runtime, mask_clouds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.model import Model


def load(order: dict[str, Any]) -> Side:
    """Read the scene, open the networks."""
    with np.load(order["scene"]) as file:
        bands = [str(name) for name in file["bands"]]
        cube = xr.DataArray(file["numbers"], dims=("bands", "y", "x"), coords={"bands": bands})
    options = Options(
        stitch="blend",
        tile=order.get("tile"),
        overlap=order.get("overlap"),
        runtime=Runtime(provider=order.get("provider", "cpu")),
    )
    opened = options.ensemble(order["models"]).models
    return Side(partial(_mask, cube, opened, options))


def _mask(cube: xr.DataArray, models: tuple[Model, ...], options: Options) -> NDArray[np.uint8]:
    found = mask_clouds(cube, models, preset="dn", options=options)
    return found.sel(bands="class").to_numpy()


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
