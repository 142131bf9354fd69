"""OmniCloudMask's package predicts: `python -m benchmarks.sides.omnicloudmask JSON`.

In the environment of torch. JSON: `scene` (.npz with `numbers` (3, y, x), `tile`, `overlap`),
`networks` (architecture -> weights; none for one 1 x 1 convolution).
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import partial
from typing import Any

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
from omnicloudmask import predict_from_array

from benchmarks.sides import authors
from benchmarks.sides.serving import Side, serve


def load(order: dict[str, Any]) -> Side:
    """Make the networks; the rest is the package's own defaults, on the CPU."""
    models = [authors.network(name, weights) for name, weights in order["networks"].items()]
    models = models or [authors.one_convolution()]
    with np.load(order["scene"]) as file:
        how = {
            "patch_size": int(file["tile"]),
            "patch_overlap": int(file["overlap"]),
            "custom_models": models,
            "inference_device": "cpu",
        }
        return Side(partial(_classes, file["numbers"], how), {"threads": authors.threads()})


def _classes(numbers: Any, how: dict[str, Any]) -> Any:
    with warnings.catch_warnings(), authors.no_grad():
        warnings.simplefilter("ignore")
        return predict_from_array(numbers, **how)[0]


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
