"""What an export was made of and how good it is, for people and for programs."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cloudmask.runtime import Runtime

if TYPE_CHECKING:
    from cloudmask_export.parity import Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The weight file."""

    file: str
    sha256: str
    bytes: int
    format: str
    stored: str
    """fp32, fp16, bf16 or mixed."""
    published: bool | None
    """Whether it is the file that its authors published under that name; None if nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The ONNX file."""

    file: str
    sha256: str
    bytes: int
    precision: str
    seconds_per_megapixel: float
    """Here, tiles of 256 pixels, one at a time."""
    variant: str = ""
    """Which way it was made smaller, if it was."""

    @property
    def kind(self) -> str:
        """How its weights are stored and computed with, in words."""
        return self.variant or self.precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All there is to say about an export."""

    name: str
    family: str
    architecture: str
    activation: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    source: Source
    result: Result
    tensors_used: int
    tensors_unused: tuple[str, ...]
    """Batch normalisation's counters of training steps, which are no part of a network."""
    rewrites: Parity
    """The float32 network with its rewrites, against the same operation by operation."""
    precision: Parity | None
    """The file as shipped against float32; None if it is float32."""
    imagery: str
    """What both were compared on."""
    licence: str
    training_data: str
    citation: str
    page: str

    def as_json(self) -> dict[str, Any]:
        """Give everything, and what it was made with."""
        return {**asdict(self), "machine": machine()}

    @property
    def agreement(self) -> float:
        """Per cent of pixels that have the class of the network as its authors wrote it."""
        return 100 * (self.rewrites if self.precision is None else self.precision).equal


def machine() -> dict[str, str]:
    """Say what an export ran on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "threads": str(Runtime().intra_op_threads),
        "python": platform.python_version(),
        **{name: version(name) for name in ("openeo-cloudmask", "onnx", "onnxruntime", "numpy")},
    }


def markdown(report: Report) -> str:
    """Write a report for a person."""
    source, result = report.source, report.result
    rows = [
        ("network", _network(report)),
        ("bands", " ".join(report.bands)),
        ("classes", ", ".join(report.classes)),
        ("weights", f"`{source.file}` ({source.format}, {source.stored}, {source.bytes:,} bytes)"),
        ("sha256 of the weights", f"`{source.sha256}`, {_PUBLISHED[source.published]}"),
        ("ONNX", f"`{result.file}` ({result.kind}, {result.bytes:,} bytes)"),
        ("sha256 of the ONNX", f"`{result.sha256}`"),
        ("tensors", _tensors(report)),
        ("rewritten against as written", _parity(report.rewrites)),
        *([(f"{result.precision} against fp32", _parity(report.precision))]
          if report.precision else []),
        ("compared on", f"{report.imagery}: {report.rewrites.tiles} tiles of 256 pixels"),
        ("speed here", f"{result.seconds_per_megapixel:.2f} s per megapixel"),
        ("licence", report.licence),
        ("training data", report.training_data),
        ("cite", report.citation),
        ("from", report.page),
    ]  # fmt: skip
    lines = [f"# {report.name}", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {value.replace('|', '/')} |" for what, value in rows]
    made = ", ".join(f"{what} {value}" for what, value in machine().items() if value)
    return "\n".join([*lines, "", f"Made with {made}.", ""])


_PUBLISHED = {
    True: "the published file",
    False: "**not** the published file of that name",
    None: "not known to be a published file",
}


def _network(report: Report) -> str:
    decoder = f", decoder with {report.activation}" if report.activation else ""
    return f"{report.family}, {report.architecture}{decoder}"


def _tensors(report: Report) -> str:
    spare = len(report.tensors_unused)
    counters = f"; {spare} unused, all counters of training steps" if spare else ""
    return f"{report.tensors_used} used{counters}"


def _parity(parity: Parity) -> str:
    return (
        f"{100 * parity.equal:.3f} % of pixels have the same class "
        f"({100 * parity.worst:.3f} % in the worst tile); probabilities differ by "
        f"{parity.largest:.1e} at most, {parity.mean:.1e} on average"
    )
