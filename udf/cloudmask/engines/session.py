"""A network that an engine has opened, whichever engine it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tensor:
    """What goes into a network, or comes out."""

    name: str
    dtype: str
    """As numpy names it; another type in the engine's own words."""
    shape: tuple[int | str | None, ...]
    """A number where the graph fixes it; its name in the graph, or None, where it is free."""


class Session(Protocol):
    """A network ready to run. Several threads may call it at once."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What its file says of itself."""

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it.

        Args:
            tiles: What its first input wants, contiguous in C order; not changed.

        Returns:
            Its first output, in memory of its own that the caller may change.

        Raises:
            Exception: Whatever the engine raises; `cloudmask.model` puts it into words.
        """
