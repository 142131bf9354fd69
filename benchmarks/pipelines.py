"""Whole pipelines on one scene: CloudS2Mask's and OmniCloudMask's packages against us.

Same weights of random values, same tiles, same numbers; what is timed begins with the array and
ends with the classes. Scenes have two tiles along each axis (CloudS2Mask's joiner wants a square).
`make bench` cuts tiles of 352 px, on both sides, as an engine's speed hardly depends on their
size; `python -m benchmarks.pipelines omnicloudmask --full` the package's own, of 1000 px, and
`clouds2mask --edge 5490` a scene of the size that one has at 20 m.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contest import Entrant, contest
from benchmarks.measure import save
from benchmarks.networks import CLOUDS2MASK, OMNICLOUDMASK, Workshop
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.windows import Tiling, plan_axis
from cloudmask_export.families import family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask.local.simulator import Scene

OURS = {
    "onnxruntime fp32": ("cpu", "fp32"),
    "onnxruntime int8": ("cpu", "int8"),
    "OpenVINO fp32": ("openvino", "fp32"),
    "OpenVINO bf16": ("openvino-bf16", "fp32"),
    "OpenVINO int8": ("openvino", "int8"),
}
"""Name in the tables -> provider and precision of the file."""
REFERENCE = "onnxruntime fp32"
FULL = {"full": True}


@dataclass(frozen=True, slots=True)
class Size:
    """Of a scene, and how it is cut."""

    edge: int
    tiling: Tiling

    @property
    def tops(self) -> list[tuple[int, int]]:
        """Place tiles (top, left) as both sides do: the last of an axis is pulled inside."""
        placements = plan_axis(self.edge, self.tiling, "blend").placements
        starts = [each.window.start for each in placements]
        return list(product(starts, starts))


@dataclass(frozen=True, slots=True)
class Peer:
    """A package with its own pipeline."""

    name: str
    module: str
    architectures: tuple[str, ...]
    size: Size
    """Of the scene, if none is asked for."""
    full: Size
    """The same with `--full`: the package's own tiles."""
    ours: tuple[str, ...] = tuple(OURS)
    bands: tuple[str, ...] | None = None
    """None for all."""


PEERS: Mapping[str, Peer] = {
    "clouds2mask": Peer(
        "CloudS2Mask", "clouds2mask", CLOUDS2MASK,
        size=Size(616, Tiling(352, 88)), full=Size(872, Tiling(500, 128)),
    ),
    "omnicloudmask": Peer(
        "OmniCloudMask", "omnicloudmask", OMNICLOUDMASK,
        size=Size(600, Tiling(352, 104)), full=Size(1700, Tiling(1000, 300)),
        ours=("onnxruntime fp32", "OpenVINO fp32", "OpenVINO int8"),
        bands=family("omnicloudmask-v4").bands,
    ),
}  # fmt: skip


def run(
    which: str, workshop: Workshop, times: int = 5, size: Size | None = None, *, full: bool = False
) -> dict[str, Any]:
    """Measure a peer and us by turns.

    Args:
        which: One of `PEERS`.
        workshop: Makes the networks.
        times: How often each runs.
        size: Of the scene; default the peer's.
        full: Whether that is its `full` one.
    """
    peer = PEERS[which]
    size = size or (peer.full if full else peer.size)
    tiling, path = size.tiling, workshop.folder / f"{which}-{size.edge}.npz"
    scene = write_scene(path, size, peer.bands)
    entrants = [_theirs(peer, workshop, scene)]
    for name in peer.ours:
        provider, precision = OURS[name]
        models = workshop.networks(peer.architectures, precision)
        order: dict[str, Any] = {"scene": str(scene), "models": models, "provider": provider}
        order |= {"tile": tiling.tile, "overlap": tiling.overlap}
        entrants.append(Entrant(name=name, module="ours", order=order))
    found = contest(entrants, times)
    return {
        "edge": size.edge,
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        "tiles": len(size.tops),
        "seconds": found.seconds,
        "times_as_fast": found.faster(peer.name),
        "same_class_percent": found.agreement(REFERENCE),
        "peak_mib": found.peak_mib,
        "not_measured": found.obstacles,
    }


def _theirs(peer: Peer, workshop: Workshop, scene: Path) -> Entrant:
    weights = {each: str(workshop.weights(each)) for each in peer.architectures}
    first = peer.architectures[0]
    order = {"scene": str(scene), "networks": weights}
    order |= {"architecture": first, "weights": weights[first]}
    return Entrant(name=peer.name, module=peer.module, order=order, environment="torch")


def write_scene(path: Path, size: Size, bands: tuple[str, ...] | None = None) -> Path:
    """Write a simulated scene for all sides to read."""
    made = simulated(size.edge)
    chosen = bands or made.bands
    np.savez(
        path,
        numbers=made.reflectance_dn[[made.bands.index(band) for band in chosen]],
        bands=chosen,
        tiles=size.tops,
        tile=size.tiling.tile,
        overlap=size.tiling.overlap,
    )
    return path


def simulated(edge: int) -> Scene:
    """Simulate a scene of thirteen bands without no data, which the peers treat otherwise."""
    return simulate(SceneSettings(shape=(edge, edge), seed=3, no_data_edge=False))


def main() -> None:
    """Measure one, at any size; results of the usual size are `benchmarks.run`'s to keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=PEERS)
    parser.add_argument("--edge", type=int, default=0, help="pixels of the scene; own tiles")
    parser.add_argument("--full", action="store_true", help="the package's own tiles")
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    own = PEERS[asked.which].full.tiling
    size = Size(asked.edge, own) if asked.edge else None
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        found = run(asked.which, workshop, asked.times, size, full=asked.full)
    print(json.dumps(found, indent=2))
    if asked.edge:
        save(f"{asked.which}_{asked.edge}", found)


if __name__ == "__main__":
    main()
