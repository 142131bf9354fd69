"""Run the benchmarks, keep their results, write the tables.

`python -m benchmarks.run` measures all but `engines`, `overlap` and `cluster`, in sizes that take
minutes; `--full` all, in greater sizes, which takes an hour; `--only NAME` one, the tables being
written from it and from what is kept of the others; `--smoke` runs everything small, to see that
it still runs, and keeps nothing.
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

from rich.console import Console
from rich.table import Column, Table

from benchmarks import memory, shift, tables
from benchmarks.alone import wanted
from benchmarks.measure import STUDIES, kept, save
from benchmarks.networks import OMNICLOUDMASK, Workshop
from benchmarks.overhead import Case
from benchmarks.pipelines import Size
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
    """What it is told besides in a smoke run; in a full one, what `FULL` of its module says."""

    def run(self, name: str, workshop: Workshop, size: str = "") -> dict[str, Any]:
        """Measure; `size` is "small", "full" or neither."""
        module = import_module(f"benchmarks.{self.module or name}")
        sizes = {"small": self.small, "full": getattr(module, "FULL", {})}
        options = {**self.options, **sizes.get(size, {})}
        found: dict[str, Any] = module.run(**wanted(self.wants, workshop), **options)
        return found


_SMALL_PIPELINE = {"times": 1, "size": Size(320, Tiling(256, 64))}
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
        title="time besides the network", wants="workshop",
        small={"cases": (Case("ukis-4b-l1c", "", (320, 320), 10),), "times": 1},
    ),
    "scaling": Benchmark(
        title="cost and memory against the size of a scene",
        small={
            "edges": {"ukis-4b-l1c": (256, 320), "one convolution": (512, 1100)}, "times": 1,
        },
    ),
    "streaming": Benchmark(
        title="memory over a granule's width", small={"edge": 1100, "rows": 1100},
    ),
    "chunks": Benchmark(
        title="a back-end's chunks against the whole scene",
        small={"sizes": {"crop": (384,), "blend": (384,)}, "plain": ((256, 0), (192, 32))},
    ),
    "plain_udf": Benchmark(
        title="a plain UDF and ours", wants="workshop", small={"times": 1, "edges": (128,)},
    ),
    "worker": Benchmark(
        title="a back-end's worker in 2 and 3 GiB", wants="folder",
        small={"sizes": (192,), "large_sizes": ()},
    ),
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
    "cluster": Benchmark(
        title="a granule on a dask cluster", wants="folder", small={"edge": 700},
    ),
    "shift": Benchmark(title="shift of the tile grid"),
    "overlap": Benchmark(title="how much overlap tiles need"),
}  # fmt: skip
NEEDS_IMAGERY = ("shift", "overlap")
"""Only where the shared imagery is; not in a smoke run."""


def measure(names: list[str], size: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run some benchmarks, one after the other; what is measured is given at once."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        for name in names:
            say(BENCHMARKS[name].title)
            start = time.perf_counter()
            found = BENCHMARKS[name].run(name, workshop, size)
            took = round(time.perf_counter() - start)
            say(f"    {took} s")
            yield name, {**found, "took_seconds": took, "full": size == "full"}


def chosen(only: list[str], size: str) -> list[str]:
    """Say which benchmarks to run: those asked for, else all usual ones that can be."""
    lacking = () if shift.SCENE.exists() and size != "small" else NEEDS_IMAGERY
    left_out = (*lacking, *(() if size else STUDIES))
    return only or [name for name in BENCHMARKS if name not in left_out]


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--smoke", action="store_true", help="small sizes; nothing is kept")
    studies = " and ".join(STUDIES)
    sizes.add_argument("--full", action="store_true", help=f"greater sizes; {studies}, too")
    parser.add_argument(
        "--only", action="append", default=[], choices=BENCHMARKS,
        help=f"this one, may be repeated; {studies} are run with this or --full alone",
    )  # fmt: skip
    asked = parser.parse_args()
    size, results = "small" if asked.smoke else "full" if asked.full else "", {}
    for name, result in measure(chosen(asked.only, size), size):
        results[name] = result
        if not asked.smoke:
            save(name, result)
    if asked.smoke:
        print(tables.everything(results))
    else:
        tables.write(kept())
    tell({name: each["took_seconds"] for name, each in results.items()})


def tell(took: Mapping[str, int]) -> None:
    """Print how long each benchmark took, and all of them."""
    listed = Table("benchmark", Column("seconds", justify="right"))
    for name, seconds in took.items():
        listed.add_row(name, str(seconds), end_section=name == list(took)[-1])
    listed.add_row("all", str(sum(took.values())))
    Console(stderr=True).print(listed)


if __name__ == "__main__":
    main()
