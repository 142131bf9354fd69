"""What do ONNX Runtime's session settings cost? (docs/decisions/0006-session.md).

One tile of `ukis-4b-l1c` on all usable cores, settings taken in turn.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from benchmarks.measure import interleaved
from cloudmask import Runtime, find_model

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = 12
SETTINGS = {
    "as we run it": {"spin": False, "arena": True},
    "spinning": {"spin": True, "arena": True},
    "without arena": {"spin": False, "arena": False},
}


def session(path: str, *, spin: bool, arena: bool) -> Any:
    """Open a session with some settings, the rest as in `cloudmask.model`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = Runtime().intra_op_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def timed(opened: Any, tile: np.ndarray[Any, Any]) -> Callable[[], float]:
    """Make a run that measures its second call."""

    def run() -> float:
        opened.run(None, {"input": tile})
        start = time.perf_counter()
        opened.run(None, {"input": tile})
        return time.perf_counter() - start

    return run


def main() -> None:
    """Print the medians, in milliseconds."""
    path = str(find_model("ukis-4b-l1c").path)
    tile = np.random.default_rng(0).random((1, 4, 256, 256), dtype=np.float32)
    runs = {name: timed(session(path, **chosen), tile) for name, chosen in SETTINGS.items()}
    for name, seconds in interleaved(runs, TIMES).items():
        print(f"{name:14} {1000 * statistics.median(seconds):.1f} ms")


if __name__ == "__main__":
    main()
