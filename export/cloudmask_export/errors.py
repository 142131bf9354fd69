"""What can go wrong on the way from weights to a network, said with value, rule and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


class ExportError(ModelError):
    """A network cannot be made from these weights, or is not what its report says."""


class AlreadyMadeError(ExportError):
    """The very network is there already, whole, made of the same weights."""

    def __init__(self, network: Path, message: str) -> None:
        super().__init__(message)
        self.network = network


class WeightsError(ExportError):
    """A weight file is damaged, of another kind, or asks for something that is never done."""
