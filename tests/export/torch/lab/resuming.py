"""Train the same thing several times, whole and interrupted: `resuming.py FOLDER`.

In FOLDER, `whole/` is trained without a stop; `first/` and `second/` are stopped in that stage and
gone on with, `border/` between the two; `stopped.json` says what the folders held at the stop.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import operators  # noqa: F401 (before anything that imports torchvision)

sys.path.insert(0, str(Path(__file__).parents[4] / "udf"))

from cloudmask_export.training.config import Config, parse
from cloudmask_export.training.events import Stepped
from cloudmask_export.training.train import train

if TYPE_CHECKING:
    from cloudmask_export.training.events import Event

CONFIG = """
name = "tried"
architecture = "slim-regnety_002-4"
bands = ["B02", "B03", "B04", "B08"]
batch = 2
crop = 32
every = 2
smoothing = 0.5
[sources]
simulated = 2
[[stage]]
classes = 3
steps = 4
[[stage]]
classes = 4
steps = 4
"""
STOPS = {"first": 3, "border": 4, "second": 7}
"""Folder -> steps after which it is stopped."""


class Stopper:
    """Asks to stop after some steps."""

    def __init__(self, after: int) -> None:
        self.after, self.done = after, 0

    def tell(self, event: Event) -> None:
        """Count."""
        if isinstance(event, Stepped):
            self.done = event.done

    def asked(self) -> bool:
        """Stop?"""
        return self.done >= self.after


def interrupted(config: Config, folder: Path, after: int) -> list[str]:
    """Stop and go on; say what was in the folder meanwhile."""
    stopper = Stopper(after)
    assert train(config, folder, threads=1, tell=stopper.tell, stop=stopper.asked) is None
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("bank-"))
    train(config, folder, threads=1, resume=True)
    return held


def main(folder: Path) -> None:
    """Train."""
    config = parse(CONFIG, folder)
    train(config, folder / "whole", threads=1)
    told = {}
    for name, after in STOPS.items():
        # The images are the same: they need not be made again.
        for bank in (folder / "whole").glob("bank-*"):
            shutil.copytree(bank, folder / name / bank.name)
        told[name] = interrupted(config, folder / name, after)
    (folder / "stopped.json").write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
