"""Save small state dicts in all the ways there are, and what torch itself says is in them.

`python tensors.py FOLDER` writes `NAME.pth`, `NAME.safetensors` or `NAME.pkl`, each beside
`NAME.npz` with the values as numpy knows them (16-bit floats widened by torch to 32 bits).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

State = dict[str, Tensor]


def plain() -> State:
    """Draw tensors of several ranks and kinds."""
    return {
        "conv.weight": torch.randn(5, 3, 3, 3),
        "conv.bias": torch.randn(5),
        "scale": torch.tensor(0.25),
        "empty": torch.zeros(0, 4),
        "norm.num_batches_tracked": torch.tensor(123_456_789_012),
    }


def strided() -> State:
    """Views into one storage: transposed, with an offset, with steps, expanded, overlapping."""
    storage = torch.arange(120.0)
    return {
        "whole": storage.view(10, 12),
        "transposed": storage.view(10, 12).T,
        "part": storage.view(10, 12)[3:7, 2::3],
        "expanded": storage[5:8, None].expand(3, 4),
        "windows": storage.as_strided((6, 4), (2, 1), 7),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }


def cast(dtype: torch.dtype) -> State:
    """Store the floats with 16 bits, as is done to halve a download."""
    extremes = torch.tensor([0.0, -0.0, 1.0, -2.5, 6e-8, 65504.0, 1e-3, torch.pi])
    state = {**plain(), "extremes": extremes}
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def mixed() -> State:
    """Store some floats with 16 bits."""
    return {**plain(), "half": torch.randn(4).half(), "brain": torch.randn(4).bfloat16()}


def network() -> nn.Module:
    """Make a network of torch's own modules: parameters, buffers, one of them not persistent."""
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Mish())
    layers.register_buffer("grid", torch.randn(2, 2))
    layers.register_buffer("scratch", torch.randn(7), persistent=False)
    return layers


def values(state: State) -> dict[str, Any]:
    """Convert as torch does."""
    wide = {k: t.float() if t.is_floating_point() else t for k, t in state.items()}
    return {name: tensor.numpy() for name, tensor in wide.items()}


def main(folder: Path) -> None:
    """Write all files."""
    torch.manual_seed(0)
    states = {
        "plain": plain(),
        "strided": strided(),
        "fp16": cast(torch.float16),
        "bf16": cast(torch.bfloat16),
        "mixed": mixed(),
    }
    for name, state in states.items():
        np.savez(folder / f"{name}.npz", **values(state))
        torch.save(state, folder / f"{name}.pth")
        dense = {key: tensor.clone().contiguous() for key, tensor in state.items()}
        save_file(dense, folder / f"{name}.safetensors", metadata={"format": "pt"})
    whole = network()
    torch.save(whole, folder / "whole.pkl")
    np.savez(folder / "whole.npz", **values(whole.state_dict()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
