"""What do other engines gain, and do they say the same? (docs/engines.md).

The same files, the same tile, every provider that runs on this machine: networks of the published
architectures with random values, and a trained one of ukis-csmask. Run alone, it writes the table
of docs/engines.md. No part of `make bench`, where `benchmarks.limit` and `benchmarks.pipelines`
time the same engines: `--only engines` or `--full` runs it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.documents import fill_in
from benchmarks.measure import interleaved, ratio, run_python, save
from benchmarks.networks import CLOUDS2MASK, OMNICLOUDMASK, Workshop
from cloudmask.bands import positions
from cloudmask.engines import providers_here
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.registry import find
from cloudmask.runtime import Runtime
from cloudmask_export.golden import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudmask.model import OnnxModel

DOCUMENT = Path(__file__).parents[1] / "docs" / "engines.md"
EDGE = 500
"""Pixels of a tile, where the network takes any."""
MEGA = 1e6
UKIS = "ukis-4b-l1c"
NETWORKS = {"CloudS2Mask 20 m": CLOUDS2MASK, "OmniCloudMask V4, both": OMNICLOUDMASK, UKIS: ()}
"""Architectures to make; none for one that is installed."""
PRECISIONS = ("fp32", "int8")
FIRST = ("cpu", "fp32")
"""What all are compared with."""

_PEAK = """
import sys
import numpy as np
from cloudmask.registry import find
from cloudmask.runtime import Runtime
provider, edge, *names = sys.argv[1:]
models = [find(name).load(Runtime(provider=provider)) for name in names]
for model in models * 2:
    model(np.zeros((1, len(model.spec.bands), int(edge), int(edge)), np.float32))
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """Networks opened with one provider, and a tile for them."""

    models: tuple[OnnxModel, ...]
    tile: NDArray[np.float32]
    """(1, band, y, x) reflectance."""

    def classes(self) -> NDArray[np.int64]:
        """Ask all; (1, y, x) the most probable class of their mean."""
        answers = [model(self.tile) for model in self.models]
        return np.mean(answers, axis=0).argmax(axis=1)

    def seconds(self) -> float:
        """Time a run of all."""
        start = time.perf_counter()
        self.classes()
        return time.perf_counter() - start


def run(
    workshop: Workshop,
    times: int = 5,
    edge: int = EDGE,
    which: tuple[str, ...] = tuple(NETWORKS),
) -> dict[str, Any]:
    """Measure some of `NETWORKS`.

    Args:
        workshop: Makes the networks.
        times: How often each is timed.
        edge: Of the tile, pixels; networks of a fixed tile keep theirs.
        which: Names in `NETWORKS`.
    """
    return {"networks": {name: _compared(workshop, name, times, edge) for name in which}}


def _compared(workshop: Workshop, name: str, times: int, edge: int) -> dict[str, Any]:
    files = _files(workshop, name)
    spec = find(files["fp32"][0]).spec
    edge = spec.tile if spec.fixed_tile else edge
    tile = _tile(files["fp32"][0], edge)
    ways = {(who, how): paths for who in providers_here() for how, paths in files.items()}
    made, answers, starts = {}, {}, {}
    for way, paths in ways.items():
        start = time.perf_counter()
        made[way] = _opened(paths, way[0], tile)
        answers[way] = made[way].classes()
        starts[way] = round(time.perf_counter() - start, 1)
    found = interleaved(_named(made), times)
    first = found[" ".join(FIRST)]
    return {
        "edge": edge,
        "seconds_per_megapixel": round(statistics.median(first) * MEGA / edge**2, 2),
        "ways": [
            {
                "provider": way[0],
                "precision": way[1],
                "times_as_fast": ratio(first, found[" ".join(way)]),
                "first_seconds": starts[way],
                "agreement": float(np.mean(answers[way] == answers[FIRST])),
                "peak_mib": round(run_python(_PEAK, way[0], str(edge), *paths).peak_mib),
            }
            for way, paths in ways.items()
        ],
    }


def _files(workshop: Workshop, name: str) -> dict[str, list[str]]:
    """Give paths or names of the networks, by precision."""
    architectures = NETWORKS[name]
    if not architectures:
        return {"fp32": [name]}
    return {each: workshop.networks(architectures, each) for each in PRECISIONS}


def _tile(name: str, edge: int) -> NDArray[np.float32]:
    spec = find(name).spec
    scene = simulate(
        SceneSettings(shape=(edge, edge), seed=11, pixel_size=spec.pixel_size, no_data_edge=False)
    )
    numbers = scene.reflectance_dn[positions(scene.bands, spec.bands)]
    return (numbers[None] / 10000).astype(np.float32)


def _opened(names: list[str], provider: str, tile: NDArray[np.float32]) -> Opened:
    runtime, models = Runtime(provider=provider), []
    for name in names:
        entry = find(name)
        assert entry.path is not None, "it has been made, or is installed"
        models.append(opened(entry.path.read_bytes(), entry.spec, entry.path, runtime))
    return Opened(tuple(models), tile)


def _named(made: Mapping[tuple[str, str], Opened]) -> dict[str, Callable[[], float]]:
    return {" ".join(way): each.seconds for way, each in made.items()}


def table(result: Mapping[str, Any]) -> str:
    """Write what `run` found as Markdown."""
    rows = [
        [
            "network", "provider", "precision", "times as fast", "same class, %", "peak, MiB",
            "first answer, s",
        ],
        ["---"] * 7,
    ]  # fmt: skip
    for name, found in result["networks"].items():
        rows += [[name, *_row(way)] for way in found["ways"]]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    speeds = "; ".join(
        f"{name} {found['seconds_per_megapixel']} s ({found['edge']} px tiles)"
        for name, found in result["networks"].items()
    )
    return f"{lines}\n\nA megapixel takes `cpu` in fp32: {speeds}."


def _row(way: Mapping[str, Any]) -> list[str]:
    speed = way["times_as_fast"]
    return [
        f"`{way['provider']}`",
        way["precision"],
        f"{speed['median']:.2f} ({speed['least']:.2f} to {speed['greatest']:.2f})",
        f"{100 * way['agreement']:.3f}",
        f"{way['peak_mib']:.0f}",
        f"{way['first_seconds']:.1f}",
    ]


def main() -> None:
    """Measure, keep the result, write the document's table."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(Workshop(Path(folder)))
    save("engines", result)
    fill_in(DOCUMENT, "engines", table(result))


if __name__ == "__main__":
    main()
