"""Count the operations of a network as torch does: `flops.py ARCHITECTURE PIXELS FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import operators  # noqa: F401 (before anything that imports torchvision)
import torch
from torch.utils.flop_counter import FlopCounterMode

from cloudmask_export.skeletons.networks import network


def flops(architecture: str, edge: int) -> int:
    """Count those of one tile; a multiplication with its addition counts 2."""
    bands = int(architecture.rpartition("-")[2])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(architecture).eval()(torch.rand(1, bands, edge, edge))
    return int(counter.get_total_flops())


if __name__ == "__main__":
    name, pixels, file = sys.argv[1:]
    Path(file).write_text(str(flops(name, int(pixels))), "utf-8")
