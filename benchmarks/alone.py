"""One benchmark by itself: `python -m benchmarks.NAME`, with `--full` at its greater sizes."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.networks import Workshop


def alone(
    doc: str | None, run: Callable[..., Any], full: Mapping[str, Any], wants: str = ""
) -> None:
    """Measure as the command line says, and print the figures; nothing is kept.

    Args:
        doc: What the benchmark is, for its help.
        run: Measures.
        full: What `run` is told with `--full`.
        wants: "folder" or "workshop", if it wants either.
    """
    # Not above: processes whose memory is measured import some benchmarks.
    from benchmarks.networks import Workshop

    parser = argparse.ArgumentParser(description=doc)
    if full:
        parser.add_argument("--full", action="store_true", help="greater sizes")
    options = full if vars(parser.parse_args()).get("full") else {}
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(run(**wanted(wants, Workshop(Path(name))), **options), indent=2))


def wanted(wants: str, workshop: Workshop) -> dict[str, Any]:
    """Give a benchmark what it wants, by name."""
    given = {"workshop": workshop, "folder": workshop.folder}
    return {wants: given[wants]} if wants else {}
