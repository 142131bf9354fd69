"""Write the structure of a pickled CloudS2Mask network, without its values.

Run in an environment with torch, torchvision, timm and fastai: `python make.py LAYOUT`, where
LAYOUT is "old" or "new"; see README.md for the versions that gave what is committed.
"""

from __future__ import annotations

import io
import json
import lzma
import pickle
import sys
import zipfile
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

# By name, as linters and type checkers run where there is no torch.
torch: Any = import_module("torch")

HERE = Path(__file__).parent


def network() -> Any:
    """Make the network as its authors do, with random values."""
    timm, learner = import_module("timm"), import_module("fastai.vision.learner")
    encoder = partial(timm.create_model, model_name="regnety_006", pretrained=False, in_chans=13)
    model = learner.create_unet_model(
        arch=encoder, n_out=4, img_size=(255, 255), act_cls=torch.nn.Mish, pretrained=False
    )
    return model.eval()


class _Keys(pickle.Unpickler):
    """Loads the network and notes under which key each storage was saved."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(io.BytesIO(stream))
        self.storages: dict[str, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, count = pid
        if key not in self.storages:
            self.storages[key] = torch.ones(count, dtype=kind.dtype).storage()
        return self.storages[key]


def main(layout: str) -> None:
    """Write LAYOUT.pkl.xz (the pickle stream) and LAYOUT.json.xz (where the tensors lie)."""
    saved = io.BytesIO()
    torch.save(network(), saved)
    with zipfile.ZipFile(saved) as file:
        stream = file.read(next(n for n in file.namelist() if n.endswith("/data.pkl")))
    unpickler = _Keys(stream)
    state = unpickler.load().state_dict()
    keys = {s.data_ptr(): key for key, s in unpickler.storages.items()}
    tensors = {
        name: [keys[tensor.storage().data_ptr()], list(tensor.shape)]
        for name, tensor in state.items()
    }
    storages = {key: [str(s.dtype), len(s)] for key, s in unpickler.storages.items()}
    facts = json.dumps({"tensors": tensors, "storages": storages})
    (HERE / f"{layout}.pkl.xz").write_bytes(lzma.compress(stream, preset=9))
    (HERE / f"{layout}.json.xz").write_bytes(lzma.compress(facts.encode(), preset=9))


if __name__ == "__main__":
    main(sys.argv[1])
