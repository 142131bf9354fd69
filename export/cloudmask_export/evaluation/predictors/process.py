"""A peer that runs in another Python, asked over its standard input and output."""

from __future__ import annotations

import subprocess
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from cloudmask_export.evaluation.predictors.outside.s2cloudless_worker import receive, send
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PATIENCE = 10
"""Seconds that it may take to end."""


@dataclass(slots=True, weakref_slot=True)
class Outside:
    """A running program that answers arrays with arrays; it ends with this object."""

    words: tuple[str, ...]
    """Its command."""
    _process: subprocess.Popen[bytes] = field(init=False, repr=False)
    _complaints: IO[bytes] = field(init=False, repr=False)

    @classmethod
    def started(cls, python: str, script: Path, arguments: Sequence[str]) -> Outside:
        """Start a script in a Python.

        Raises:
            EvaluationError: There is no such program.
        """
        return cls((python, str(script), *arguments))

    def __post_init__(self) -> None:
        """Start it."""
        # A file, as a pipe that nobody reads would fill up.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own Python
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
        except OSError as error:
            self._complaints.close()
            raise EvaluationError(
                f"{self.words[0]}: cannot be run ({error.strerror}); give the path of a Python "
                "that has the peer's package with --peer-python or CLOUDMASK_PEER_PYTHON"
            ) from error
        weakref.finalize(self, _ended, self._process, self._complaints)

    def heard(self) -> NDArray[Any]:
        """Wait for what it says.

        Raises:
            EvaluationError: It ended; its last words are in the message.
        """
        assert self._process.stdout is not None, "it was asked for"
        answer = receive(self._process.stdout)
        if answer is None:
            raise self._failed()
        return answer

    def asked(self, array: NDArray[Any]) -> NDArray[Any]:
        """Send an array and wait for the answer.

        Raises:
            EvaluationError: It ended; its last words are in the message.
        """
        assert self._process.stdin is not None, "it was asked for"
        try:
            send(self._process.stdin, array)
        except OSError:
            raise self._failed() from None
        return self.heard()

    def _failed(self) -> EvaluationError:
        status = self._process.wait(PATIENCE)
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return EvaluationError(f"{self.words[0]}: ended with status {status}: {last}")


def _ended(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    """End a program by ending its input; kill it only if it does not heed that."""
    for stream in (process.stdin, process.stdout):
        # What was left to be sent, to one that has ended.
        with suppress(OSError):
            if stream is not None:
                stream.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    complaints.close()
