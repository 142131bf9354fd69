"""The authors' networks in the environment of torch, with weights from a file.

Only for modules that are run there, with `tests/export/torch/lab` on the path.
"""

from __future__ import annotations

from typing import Any

import author
import torch  # noqa: TID251 - runs in torch's own environment
from safetensors.torch import load_file


def network(architecture: str, weights: str) -> Any:
    """Make a network as its authors do, and fill it, ready to predict."""
    net = author.create(architecture, 4, "Mish")
    found = net.load_state_dict(load_file(weights), strict=False)
    counters = [name for name in found.missing_keys if name.endswith("num_batches_tracked")]
    assert found.missing_keys == counters, f"no values for {found.missing_keys}"
    assert not found.unexpected_keys, f"unknown tensors {found.unexpected_keys}"
    return net.eval()


def one_convolution() -> Any:
    """Make a network that costs nothing."""
    return torch.nn.Conv2d(3, 4, 1).eval()


no_grad = torch.no_grad
threads = torch.get_num_threads
