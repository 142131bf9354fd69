"""Damage files at random and read them: a script, so that a limit on memory can be set.

`python mutations.py FILE COUNT SEED` reads COUNT mutated copies of a weight file;
`python mutations.py FILE COUNT SEED data.pkl` mutates the pickle within the zip and mends the zip,
so that no checksum keeps the reader from it; `... structure` follows a bare pickle stream. Prints
JSON: how many were refused, how many read, the longest time, and what went wrong.
"""

from __future__ import annotations

import importlib.util
import json
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# fuzz/ is no part of the distribution.
sys.path.append(str(Path(__file__).parents[3]))

from fuzz.mutations import mutated

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights import Weights, read_weights
from cloudmask_export.weights.container import read_archive
from cloudmask_export.weights.unpickle import follow
from cloudmask_export.weights.walk import find

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 512 * 1024**2
"""Bytes beyond what the imports took."""


def check(weights: Weights) -> None:
    """Hold a result to what `Weights` promises."""
    for name, array in weights.arrays.items():
        assert name.isprintable()
        assert array.flags.c_contiguous
        assert not array.flags.writeable
        assert array.dtype.kind != "f" or bool(np.isfinite(array).all())
    assert sum(a.nbytes for a in weights.arrays.values()) <= 8 * weights.size


def attempts(path: Path, part: str) -> Callable[[random.Random], None]:
    """Give a function that reads one mutated copy."""
    whole = path.read_bytes()
    target = path.with_name("mutated")
    if part == "structure":
        return lambda rng: void(find(follow(mutated(whole, rng))))
    if part == "data.pkl":
        writer = _writer()
        members = {name: bytes(content) for name, content in read_archive(whole).items()}
        stream = members["data.pkl"]
        values = {n.removeprefix("data/"): c for n, c in members.items() if n.startswith("data/")}
        return lambda rng: check(
            read_weights(writer.write_torch(target, mutated(stream, rng), values))
        )
    good = read_weights(path)

    def attempt(rng: random.Random) -> None:
        target.write_bytes(mutated(whole, rng))
        read = read_weights(target)
        check(read)
        if good.format != "safetensors":
            # A zip has checksums, so what can still be read is what was written.
            assert all(np.array_equal(read.arrays[n], good.arrays[n]) for n in good.arrays)

    return attempt


def void(_: Any) -> None:
    """Take a result that needs no check."""


def _writer() -> Any:
    place = Path(__file__).parents[1] / "weight_files.py"
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec
    assert spec.loader
    module = sys.modules[place.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(attempt: Callable[[random.Random], None], rng: random.Random) -> str:
    """Say how one copy was taken."""
    try:
        attempt(rng)
    except WeightsError as error:
        # That would be a bomb that worked, however politely it was reported.
        return "out of memory" if "needs more memory" in str(error) else "refused"
    except Exception as error:  # noqa: BLE001 (that nothing else is raised is what is tested)
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "read"


def main(path: str, count: str, seed: str, part: str = "") -> None:
    """Print what became of `count` copies."""
    attempt = attempts(Path(path), part)
    limit_memory()
    outcomes: Counter[str] = Counter()
    longest = 0.0
    for number in range(int(count)):
        started = time.process_time()
        rng = random.Random(f"{seed} {number}")  # noqa: S311 (the same copies every time)
        outcomes[outcome(attempt, rng)] += 1
        longest = max(longest, time.process_time() - started)
    print(json.dumps({"longest": longest, "outcomes": outcomes}))  # noqa: T201


def limit_memory() -> None:
    """Let no copy take much more memory than there is in use."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
