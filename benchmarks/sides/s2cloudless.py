"""s2cloudless masks an array: `python -m benchmarks.sides.s2cloudless JSON`.

In an environment of its own. JSON: `scene` (.npz with `numbers` (13, y, x)).
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import numpy as np
from s2cloudless import S2PixelCloudDetector  # type: ignore[import-not-found]

from benchmarks.sides.serving import Side, serve


def load(order: dict[str, Any]) -> Side:
    """Open the detector with the settings of its documentation's example."""
    detector = S2PixelCloudDetector(threshold=0.4, average_over=4, dilation_size=2, all_bands=True)
    with np.load(order["scene"]) as file:
        return Side(partial(_clouds, detector, file["numbers"]))


def _clouds(detector: Any, numbers: Any) -> Any:
    reflectance = np.moveaxis(numbers, 0, -1)[None] * np.float32(1e-4)
    return detector.get_cloud_masks(reflectance)[0]


if __name__ == "__main__":
    serve(partial(load, json.loads(sys.argv[1])))
