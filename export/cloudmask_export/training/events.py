"""What a training tells on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.training.log import Row


@dataclass(frozen=True, slots=True)
class Doing:
    """What is being done apart from steps."""

    words: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step is done."""

    done: int
    """Of all stages."""
    total: int
    loss: float


if TYPE_CHECKING:
    Event = Doing | Stepped | Row
    Tell = Callable[[Event], None]
