"""Tables and numbers as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows, the first being the heading."""
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)


def spread(found: Mapping[str, float], digits: int = 2) -> str:
    """Write a median with the least and the greatest."""
    median, least, greatest = (
        f"{found[name]:.{digits}f}" for name in ("median", "least", "greatest")
    )
    return f"{median} ({least} to {greatest})"


def size(found: Mapping[str, Any]) -> str:
    """Write the size of a scene, its width first; square unless it tells its rows."""
    edge = round(found["edge"])
    return f"{edge} x {found.get('rows', edge)}"


def paragraphs(texts: Iterable[str]) -> str:
    """Put what there is one below the other."""
    return "\n\n".join(text for text in texts if text)
