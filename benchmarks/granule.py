"""A whole granule at 10 m through OmniCloudMask's package and through our command, by hand.

    python -m benchmarks.granule                  one 1 x 1 convolution on both sides: the memory
    python -m benchmarks.granule --networks v4    the two networks of version 4; theirs take hours
    python -m benchmarks.granule --networks v4 --alone --memory 1150MiB    ours only, capped

Seconds and peak memory of one fresh process each; theirs holds the scene in memory as its function
takes it, ours reads and writes files.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.contest import Entrant, started
from benchmarks.measure import run_python, save
from benchmarks.networks import OMNICLOUDMASK, Workshop
from benchmarks.pipelines import PEERS
from benchmarks.streaming import COMMAND, EDGE, write_granule, write_network
from cloudmask_export.families import family

PEER = PEERS["omnicloudmask"]
BARE, V4 = "one-convolution", "v4"


def run(
    edge: int = EDGE, networks: str = BARE, memory: str | None = None, *, alone: bool = False
) -> dict[str, Any]:
    """Measure both, one after the other: there is no memory for both at once everywhere."""
    with tempfile.TemporaryDirectory() as name:
        workshop = Workshop(Path(name))
        bands = family("omnicloudmask-v4").bands
        source = workshop.folder / "granule.tif"
        real = networks == V4
        write_granule(source, edge, bands)
        ours = _ours(source, workshop, memory, real=real)
        found = {"edge": edge, "networks": networks, "memory": memory, "ours": ours}
        return found if alone else {**found, PEER.name: _theirs(source, workshop, real=real)}


def _ours(source: Path, workshop: Workshop, memory: str | None, *, real: bool) -> dict[str, float]:
    bare = [] if real else [str(write_network(workshop.folder, family("omnicloudmask-v4").bands))]
    models = workshop.networks(OMNICLOUDMASK) if real else bare
    tiling = PEER.full.tiling
    words = f"mask {source.name} -o mask.tif --tile {tiling.tile} --overlap {tiling.overlap} -q"
    chosen = [word for model in models for word in ("-m", model)]
    chosen += ["--memory", memory] if memory else []
    child = run_python(COMMAND, workshop.folder, *words.split(), *chosen)
    return {"seconds": round(child.seconds, 1), "peak_mib": round(child.peak_mib)}


def _theirs(source: Path, workshop: Workshop, *, real: bool) -> dict[str, Any]:
    scene = workshop.folder / "granule.npz"
    with rasterio.open(source) as file:
        tiling = PEER.full.tiling
        np.savez(scene, numbers=file.read(), tile=tiling.tile, overlap=tiling.overlap)
    weights = {each: str(workshop.weights(each)) for each in OMNICLOUDMASK} if real else {}
    order = {"scene": str(scene), "networks": weights}
    entrant = Entrant(name=PEER.name, module=PEER.module, order=order, environment="torch")
    if entrant.obstacle:
        return {"not_measured": entrant.obstacle}
    with started(entrant) as side:
        return {"seconds": round(side.run(), 1), **side.peaks()}


def main() -> None:
    """Measure; a whole granule is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=EDGE)
    parser.add_argument("--networks", choices=(BARE, V4), default=BARE)
    parser.add_argument("--memory", help="what ours may take, 1150MiB for example")
    parser.add_argument("--alone", action="store_true", help="only ours")
    asked = parser.parse_args()
    found = run(asked.edge, asked.networks, asked.memory, alone=asked.alone)
    print(json.dumps(found, indent=2))
    if asked.edge == EDGE:
        save(f"granule_{asked.networks}", found)


if __name__ == "__main__":
    main()
