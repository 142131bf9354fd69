"""How near to the machine's limit does a network run?

Operations of each network are counted from its graph; the greatest rate at which the machine
multiplies is measured in the same run, by turns with the networks, in fp32 and in 8 bits.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.alone import alone
from benchmarks.contest import Entrant, Found, contest
from benchmarks.networks import CLOUDS2MASK, OMNICLOUDMASK, Workshop
from cloudmask import find_model

if TYPE_CHECKING:
    from collections.abc import Mapping

EDGE = 320
"""Of the tile, in pixels; a network's speed hardly depends on it."""
FULL = {"edge": 500}
NETWORKS = {"CloudS2Mask": CLOUDS2MASK, "OmniCloudMask V4": OMNICLOUDMASK}
ENGINES = {
    "onnxruntime fp32": ("cpu", "fp32", None, "fp32 product"),
    "onnxruntime fp32, one thread": ("cpu", "fp32", 1, "fp32 product, one thread"),
    "OpenVINO fp32": ("openvino", "fp32", None, "fp32 product"),
    "onnxruntime int8": ("cpu", "int8", None, "int8 onnxruntime"),
    "OpenVINO int8": ("openvino", "int8", None, "int8 OpenVINO"),
}
"""Name -> provider, precision of the file, threads, and the limit that it is held against."""
TORCH = "torch, as its authors run it"
PEAKS = {
    "fp32 product": ("fp32 product", None),
    "fp32 product, one thread": ("fp32 product", 1),
    "fp32 convolution": ("fp32 convolution", None),
    "int8 onnxruntime": ("int8 onnxruntime", None),
    "int8 OpenVINO": ("int8 OpenVINO", None),
}
"""Name -> kind (`benchmarks.sides.peak`) and threads."""


def run(
    workshop: Workshop,
    times: int = 5,
    edge: int = EDGE,
    networks: Mapping[str, tuple[str, ...]] = NETWORKS,
) -> dict[str, Any]:
    """Measure every network with every engine, and the limits, all in the same rounds."""
    sides = [
        side
        for name, architectures in networks.items()
        for side in _networks(name, architectures, workshop, edge)
    ]
    found = contest([*sides, *_peaks()], times, answers=False)
    return {
        "edge": edge,
        "networks": {
            name: _network(_of(name, found), workshop.networks(architectures), edge)
            for name, architectures in networks.items()
        },
    }


def _of(network: str, found: Found) -> Found:
    """Pick a network's sides, called by their engines, and the limits."""

    def picked(each: Mapping[str, Any]) -> dict[str, Any]:
        own = {who.removeprefix(f"{network}: "): value for who, value in each.items()}
        return {who: value for who, value in own.items() if who in (TORCH, *ENGINES, *PEAKS)}

    return Found(
        seconds=picked(found.seconds),
        peaks=picked(found.peaks),
        facts=picked(found.facts),
        obstacles=picked(found.obstacles),
    )


def _network(found: Found, models: list[str], edge: int) -> dict[str, Any]:
    per_pixel = sum(find_model(path).load().spec.flops_per_pixel for path in models)
    return {
        "gflop_per_megapixel": round(per_pixel / 1e3, 1),
        "seconds": found.seconds,
        "gflops": _rates(found, per_pixel * edge**2),
        "fraction": _fractions(found, per_pixel * edge**2),
        "peak_mib": found.peak_mib,
        "not_measured": found.obstacles,
    }


def _networks(
    network: str, architectures: tuple[str, ...], workshop: Workshop, edge: int
) -> list[Entrant]:
    title = f"{network}: {{}}".format
    networks = {each: str(workshop.weights(each)) for each in architectures}
    order: dict[str, Any] = {"networks": networks, "edge": edge}
    entrants = [
        Entrant(name=title(TORCH), module="torch_network", order=order, environment="torch"),
    ]
    for name, (provider, precision, threads, _) in ENGINES.items():
        models = workshop.networks(architectures, precision)
        order = {"models": models, "provider": provider, "edge": edge, "threads": threads}
        entrants.append(Entrant(name=title(name), module="network", order=order, threads=threads))
    return entrants


def _peaks() -> list[Entrant]:
    """Make the sides that measure the limits; OpenVINO's only where it is."""
    return [
        Entrant(
            name=name,
            module="peak",
            order={"kind": kind, "provider": "openvino" if "OpenVINO" in kind else "cpu"},
            threads=threads,
            measures=True,
        )
        for name, (kind, threads) in PEAKS.items()
    ]


def _rates(found: Found, flops: float) -> dict[str, dict[str, float]]:
    """Give GFLOP/s (for 8 bits the same count of integer operations): median, least, greatest."""
    return {
        name: _spread([found.facts[name].get("flops", flops) / each / 1e9 for each in seconds])
        for name, seconds in found.seconds.items()
    }


def _fractions(found: Found, flops: float) -> dict[str, dict[str, float]]:
    """Give per cent of the limit of the same round; nothing without a count of operations."""
    against = {TORCH: "fp32 product"} | {name: each[3] for name, each in ENGINES.items()}
    result = {}
    for name, limit in against.items():
        if flops and name in found.seconds and limit in found.seconds:
            peak = found.facts[limit]["flops"]
            pairs = zip(found.seconds[name], found.seconds[limit], strict=True)
            result[name] = _spread([100 * (flops / own) / (peak / best) for own, best in pairs])
    return result


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "least": round(min(values), 1),
        "greatest": round(max(values), 1),
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="workshop")
