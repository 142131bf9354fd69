"""A network of one operator, to see whether an engine runs at all."""

from __future__ import annotations

NETWORK = bytes.fromhex(
    "08083a690a0f0a01780a01771201792204436f6e761201672a13080108010801080110014201774a040000803f5a"
    "1e0a017812190a17080112130a0312016e0a0208010a031201680a03120176621e0a017912190a17080112130a03"
    "12016e0a0208010a031201680a0312017642040a001011"
)
"""An ONNX file: the 1 x 1 convolution of (n, 1, h, v) by 1, which gives what it takes."""
