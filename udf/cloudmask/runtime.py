"""How a network may use the machine: the engine, its threads, its memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from cloudmask.checks import choice, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An engine that runs networks, on one kind of machine, in one precision."""

    name: str
    """What users call it."""
    what: str
    """What it is, in a line."""
    install: str = ""
    """What it needs beside this package; empty for nothing."""
    onnxruntime: tuple[str, ...] = ()
    """Its name in ONNX Runtime, then of what takes the operators it does not know; empty if it is
    none of ONNX Runtime's."""


_GPU = "`pip install onnxruntime-gpu` in place of onnxruntime, an NVIDIA driver, CUDA and cuDNN"
_OPENVINO = "`pip install 'openeo-cloudmask[openvino]'`"
_ALL = (
    Provider(
        name="cpu",
        what="ONNX Runtime on the processor",
        onnxruntime=("CPUExecutionProvider",),
    ),
    Provider(
        name="cuda",
        what="ONNX Runtime on an NVIDIA graphics card",
        install=_GPU,
        onnxruntime=("CUDAExecutionProvider",),
    ),
    Provider(
        name="tensorrt",
        what="ONNX Runtime with TensorRT on an NVIDIA graphics card",
        install=f"{_GPU}, TensorRT",
        onnxruntime=("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    ),
    Provider(
        name="coreml",
        what="ONNX Runtime with Core ML on a Mac",
        install="macOS, where `pip install onnxruntime` brings it",
        onnxruntime=("CoreMLExecutionProvider",),
    ),
    Provider(
        name="directml",
        what="ONNX Runtime with DirectML on Windows",
        install="`pip install onnxruntime-directml` in place of onnxruntime",
        onnxruntime=("DmlExecutionProvider",),
    ),
    Provider(
        name="openvino",
        what="OpenVINO on the processor",
        install=_OPENVINO,
    ),
    Provider(
        name="openvino-bf16",
        what="OpenVINO in 16 bits, on a processor that computes with bfloat16",
        install=_OPENVINO,
    ),
)
PROVIDERS = {each.name: each for each in _ALL}
"""What networks can be run with, by name; the first one is everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How a network may use the machine."""

    threads: int | None = None
    """Threads of one network call; default OMP_NUM_THREADS, else the cores this process may
    use. The engines' own defaults take every core of the node."""
    provider: str = "cpu"
    """One of `cloudmask.engines.PROVIDERS`."""
    arena: bool | None = None
    """Whether ONNX Runtime's allocator may keep what it once took: a fifth to a third faster.
    None: where the address space of this process is not limited to less than `ARENA_WANTS`."""

    def __post_init__(self) -> None:
        """Refuse thread numbers below 1, and providers that do not exist."""
        if self.threads is not None:
            object.__setattr__(self, "threads", _threads(self.threads))
        choice("provider", self.provider, tuple(PROVIDERS))

    @property
    def intra_op_threads(self) -> int:
        """The number of threads to use."""
        return self.threads or _threads_of_environment() or _usable_cores()

    @property
    def arena_allowed(self) -> bool:
        """Whether ONNX Runtime's allocator keeps what it once took."""
        return _room_for_arena() if self.arena is None else self.arena

    @property
    def decided(self) -> Runtime:
        """The same with nothing left open: what means the same is one session, not two."""
        asked = PROVIDERS[self.provider].onnxruntime
        return replace(self, arena=self.arena_allowed if asked else None)


MOST_THREADS = 1024
"""No machine has more cores; ONNX Runtime would start as many as it is told."""


def _threads(number: object) -> int:
    return whole("threads", number, least=1, most=MOST_THREADS)


def _threads_of_environment() -> int:
    """Return OMP_NUM_THREADS (its first level, if nested), 0 if absent or no such number."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    # Python refuses to read numbers of thousands of digits.
    number = int(first) if first.isdecimal() and len(first) <= len(str(MOST_THREADS)) else 0
    return number if number <= MOST_THREADS else 0


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


ARENA_WANTS = 4 * 2**30
"""Bytes of address space below which the allocator's arena is left out: it is a fifth to a third
faster, but keeps what it once took."""


def _room_for_arena() -> bool:
    try:
        import resource
    except ImportError:  # not on Windows, where no such limit exists
        return True
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return limit == resource.RLIM_INFINITY or limit >= ARENA_WANTS
