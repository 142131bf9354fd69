"""Published networks: their files and where those lie, what they take and give, licences."""

from __future__ import annotations

from cloudmask_export.families.family import Family
from cloudmask_export.families.normalisation import FixedNormalisation, PatchNormalisation
from cloudmask_export.families.published import by_file_name, families, family
from cloudmask_export.families.weight_file import WeightFile, canonical_name

__all__ = [
    "Family",
    "FixedNormalisation",
    "PatchNormalisation",
    "WeightFile",
    "by_file_name",
    "canonical_name",
    "families",
    "family",
]
