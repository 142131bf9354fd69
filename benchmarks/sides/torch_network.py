"""Networks alone, run by torch on one tile: `python -m benchmarks.sides.torch_network JSON`.

In the environment of torch. JSON: `networks` (architecture -> weights), `edge`.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import author

from benchmarks.sides import authors
from benchmarks.sides.serving import Side, serve


def load(order: dict[str, Any]) -> Side:
    """Make the networks."""
    models = [authors.network(name, weights) for name, weights in order["networks"].items()]
    bands = int(next(iter(order["networks"])).split("-")[-1])
    tile = author.draw(bands, f"1x{order['edge']}x{order['edge']}")
    return Side(partial(_run, models, tile), {"threads": authors.threads()})


def _run(models: list[Any], tile: Any) -> None:
    with authors.no_grad():
        for model in models:
            model(tile).softmax(1)


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
