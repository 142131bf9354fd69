"""Run `cloudmask` with our sources where torch is: `command.py ARGUMENTS...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import operators  # noqa: F401 (before anything that imports torchvision)

ROOT = Path(__file__).parents[4]


def main() -> None:
    """Stand in for an installation, which reports name the version of."""
    sys.path.insert(0, str(ROOT / "udf"))
    with TemporaryDirectory() as folder:
        facts = Path(folder, "openeo_cloudmask-0.dist-info", "METADATA")
        facts.parent.mkdir()
        facts.write_text("Metadata-Version: 2.1\nName: openeo-cloudmask\nVersion: 0\n")
        sys.path.insert(0, folder)
        from cloudmask.local.cli import main as cloudmask

        if "CLOUDMASK_STOP_AT" in os.environ:
            stop_at(int(os.environ["CLOUDMASK_STOP_AT"]))
        cloudmask()


def stop_at(step: int) -> None:
    """Press Ctrl-C during a step, counted from 1."""
    import signal

    from cloudmask_export.training.loop import Trainer

    original, taken = Trainer.batch, []

    def batch(self: Trainer, *arguments: object) -> object:
        taken.append(step)
        if len(taken) == step:
            signal.raise_signal(signal.SIGINT)
        return original(self, *arguments)  # type: ignore[arg-type]

    Trainer.batch = batch  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
