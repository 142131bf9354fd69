"""Networks alone, run by us on one tile: `python -m benchmarks.sides.network JSON`.

JSON: `models` (paths), `provider`, `edge`, and `threads` if not those of the environment.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import numpy as np

from benchmarks.sides.serving import Side, serve
from cloudmask import Runtime, find_model


def load(order: dict[str, Any]) -> Side:
    """Open the networks."""
    runtime = Runtime(provider=order.get("provider", "cpu"), threads=order.get("threads"))
    models = [find_model(path).load(runtime) for path in order["models"]]
    shape = (1, len(models[0].spec.bands), order["edge"], order["edge"])
    tile = np.random.default_rng(0).random(shape, np.float32)
    flops = sum(model.spec.flops_per_pixel for model in models) * order["edge"] ** 2
    return Side(partial(_run, models, tile), {"flops": flops})


def _run(models: list[Any], tile: Any) -> None:
    for model in models:
        model(tile)


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
