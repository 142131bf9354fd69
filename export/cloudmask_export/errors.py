"""What can go wrong on the way from weights to a network, said with value, rule and remedy."""

from __future__ import annotations

from cloudmask.errors import ModelError


class ExportError(ModelError):
    """A network cannot be made from these weights, or is not what its report says."""


class WeightsError(ExportError):
    """A weight file is damaged, of another kind, or asks for something that is never done."""
