"""The protocol of a side: a process that loads once and works when it is told to.

Lines on stdin: `run` works once; `keep PATH` writes the last answer as .npy; `peak` tells the
greatest memory, resident and as address space. Each is answered by one line of JSON on stdout.
Standard library and numpy only: the environments of the peers have nothing else in common.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Side:
    """Something loaded and ready."""

    work: Callable[[], Any]
    """Works once; the answer, if there is one, is an array."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the other process wants to know of it."""


def serve(load: Callable[[], Side]) -> None:
    """Load, then do as stdin says, until it ends."""
    # What libraries print must not come between.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        side, answer = load(), None

        def tell(found: dict[str, Any]) -> None:
            out.write(json.dumps(found) + "\n")
            out.flush()

        tell(side.facts)
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "run":
                start = time.perf_counter()
                answer = side.work()
                tell({"seconds": time.perf_counter() - start})
            elif word == "keep":
                _keep(answer, Path(rest))
                tell({})
            else:
                tell({"peak_mib": _mib("VmHWM"), "address_space_mib": _mib("VmPeak")})


def _keep(answer: Any, path: Path) -> None:
    import numpy as np

    np.save(path, np.asarray(answer))


def _mib(what: str) -> float:
    """Read one of the kernel's counts of this process; on Linux only."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith(what))
    return int(kib) / 1024
