"""What can go wrong while a weight file is fetched."""

from __future__ import annotations

from cloudmask_export.errors import ExportError


class FetchError(ExportError):
    """A published file could not be had; the message says how to get it by hand."""


class PlaceError(FetchError):
    """One place does not give the file; another may."""


class InterruptedTransferError(PlaceError):
    """A place stopped giving it; the same one may go on."""

    def __init__(self, message: str, wait: float = 0) -> None:
        """Say what happened.

        Args:
            message: In words.
            wait: Seconds that the place asks to be left alone.
        """
        super().__init__(message)
        self.wait = wait
