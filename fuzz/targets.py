"""All that is fuzzed, in the order in which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz import archives, contexts, cubes, manifests, tilings, weights

if TYPE_CHECKING:
    from fuzz.tally import Target

TARGETS: tuple[Target, ...] = (
    *tilings.TARGETS,
    *cubes.TARGETS,
    *weights.TARGETS,
    *manifests.TARGETS,
    *archives.TARGETS,
    *contexts.TARGETS,
)
