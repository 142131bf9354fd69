"""What does s2cloudless cost on the same scene, and what do we?

Other models (a tree ensemble on ten bands of each pixel; clouds only), so that only the cost is
compared. The labelled chip has six bands, of which s2cloudless needs ten: no accuracy here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.alone import alone
from benchmarks.contest import Entrant, contest
from benchmarks.pipelines import Size, write_scene
from cloudmask.windows import Tiling

if TYPE_CHECKING:
    from pathlib import Path

PEER = "s2cloudless"
OURS = ("ukis-4b-l1c", "ukis-6b-l1c")
TILING = Tiling(256, 64)
EDGE = 384
"""Pixels of the scene."""
FULL = {"edge": 768}


def run(folder: Path, times: int = 5, edge: int = EDGE) -> dict[str, Any]:
    """Mask one array of thirteen bands by turns, ours by small real networks."""
    scene = str(write_scene(folder / f"s2cloudless-{edge}.npz", Size(edge, TILING)))
    entrants = [
        Entrant(name=PEER, module="s2cloudless", order={"scene": scene}, environment="peers"),
        *(
            Entrant(name=name, module="ours", order={"scene": scene, "models": [name]})
            for name in OURS
        ),
    ]
    found = contest(entrants, times, answers=False)
    return {
        "edge": edge,
        "seconds": found.seconds,
        "times_as_fast": found.faster(PEER),
        "peak_mib": found.peak_mib,
        "not_measured": found.obstacles,
    }


if __name__ == "__main__":
    alone(__doc__, run, FULL, wants="folder")
