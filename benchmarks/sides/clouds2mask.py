"""CloudS2Mask's package infers and joins: `python -m benchmarks.sides.clouds2mask JSON`.

In the environment of torch. JSON: `scene` (.npz with `numbers` (13, y, x), `tiles` (n, 2),
`tile`, `overlap`), `architecture`, `weights`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import peer_clouds2mask as lab

from benchmarks.sides import authors
from benchmarks.sides.serving import Side, serve


def load(order: dict[str, Any], folder: Path) -> Side:
    """Make the settings and the network; tiles are cut beforehand, which costs us nothing."""
    with np.load(order["scene"]) as file:
        scene = {name: file[name] for name in ("numbers", "tiles", "tile", "overlap")}
    how = lab.settings(SimpleNamespace(depth=0, weights=()), scene, folder)
    how.models = [authors.network(order["architecture"], order["weights"])]
    return Side(partial(_classes, scene, how), {"threads": authors.threads()})


def _classes(scene: dict[str, Any], how: Any) -> Any:
    with warnings.catch_warnings(), authors.no_grad():
        warnings.simplefilter("ignore")
        return lab.joined(scene, how)[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        serve(partial(load, json.loads(sys.argv[1]), Path(name)))
