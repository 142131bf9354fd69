"""Attribute docstrings are sentences; napoleon would take what stands before a colon for a type."""  # noqa: INP001, E501 - Sphinx finds it by sys.path

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PLAIN = {"attribute", "data", "property"}
BEFORE, AFTER = 400, 600
"""Napoleon listens at 500."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Keep such docstrings as they are, whatever napoleon makes of them."""
    kept: dict[str, list[str]] = {}

    def keep(_app: Sphinx, what: str, name: str, *rest: Any) -> None:
        if what in PLAIN:
            kept[name] = list(rest[-1])

    def put_back(_app: Sphinx, what: str, name: str, *rest: Any) -> None:
        if what in PLAIN:
            rest[-1][:] = kept.pop(name)

    app.connect("autodoc-process-docstring", keep, priority=BEFORE)
    app.connect("autodoc-process-docstring", put_back, priority=AFTER)
    return {"parallel_read_safe": True}
