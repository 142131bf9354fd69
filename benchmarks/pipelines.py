"""Whole pipelines on one scene: CloudS2Mask's and OmniCloudMask's packages against us.

Same weights of random values, same tiles, same numbers; what is timed begins with the array and
ends with the classes. `python -m benchmarks.pipelines clouds2mask --edge 5490` measures a scene
of the size that one has at 20 m.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Peer:
    """A package with its own pipeline."""

    name: str
    module: str
    architectures: tuple[str, ...]
    tiling: Tiling
    edge: int
    """Of the scene, if none is asked for: two tiles along each axis."""
    ours: tuple[str, ...] = tuple(OURS)
    bands: tuple[str, ...] | None = None
    """None for all."""


PEERS: Mapping[str, Peer] = {
    "clouds2mask": Peer("CloudS2Mask", "clouds2mask", CLOUDS2MASK, Tiling(500, 128), 872),
    "omnicloudmask": Peer(
        "OmniCloudMask", "omnicloudmask", OMNICLOUDMASK, Tiling(1000, 300), 1700,
        ours=("onnxruntime fp32", "OpenVINO fp32", "OpenVINO int8"),
        bands=family("omnicloudmask-v4").bands,
    ),
}  # fmt: skip


def run(
    which: str, workshop: Workshop, times: int = 5, edge: int = 0, tiling: Tiling | None = None
) -> dict[str, Any]:
    """Measure a peer and us by turns.

    Args:
        which: One of `PEERS`.
        workshop: Makes the networks.
        times: How often each runs.
        edge: Of the scene in pixels; 0 for two tiles along each axis.
        tiling: Of both sides; default the peer's.
    """
    peer = PEERS[which]
    tiling, edge = tiling or peer.tiling, edge or peer.edge
    scene = write_scene(workshop.folder / f"{which}-{edge}.npz", edge, tiling, peer.bands)
    entrants = [_theirs(peer, workshop, scene)]
    for name in peer.ours:
        provider, precision = OURS[name]
        models = workshop.networks(peer.architectures, precision)
        order: dict[str, Any] = {"scene": str(scene), "models": models, "provider": provider}
        order |= {"tile": tiling.tile, "overlap": tiling.overlap}
        entrants.append(Entrant(name=name, module="ours", order=order))
    found = contest(entrants, times)
    return {
        "edge": edge,
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        "tiles": len(tops(edge, tiling)) ** 2,
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


def tops(edge: int, tiling: Tiling) -> list[int]:
    """Place tiles along an axis as both sides do: the last is pulled inside."""
    return [each.window.start for each in plan_axis(edge, tiling, "blend").placements]


def write_scene(
    path: Path, edge: int, tiling: Tiling, bands: tuple[str, ...] | None = None
) -> Path:
    """Write a simulated scene for all sides to read."""
    made = simulated(edge)
    chosen = bands or made.bands
    np.savez(
        path,
        numbers=made.reflectance_dn[[made.bands.index(band) for band in chosen]],
        bands=chosen,
        tiles=[(y, x) for y in tops(edge, tiling) for x in tops(edge, tiling)],
        tile=tiling.tile,
        overlap=tiling.overlap,
    )
    return path


def simulated(edge: int) -> Scene:
    """Simulate a scene of thirteen bands without no data, which the peers treat otherwise."""
    return simulate(SceneSettings(shape=(edge, edge), seed=3, no_data_edge=False))


def main() -> None:
    """Measure one, at any size; results of the usual size are `benchmarks.run`'s to keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=PEERS)
    parser.add_argument("--edge", type=int, default=0)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(asked.which, Workshop(Path(folder)), asked.times, asked.edge)
    print(json.dumps(found, indent=2))
    if asked.edge:
        save(f"{asked.which}_{asked.edge}", found)


if __name__ == "__main__":
    main()
