"""Small networks and state dicts, and what every refusal is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def arrays() -> dict[str, NDArray[Any]]:
    """Give values that fp16 and bf16 hold exactly, with a scalar and an empty tensor."""
    rng = np.random.default_rng(4)
    return {
        "stem.weight": rng.integers(-64, 64, (3, 2, 2, 2)).astype(np.float32) / 4,
        "stem.bias": np.arange(3, dtype=np.float32) - 1,
        "stem.none": np.zeros((0, 3), np.float32),
        "bn.num_batches_tracked": np.array(41),
    }


@pytest.fixture
def network(weight_files: Any, tmp_path: Path) -> Path:
    """Write a small network pickled whole: a convolution, batch normalisation, Mish."""
    w = weight_files
    values = {
        "0": np.arange(8, dtype=np.float32).tobytes(),
        "1": np.ones(2, np.float32).tobytes(),
        "2": np.array(7).tobytes(),
    }
    path: Path = w.write_torch(tmp_path / "small.pkl", w.pickled(small_network(w)), values)
    return path


def small_network(w: Any) -> bytes:
    """Push the network of `network`."""
    kernel = w.parameter(w.tensor(w.storage("Float", "0", 8), (2, 1, 2, 2)))
    mean = w.tensor(w.storage("Float", "1", 2), (2,))
    seen = w.tensor(w.storage("Long", "2", 1), ())
    convolution = w.module("conv.Conv2d", parameters={"weight": kernel, "bias": w.NONE})
    norm = w.module(
        "batchnorm.BatchNorm2d", buffers={"running_mean": mean, "num_batches_tracked": seen}
    )
    mish = w.module("activation.Mish")
    modules = {"0": convolution, "1": norm, "2": mish}
    net: bytes = w.module("container.Sequential", modules=modules)
    return net


@pytest.fixture
def pickle_file(weight_files: Any, tmp_path: Path) -> Any:
    """Give a function that writes a torch file with the given opcodes as its pickle.

    One storage of eight float32 is there under the key "0".
    """

    def write(body: bytes, *, whole: bool = False) -> Path:
        stream = body if whole else weight_files.pickled(body)
        storages = {"0": np.arange(8, dtype=np.float32).tobytes()}
        path: Path = weight_files.write_torch(tmp_path / "made.pth", stream, storages)
        return path

    return write
