"""Run the notebooks and store what they show: `make notebooks`.

Each is run from top to bottom in a folder of its own, by the Python that runs this; a name or
several choose some of them. What changes from run to run and shows nothing is left out, so that
a stored notebook differs only where its source or its outputs do. The tests run the notebooks by
this, too.
"""

from __future__ import annotations

import argparse
import os
import sys
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SECONDS = 300
"""That a cell may take."""


def executed(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in an empty folder, and give it with new outputs."""
    book = nbformat.read(path, 4)
    with TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(
            book, timeout=SECONDS, kernel_name="python3", resources=place, record_timing=False
        )
        client.execute(env=surroundings())
    return neutral(book)


def surroundings() -> dict[str, str]:
    """Give the kernel this Python's commands, no networks of the user's, and plain text."""
    commands = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
        "CLOUDMASK_MODELS": "",
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }


def neutral(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out what tells of the machine or the hour, and number the cells."""
    book.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number:02}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return book


def joined(outputs: list[Any]) -> list[Any]:
    """Tidy the outputs of a cell; what came in pieces as the kernel had time becomes one."""
    made: list[Any] = []
    for output in outputs:
        if output.output_type != "stream":
            tidy(output)
            made.append(output)
        elif made and made[-1].get("name") == output.name:
            made[-1].text += output.text
        else:
            made.append(output)
    return made


def tidy(output: Any) -> None:
    """Keep one picture or one text of an output."""
    output.metadata = nbformat.from_dict({})
    kinds = [kind for kind in ("image/png", "text/plain") if kind in output.get("data", {})]
    if kinds:
        output.data = nbformat.from_dict({kind: output.data[kind] for kind in kinds})
    if "image/png" in kinds:
        output.data["image/png"] = small(output.data["image/png"])


def small(picture: str) -> str:
    """Store a picture with 256 colours, a third of the bytes, and without the maker's name."""
    image = Image.open(BytesIO(b64decode(picture))).convert("RGB")
    stored = BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(stored, "PNG", optimize=True)
    return b64encode(stored.getvalue()).decode("ascii")


def main() -> None:
    """Run and store the notebooks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of notebooks; default: all")
    parser.add_argument("--output", type=Path, default=FOLDER, help="where they are stored")
    asked = parser.parse_args()
    paths = [FOLDER / f"{Path(name).stem}.ipynb" for name in asked.names]
    for path in paths or sorted(FOLDER.glob("*.ipynb")):
        book = executed(path)
        nbformat.validate(book)
        partial = asked.output / f".{path.name}.part"
        nbformat.write(book, partial)
        partial.replace(asked.output / path.name)
        print(f"{path.name}: {(asked.output / path.name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
