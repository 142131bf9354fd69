"""The table of networks that `cloudmask models` prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloudmask.errors import CloudmaskError
from cloudmask.local.console import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask.registry import Entry

FAILED = "FAILED"
"""How the outcome of a failed test begins."""

_CAPTION = "Any other ONNX network works too: --model path/to/net.onnx with its manifest net.json"


def print_table(entries: Mapping[str, Entry], *, check: bool) -> bool:
    """Print networks, a row each.

    Args:
        entries: The networks by name.
        check: Whether to run each one's own test.

    Returns:
        Whether no test failed.
    """
    headings = ["name", "installed", "bands", "level", "classes", "pixel", "licence"]
    table = Table(title="networks", title_justify="left", caption=_CAPTION, caption_justify="left")
    tests = {name: _tested(entry) if check else "" for name, entry in entries.items()}
    for heading in [*headings, *(["test"] if check else [])]:
        # A name must be there whole to be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for name, entry in entries.items():
        row = (*_row(entry), *([tests[name]] if check else []))
        table.add_row(*(Text(clean(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return not any(test.startswith(FAILED) for test in tests.values())


def _row(entry: Entry) -> tuple[str, ...]:
    spec = entry.spec
    installed = "yes" if entry.installed else entry.how_to_install
    classes, pixel = str(len(spec.classes)), f"{spec.pixel_size:g} m"
    return spec.name, installed, " ".join(spec.bands), spec.level, classes, pixel, spec.licence


def _tested(entry: Entry) -> str:
    """Run a network's own test, and say in a few words how it went."""
    from cloudmask.selftest import self_test

    if not entry.installed:
        return "-"
    try:
        found = self_test(entry)
    except CloudmaskError as error:
        return f"{FAILED}: {error}"
    if found is None:
        return "has none"
    return f"{'good' if found.good else FAILED}: {100 * found.changed:.2f} % differ"
