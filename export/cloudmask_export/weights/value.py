"""What a weight file holds, however it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The tensors of a trained network by their names in torch's state dict.

    At least one tensor is of a floating type, and every floating value is finite.
    """

    arrays: Mapping[str, NDArray[Any]]
    """State-dict name -> array with torch's axis order, C-contiguous, read-only, native byte
    order. Floats of 16 bits (fp16, bf16) are widened exactly to float32; other dtypes are as
    stored. In the order of the file."""
    modules: Mapping[str, str]
    """Module path -> full class name ("layers.4.relu" -> "torch.nn.modules.activation.Mish"; the
    network itself is ""), of a network pickled whole. Empty for state dicts, which know none."""
    format: str
    """"pkl" (a network pickled whole), "pth" (a state dict saved by torch), "safetensors"."""
    stored: str
    """Type of the floating tensors in the file: "fp32", "fp16", "bf16", "fp64", or "mixed"."""
    sha256: str
    """Of the very bytes that were read, hexadecimal."""
    size: int
    """Bytes of the file."""
