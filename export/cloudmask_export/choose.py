"""Which published network a weight file is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask_export.errors import ExportError, WeightsError
from cloudmask_export.families import by_file_name, families, family
from cloudmask_export.graph import compare
from cloudmask_export.skeletons import ARCHITECTURES, load_skeleton

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cloudmask_export.families import Family
    from cloudmask_export.weights import Weights


@dataclass(frozen=True, slots=True)
class Choice:
    """What a weight file was found to be."""

    family: Family
    member: str
    """Which of the family's networks."""
    architecture: str
    """Name of its graph without weights."""

    @property
    def name(self) -> str:
        """What the network is called."""
        return f"{self.family.name}-{self.member}"


def choose(path: Path, weights: Weights, wanted: str | None = None) -> Choice:
    """Tell what a weight file is: by the family that is asked for, its name, its tensors.

    Raises:
        ExportError: There is no such family, or several would fit.
        WeightsError: The tensors are not those of such a network.
    """
    published = by_file_name(path.name)
    if wanted is None and published is None:
        # Not above: it brings the simulator with it, which published weights can do without.
        from cloudmask_export.training.weights import described

        own = described(path)
        return _by_tensors(path, weights) if own is None else _trained(path, weights, own)
    chosen = family(wanted) if wanted is not None else published[0]  # type: ignore[index]
    if published and published[0].name == chosen.name:
        known = published[1]
        return Choice(chosen, known.member, _architecture(path, weights, (known.architecture,)))
    return Choice(chosen, slug(path), _architecture(path, weights, chosen.architectures))


def _trained(path: Path, weights: Weights, own: Family) -> Choice:
    """Take weights of `cloudmask train` for what they say they are, their hash for a version."""
    return Choice(own, weights.sha256[:8], _architecture(path, weights, own.architectures))


def slug(path: Path) -> str:
    """Make a member's name of a file's: lower case, letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-.") or "weights"


def _by_tensors(path: Path, weights: Weights) -> Choice:
    architecture = _architecture(path, weights, ARCHITECTURES)
    fitting = [each for each in families().values() if architecture in each.architectures]
    classes = _classes(weights, architecture)
    fitting = [each for each in fitting if len(each.classes) == classes]
    if len(fitting) != 1:
        names = ", ".join(each.name for each in fitting) or "none"
        raise ExportError(
            f"{path}: the name is none of the published files, and the tensors fit these "
            f"families: {names}; choose with --family"
        )
    return Choice(fitting[0], slug(path), architecture)


def _classes(weights: Weights, architecture: str) -> int:
    from cloudmask_export.graph.fill import heads

    return weights.arrays[heads(load_skeleton(architecture))[0]].shape[0]


def _architecture(path: Path, weights: Weights, candidates: Sequence[str]) -> str:
    """Find the architecture that has exactly these tensors.

    Raises:
        WeightsError: None has; the message compares with the nearest.
    """
    found = {name: compare(load_skeleton(name), weights.arrays) for name in candidates}
    nearest = min(found, key=lambda name: found[name].size)
    if found[nearest]:
        raise WeightsError(
            f"{path}: not the weights of {' or '.join(candidates)}. Compared with {nearest}: "
            f"{found[nearest].sentence()}"
        )
    return nearest
