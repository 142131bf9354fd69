"""Let torchvision, which fastai and timm import, live beside a torch that it was not built for.

Indexes of CPU builds often lack torchvision, and its compiled part then refuses the torch there
is. Nothing of that part is used here, but its Python part asks for two operators by name: import
this module before anything that imports torchvision. Where the two fit it does nothing.

`python operators.py MODULE ARGUMENTS...` does the same for a module run as a script.
"""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import torch

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _fits() -> bool:
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True
    try:
        for library in Path(spec.origin).parent.glob("_C*"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return True


LIBRARY = None if _fits() else torch.library.Library("torchvision", "DEF")
"""Kept alive: the operators go when it goes."""

if LIBRARY is not None:
    for name in ("nms", "qnms"):
        LIBRARY.define(name + SIGNATURE)

if __name__ == "__main__":
    module, *sys.argv = sys.argv[1], *sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
