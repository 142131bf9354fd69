"""Engines that run networks, behind one option: the provider.

`PROVIDERS` names them, `open_session` opens a network with one of them.
"""

from __future__ import annotations

import numpy as np

from cloudmask.engines.external import refuse_external
from cloudmask.engines.openvino import open_openvino
from cloudmask.engines.ort import open_ort
from cloudmask.engines.session import Session, Tensor
from cloudmask.engines.trial import NETWORK
from cloudmask.runtime import PROVIDERS, Provider, Runtime

__all__ = ["PROVIDERS", "Provider", "Session", "Tensor", "open_session", "providers_here"]


def open_session(content: bytes, name: str, runtime: Runtime) -> Session:
    """Open a network.

    Args:
        content: The ONNX file.
        name: What messages call it.
        runtime: With which engine, on how many threads.

    Raises:
        ModelError: The bytes are no ONNX network, or one whose weights are in another file; or the
            engine is not installed or does not start.
    """
    refuse_external(content, name)
    if PROVIDERS[runtime.provider].onnxruntime:
        return open_ort(content, name, runtime)
    return open_openvino(content, name, runtime)


def providers_here() -> tuple[str, ...]:
    """Name the providers that run on this machine: each is asked to run a little network."""
    return tuple(filter(_runs, PROVIDERS))


def _runs(provider: str) -> bool:
    tile = np.ones((1, 1, 4, 4), np.float32)
    try:
        session = open_session(NETWORK, "trial", Runtime(threads=1, provider=provider))
        return np.array_equal(session.run(tile), tile)
    except Exception:  # noqa: BLE001 - whatever the reason: it does not run
        return False
