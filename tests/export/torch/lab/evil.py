"""Load a checkpoint that wants something executed: `evil.py FOLDER`; the refusal in `message`."""

from __future__ import annotations

import sys
from pathlib import Path

import operators  # noqa: F401 (before anything that imports torchvision)
import torch

sys.path.insert(0, str(Path(__file__).parents[4] / "udf"))

from cloudmask_export.errors import ExportError
from cloudmask_export.training.checkpoint import load


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def main(folder: Path) -> None:
    """Save, load, say what happened."""
    path = folder / "checkpoint.pt"
    torch.save({"version": 1, "config": Evil(folder / "executed")}, path)
    try:
        load(path)
    except ExportError as error:
        (folder / "message").write_text(str(error), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
