"""Pages of the site whose text stands elsewhere: in the project's root, or in the command itself.

A page that borrows a file holds a link to it, for those who read the sources; the site shows the
file. Links to a borrowed file lead to its page, wherever they stand.
"""  # noqa: INP001 - Sphinx finds it by sys.path

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
BORROWED = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "examples": "examples/README.md",
    "security": "SECURITY.md",
}
"""Page of the site: file in the project."""
PLACES = {ROOT / file: DOCS / f"{page}.md" for page, file in BORROWED.items()} | {
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "examples": DOCS / "examples.md",
    ROOT / "examples" / "training": DOCS / "training.md",
    DOCS / "decisions": DOCS / "decisions" / "index.md",
}
"""What the site has a page for: that page."""
LINK = re.compile(r"(?<=\]\()(?!https?:)([^)#\s]+)")
MARKUP = re.compile(r"\[bold\](.*?)\[/bold\]")


def setup(app: Sphinx) -> dict[str, Any]:
    """Let pages be filled as they are read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Sphinx, page: str, text: list[str]) -> None:
    here = DOCS / f"{page}.md"
    source = ROOT / BORROWED[page] if page in BORROWED else here
    app.env.note_dependency(source)
    told = source.read_text("utf-8") if page in BORROWED else text[0]
    text[0] = relinked(told, source.parent, here.parent)
    if page == "reference/commands":
        text[0] += commands()


def relinked(text: str, read: Path, shown: Path) -> str:
    """Turn relative links of a text that was written for the folder `read` for the folder `shown`.

    What the site has a page for is linked there. What leads nowhere is left, to be complained of.
    """

    def place(link: re.Match[str]) -> str:
        target = (read / link[1]).resolve()
        if not target.exists():
            return link[1]
        return Path(os.path.relpath(PLACES.get(target, target), shown)).as_posix()

    return LINK.sub(place, text)


def commands() -> str:
    """Describe every command and its options, in Markdown, from what `--help` shows."""
    import typer
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from cloudmask.local.cli import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="cloudmask")
    described = text.split("\n## ", 1)[1]
    return "\n## " + MARKUP.sub(r"`\1`", described)
