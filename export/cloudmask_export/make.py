"""From a weight file to a folder with a network, its manifest, its test and a report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.checks import choice as one_of
from cloudmask.checks import finite
from cloudmask.classes import CLASSES
from cloudmask.errors import OptionError
from cloudmask_export.build import Builder, named
from cloudmask_export.choose import choose
from cloudmask_export.errors import AlreadyMadeError, ExportError
from cloudmask_export.families.lock import shipped_lock
from cloudmask_export.golden import golden
from cloudmask_export.graph.fill import COUNTERS
from cloudmask_export.item import item
from cloudmask_export.precision import PRECISIONS
from cloudmask_export.report import Report, Result, Source, markdown
from cloudmask_export.tiles import tiles
from cloudmask_export.trial import Trial, try_out
from cloudmask_export.weights import read_weights
from cloudmask_export.write import is_made, refuse_existing, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask.spec import ModelSpec

SUFFIXES = (
    ".onnx", ".test-input.npy", ".test-output.npy", ".report.json", ".report.md", ".json",
)  # fmt: skip
"""Endings of the files that an export makes; the manifest, which makes them known, is last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to export."""

    folder: Path
    """Where the files go; made if absent."""
    family: str | None = None
    """Name of the family; None to find out."""
    name: str | None = None
    """What to call the network; None for its family and member, and its precision."""
    precision: str = "fp32"
    """fp32, fp16 (weights stored with 16 bits) or int8."""
    imagery: tuple[Path, ...] = ()
    """Rasters to calibrate with and to judge by; simulated scenes if none."""
    preset: str = "dn"
    """What the rasters' numbers mean."""
    threshold: float | None = None
    """Per cent of pixels that must have the right class; None to take any network."""
    force: bool = False
    """Whether existing files may be replaced."""

    def __post_init__(self) -> None:
        """Refuse what cannot work before anything is read."""
        one_of("precision", self.precision, PRECISIONS)
        if self.threshold is not None and not 0 <= finite("threshold", self.threshold) <= 100:  # noqa: PLR2004
            raise OptionError(f"threshold={self.threshold}: must be a percentage, 0 to 100")


@dataclass(frozen=True, slots=True)
class Made:
    """What an export has made."""

    spec: ModelSpec
    path: Path
    """The ONNX file."""
    report: Report


def make(path: Path, order: Order, tell: Callable[[str], None] | None = None) -> Made:
    """Export one weight file.

    Args:
        path: A .pkl, .pth or .safetensors.
        order: How.
        tell: Called with a few words before each step.

    Raises:
        ExportError: The weights are damaged or of another network, files are in the way, or the
            result does not agree with the weights as asked.
    """
    try:
        return _make(path, order, tell or (lambda _words: None))
    except ExportError as error:
        if isinstance(error, AlreadyMadeError) or str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def _make(path: Path, order: Order, say: Callable[[str], None]) -> Made:
    say("reading the weights")
    weights = read_weights(path)
    builder = Builder(weights, choose(path, weights, order.family))
    name = order.name or named(builder.choice.name, order.precision)
    paths = [order.folder / f"{name}{suffix}" for suffix in SUFFIXES]
    _refuse_existing(paths, weights.sha256, order)
    spec = builder.spec(name, order.precision)
    int8 = order.precision == "int8"
    chosen = tiles(spec, order.imagery, order.preset, calibrate=int8)
    trial = try_out(builder, order.precision, chosen, _inside(builder, spec), say)
    if order.threshold is not None:
        trial.judge(order.threshold)
    digest = hashlib.sha256(trial.content).hexdigest()
    spec = replace(spec, sha256=digest, size=len(trial.content))
    report = _report(path, builder, spec, trial, order.precision)
    say("writing")
    _write(paths, builder, spec, trial, report)
    return Made(spec, paths[0], report)


def _refuse_existing(paths: list[Path], weights: str, order: Order) -> None:
    try:
        refuse_existing(paths, force=order.force)
    except ExportError as error:
        network, report = paths[0], paths[SUFFIXES.index(".report.json")]
        if all(map(Path.exists, paths)) and is_made(network, report, weights):
            raise AlreadyMadeError(network, str(error)) from error
        raise


def _manifest(builder: Builder, spec: ModelSpec) -> dict[str, Any]:
    family = builder.choice.family
    architecture = _usual_name(builder.choice.architecture)
    made = item(spec, architecture=architecture, source=family.page)
    made["properties"] |= {
        "description": f"Trained on: {family.training_data}",
        "cloudmask:weights": builder.weights.sha256,
    }
    return made


def _usual_name(architecture: str) -> str:
    """Say what people call an architecture: dynunet-regnety_006-13 is a U-Net on RegNetY."""
    decoder, encoder, _bands = architecture.split("-")
    return f"{_DECODERS[decoder]}, {encoder}"


_DECODERS = {"dynunet": "U-Net (fastai's DynamicUnet)", "smp": "U-Net", "slim": "slim U-Net"}


def _inside(builder: Builder, spec: ModelSpec) -> dict[str, Any]:
    """Describe the network for inside its file: no hash, no size, no files beside it."""
    return _manifest(builder, replace(spec, test=None))


def _write(
    paths: list[Path], builder: Builder, spec: ModelSpec, trial: Trial, report: Report
) -> None:
    with together(paths) as (network, image, answer, as_json, as_text, manifest):
        network.write_bytes(trial.content)
        test = golden(trial.content, spec, network)
        np.save(image, test.image)
        np.save(answer, test.answer)
        as_json.write_text(_pretty(report.as_json()), "utf-8")
        as_text.write_text(markdown(report), "utf-8")
        manifest.write_text(_pretty(_manifest(builder, spec)), "utf-8")


def _pretty(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _report(path: Path, builder: Builder, spec: ModelSpec, trial: Trial, precision: str) -> Report:
    weights, choice = builder.weights, builder.choice
    unused = tuple(name for name in weights.arrays if name.endswith(COUNTERS))
    names = {each.code: each.name for each in CLASSES}
    return Report(
        name=spec.name,
        family=choice.family.name,
        architecture=choice.architecture,
        activation=builder.activation,
        bands=spec.bands,
        classes=tuple(names[code] for code in spec.classes),
        source=Source(
            file=path.name,
            sha256=weights.sha256,
            bytes=weights.size,
            format=weights.format,
            stored=weights.stored,
            published=_published(path, weights.sha256),
        ),
        result=Result(
            file=spec.file,
            sha256=spec.sha256,
            bytes=len(trial.content),
            precision=precision,
            seconds_per_megapixel=trial.seconds,
            variant=trial.variant,
        ),
        tensors_used=len(weights.arrays) - len(unused),
        tensors_unused=unused,
        rewrites=trial.rewrites,
        precision=trial.precision,
        imagery=trial.imagery,
        licence=spec.licence,
        training_data=choice.family.training_data,
        citation=spec.citation,
        page=choice.family.page,
    )


def _published(path: Path, sha256: str) -> bool | None:
    pinned = shipped_lock().of(path.name)
    return None if pinned is None else pinned.sha256 == sha256
