"""Networks of the published architectures with random values, for us and for their authors.

The published weights are for the user to fetch; what a network costs does not depend on them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from tests.export.random_weights import random_weights
from tests.export.weight_files import write_safetensors

from cloudmask_export.build import Builder, in_precision, with_manifest
from cloudmask_export.choose import choose
from cloudmask_export.graph.cost import cost
from cloudmask_export.item import item
from cloudmask_export.tiles import tiles
from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask.spec import ModelSpec

CLOUDS2MASK = ("dynunet-regnety_006-13",)
OMNICLOUDMASK = ("smp-regnety_004-3", "smp-edgenext_small-3")
"""Version 4: an ensemble of two."""
FAMILIES = dict.fromkeys(CLOUDS2MASK, "clouds2mask-20m") | dict.fromkeys(
    OMNICLOUDMASK, "omnicloudmask-v4"
)
CALIBRATION = 3
"""Tiles to calibrate with; random values have no ranges that more of them would find."""


@dataclass(frozen=True)
class Workshop:
    """Makes networks in a folder, each once."""

    folder: Path

    def weights(self, architecture: str) -> Path:
        """Write the weight file that both sides read."""
        path = self.folder / f"{architecture}.safetensors"
        return path if path.exists() else write_safetensors(path, random_weights(architecture))

    def network(self, architecture: str, precision: str = "fp32") -> Path:
        """Export it as `cloudmask export` does, less the reports and the tests."""
        path = self.folder / f"{architecture}-{precision}.onnx"
        if not path.exists():
            self._export(architecture, precision, path)
        return path

    def networks(self, architectures: tuple[str, ...], precision: str = "fp32") -> list[str]:
        """Export some; their paths."""
        return [str(self.network(each, precision)) for each in architectures]

    def _export(self, architecture: str, precision: str, path: Path) -> None:
        builder = self._builders[architecture]
        made, spec = builder.exact(), builder.spec(path.stem, precision)
        costs = cost(made, spec.tile)
        if precision != "fp32":
            made = in_precision(made, precision, tiles(spec).calibration[:CALIBRATION])
        spec = replace(spec, test=None, flops_per_pixel=costs.flops, bytes_per_pixel=costs.bytes)
        content = with_manifest(made, _described(spec, 0))
        spec = replace(spec, sha256=hashlib.sha256(content).hexdigest())
        path.with_suffix(".json").write_text(_described(spec, len(content)), "utf-8")
        path.write_bytes(content)

    @cached_property
    def _builders(self) -> dict[str, Builder]:
        found = {}
        for architecture, family in FAMILIES.items():
            path = self.weights(architecture)
            weights = read_weights(path)
            found[architecture] = Builder(weights, choose(path, weights, family))
        return found


def _described(spec: ModelSpec, size: int) -> str:
    return json.dumps(item(spec, architecture=spec.name, source="about:blank", size=size))
