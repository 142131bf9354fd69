"""Is the memory cap kept, and how good is the estimate behind it? (docs/memory.md).

The command in a fresh process, for each network with several caps and without one, on a narrow
and on a wide file. Both are three tiles high, as memory does not grow with the height beyond, and
have data at their left and right borders only: what is no data costs no network call, but all
the memory. `make bench` takes the small network, the wide file and one cap;
`python -m benchmarks.memory`, like `benchmarks.run --only memory --full`, everything.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from benchmarks.measure import run_python
from benchmarks.networks import CLOUDS2MASK, OMNICLOUDMASK, Workshop
from cloudmask.model import embedded_manifest
from cloudmask.registry import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudmask.spec import ModelSpec

CAPS = (512, 1024, 2048)
"""MiB."""
WIDTHS = (1000, 10980)
"""Pixels."""
NETWORKS: dict[str, tuple[str, ...]] = {
    "ukis-4b-l1c": (),
    "clouds2mask-20m": CLOUDS2MASK,
    "omnicloudmask-v4": OMNICLOUDMASK,
}
"""What a network is called here, and the architectures that it is made of; none if it is there."""
EDGE = 60
"""Columns with data at both borders: one tile at each has them."""

_COMMAND = """
import os, sys
os.chdir(sys.argv[1])
words = sys.argv[2:]
from pathlib import Path
from cloudmask.local.cli import main
from cloudmask.local.run import FileJob, estimate
from cloudmask import Options
from cloudmask.checks import parse_memory
memory = parse_memory(words[words.index("--memory") + 1]) if "--memory" in words else None
models = tuple(word for option, word in zip(words, words[1:]) if option == "-m")
job = FileJob(scene=Path(words[1]), output=Path("mask.tif"), models=models, resolution="native",
              options=Options(stitch="blend", memory=memory))
needs = estimate(job)
Path("estimate").write_text(str(needs.total))
sys.argv = ["cloudmask", *words]
main()
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Networks and a file for them."""

    folder: Path
    models: tuple[str, ...]
    spec: ModelSpec

    def write(self, width: int) -> str:
        """Write the file and name it."""
        path = self.folder / f"{len(self.spec.bands)}-{width}.tif"
        height = 3 * self.spec.tile - 2 * self.spec.overlap
        numbers = np.random.default_rng(0).integers(
            300, 6000, (len(self.spec.bands), height, width), np.uint16
        )
        numbers[:, :, EDGE:-EDGE] = 0
        profile: dict[str, Any] = {
            "driver": "GTiff", "height": height, "width": width, "count": len(numbers),
            "dtype": "uint16", "nodata": 0, "tiled": True, "compress": "deflate",
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.descriptions = self.spec.bands
            dataset.write(numbers)
        return path.name

    def masked(self, width: int, cap: int | None) -> dict[str, Any]:
        """Mask it once under a cap in MiB."""
        words = ["mask", self.write(width), "-o", "mask.tif", "--resolution", "native", "-q"]
        words += [word for model in self.models for word in ("-m", model)]
        words += [] if cap is None else ["--memory", f"{cap}MiB"]
        found: dict[str, Any] = {"cap_mib": cap, "width": width}
        try:
            child = run_python(_COMMAND, self.folder, *words)
        except RuntimeError as error:
            needed = re.search(r"about (\d+) MiB are needed", str(error))
            if needed is None:
                raise
            return found | {"refused_needs_mib": int(needed[1])}
        estimate = int((self.folder / "estimate").read_text("ascii")) / 2**20
        kept = {} if cap is None else {"kept": child.peak_mib <= cap}
        sizes = {"peak_mib": round(child.peak_mib), "estimate_mib": round(estimate)}
        return found | sizes | kept


def cases(folder: Path, names: Iterable[str]) -> dict[str, Case]:
    """Make the networks, or find them."""
    shop, found = Workshop(folder), {}
    for name in names:
        models = tuple(shop.networks(NETWORKS[name])) or (name,)
        for model in models if NETWORKS[name] else ():
            # Beside the network, as `cloudmask export` writes it.
            manifest = embedded_manifest(Path(model))
            Path(model).with_suffix(".json").write_text(str(manifest), "utf-8")
        found[name] = Case(folder, models, find(models[0]).spec)
    return found


def run(
    names: tuple[str, ...] = ("ukis-4b-l1c",),
    widths: tuple[int, ...] = WIDTHS[1:],
    caps: tuple[int, ...] = CAPS[:1],
) -> dict[str, list[dict[str, Any]]]:
    """Run every network on every width with every cap, and without one."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: [case.masked(width, cap) for width in widths for cap in (*caps, None)]
            for name, case in cases(Path(folder), names).items()
        }


SMOKE: dict[str, Any] = {"widths": (1000,), "caps": (64, 1024)}
FULL: dict[str, Any] = {"names": tuple(NETWORKS), "widths": WIDTHS, "caps": CAPS}


def main() -> None:
    """Print the figures; names of networks on the command line, all without."""
    print(json.dumps(run(tuple(sys.argv[1:]) or tuple(NETWORKS), WIDTHS, CAPS), indent=2))


if __name__ == "__main__":
    main()
