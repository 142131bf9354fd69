"""One chunk through a plain UDF, as published examples are written, and through ours.

The plain one makes a session with ONNX Runtime's defaults (all cores of the node, arena, memory
pattern) and gives the whole chunk to the network as one tile. Ours cuts the network's own tiles,
which overlap, and so computes more pixels: not so where the chunk is one tile, as here without
`--full`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.alone import alone
from benchmarks.contest import Entrant, contest
from benchmarks.networks import CLOUDS2MASK, Workshop

EDGES = (500,)
"""Of chunks, in pixels: the network's tile, as a plain UDF ought to be given."""
FULL = {"edges": (500, 512, 1024)}


def run(workshop: Workshop, times: int = 5, edges: tuple[int, ...] = EDGES) -> dict[str, Any]:
    """Run CloudS2Mask's architecture on chunks of some sizes by turns."""
    (model,) = workshop.networks(CLOUDS2MASK)
    return {str(edge): _chunk(model, edge, times) for edge in edges}


def _chunk(model: str, edge: int, times: int) -> dict[str, Any]:
    entrants = [
        Entrant(name=which, module="udf", order={"which": which, "model": model, "edge": edge})
        for which in ("plain", "ours")
    ]
    found = contest(entrants, times, answers=False)
    return {
        "seconds": found.seconds,
        "times_as_fast": found.faster("plain"),
        "peak_mib": found.peak_mib,
        "address_space_mib": found.address_space_mib,
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="workshop")
