"""Run the benchmarks, keep their results, write the tables.

`python -m benchmarks.run` measures all; `--only NAME` one, the tables being written from it and
from what is kept of the others; `--smoke` runs everything small, to see that it still runs, and
keeps nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import memory, shift, tables
from benchmarks.measure import kept, save
from benchmarks.networks import OMNICLOUDMASK, Workshop
from cloudmask.windows import Tiling

Some = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One result."""

    title: str
    module: str = ""
    """Of this package; default the result's name."""
    wants: str = ""
    """"folder" or "workshop", if it wants either."""
    options: Some = field(default_factory=dict)
    """What `run` is told in any case."""
    small: Some = field(default_factory=dict)
    """What it is told besides in a smoke run."""

    def run(self, name: str, workshop: Workshop, *, smoke: bool) -> dict[str, Any]:
        """Measure."""
        measure = import_module(f"benchmarks.{self.module or name}").run
        given = {"workshop": workshop, "folder": workshop.folder}
        wanted = {self.wants: given[self.wants]} if self.wants else {}
        found: dict[str, Any] = measure(**wanted, **self.options, **(self.small if smoke else {}))
        return found


_SMALL_PIPELINE = {"times": 1, "edge": 320, "tiling": Tiling(256, 64)}
BENCHMARKS: Mapping[str, Benchmark] = {
    "clouds2mask": Benchmark(
        title="CloudS2Mask's package and us",
        module="pipelines", wants="workshop", options={"which": "clouds2mask"},
        small=_SMALL_PIPELINE,
    ),
    "omnicloudmask": Benchmark(
        title="OmniCloudMask's package and us",
        module="pipelines", wants="workshop", options={"which": "omnicloudmask"},
        small=_SMALL_PIPELINE,
    ),
    "limit": Benchmark(
        title="the machine's limit", wants="workshop",
        small={"times": 1, "edge": 128, "networks": {"OmniCloudMask V4": OMNICLOUDMASK[:1]}},
    ),
    "compare": Benchmark(
        title="same weights, ukis-csmask and us", wants="folder",
        small={"edge": 320, "times": 1},
    ),
    "s2cloudless": Benchmark(
        title="s2cloudless and us", wants="folder", small={"edge": 256, "times": 1},
    ),
    "overhead": Benchmark(
        title="time besides the network", wants="workshop", small={"edge": 320, "times": 1},
    ),
    "scaling": Benchmark(
        title="cost and memory against the size of a scene",
        small={
            "edges": {"ukis-4b-l1c": (256, 320), "one convolution": (512, 1100)}, "times": 1,
        },
    ),
    "streaming": Benchmark(title="memory over a whole granule", small={"edge": 1100}),
    "chunks": Benchmark(
        title="a back-end's chunks against the whole scene",
        small={"sizes": {"crop": (384,), "blend": (384,)}, "plain": ((256, 0), (192, 32))},
    ),
    "plain_udf": Benchmark(
        title="a plain UDF and ours", wants="workshop", small={"times": 1, "edges": (128,)},
    ),
    "worker": Benchmark(title="a back-end's worker in 2 and 3 GiB", small={"sizes": (192,)}),
    "memory": Benchmark(title="the memory cap", small=memory.SMOKE),
    "backend": Benchmark(
        title="what a back-end adds", small={"edges": (384,), "times": 1},
    ),
    "engines": Benchmark(
        title="other engines", wants="workshop",
        small={"times": 1, "edge": 64, "which": ("ukis-4b-l1c",)},
    ),
    "export": Benchmark(
        title="an export of CloudS2Mask's weights", wants="folder",
        small={"times": 1, "edge": 128},
    ),
    "shift": Benchmark(title="shift of the tile grid"),
    "overlap": Benchmark(title="how much overlap tiles need"),
}  # fmt: skip
NEEDS_IMAGERY = ("shift", "overlap")
"""Only where the shared imagery is; not in a smoke run."""


def measure(names: list[str], *, smoke: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run some benchmarks, one after the other; what is measured is given at once."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        for name in names:
            say(BENCHMARKS[name].title)
            start = time.perf_counter()
            found = BENCHMARKS[name].run(name, workshop, smoke=smoke)
            took = round(time.perf_counter() - start)
            say(f"    {took} s")
            yield name, {**found, "took_seconds": took}


def chosen(only: list[str], *, smoke: bool) -> list[str]:
    """Say which benchmarks to run: those asked for, else all that can be."""
    lacking = () if shift.SCENE.exists() and not smoke else NEEDS_IMAGERY
    return only or [name for name in BENCHMARKS if name not in lacking]


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes; nothing is kept")
    parser.add_argument("--only", action="append", default=[], choices=BENCHMARKS)
    asked = parser.parse_args()
    found = measure(chosen(asked.only, smoke=asked.smoke), smoke=asked.smoke)
    if asked.smoke:
        print(tables.everything(dict(found)))
        return
    for name, result in found:
        save(name, result)
    tables.write(kept())


if __name__ == "__main__":
    main()
