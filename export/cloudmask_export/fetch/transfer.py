"""Get bytes from one place, going on where a former attempt or run stopped.

HTTP range requests and validators: RFC 9110, sections 8.8, 13.1.5 and 14.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from cloudmask_export.fetch import page
from cloudmask_export.fetch.address import open_url
from cloudmask_export.fetch.errors import InterruptedTransferError, PlaceError
from cloudmask_export.fetch.part import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudmask_export.fetch.part import Part
    from cloudmask_export.fetch.policy import Policy, Progress

PIECE = 2**16
"""Bytes; at most so much is lost when a connection drops."""
LOOK = 512
"""Bytes that tell whether something is a web page."""
LONGEST_VALIDATOR = 512
OK, PARTIAL, RANGE_WRONG, SERVER_ERROR = 200, 206, 416, 500
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
"""Statuses below 500 that pass: timeout, too early, too many requests."""

# No file has more than 10^15 bytes.
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file from one place: a downloader as `pooch.retrieve` takes them."""

    name: str
    part: Part
    size: int | None
    """Bytes that the file must have; None if nobody knows."""
    policy: Policy
    progress: Progress

    def __call__(self, url: str, output_file: str, _pooch: object = None) -> None:
        """Write the file at an address into another file.

        Raises:
            PlaceError: The place does not give it, or gives something else.
        """
        with requests.Session() as session:
            self._persist(session, url)
        self.part.copy_to(Path(output_file))

    def _persist(self, session: requests.Session, url: str) -> None:
        last, asked = "", 0.0
        for wait in self.policy.waits():
            self.policy.sleep(max(wait, asked))
            try:
                self._attempt(session, url)
            except InterruptedTransferError as error:
                last, asked = str(error), error.wait
                if asked > self.policy.longest_asked:
                    raise PlaceError(f"{last}: try again in {asked:.0f} s, as it asks") from error
            else:
                return
        raise PlaceError(f"given up after {self.policy.attempts} attempts: {last}")

    def _attempt(self, session: requests.Session, url: str) -> None:
        held = self._held(url)
        if held and held.total == self.part.done:
            return
        asked = {"Accept-Encoding": "identity"}
        if held:
            asked |= {"Range": f"bytes={self.part.done}-", "If-Range": held.validator}
        timeouts = (self.policy.connect_timeout, self.policy.stall_timeout)
        with _named_errors(), open_url(session, url, asked, timeouts) as answer:
            self._refuse(answer)
            if answer.status_code == PARTIAL:
                self._go_on(answer, held)
            else:
                self._begin(answer, url)

    def _held(self, url: str) -> Source | None:
        """Return the source of the part if the same place can go on with it."""
        source = self.part.source()
        return source if source and source.url == url and self.part.resumable else None

    def _refuse(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status == RANGE_WRONG:
            self.part.remove()
            raise InterruptedTransferError("cannot go on from where the last attempt stopped")
        if status >= SERVER_ERROR or status in WORTH_ANOTHER_TRY:
            raise InterruptedTransferError(_status(answer), _asked_to_wait(answer))
        if status not in {OK, PARTIAL}:
            raise PlaceError(_status(answer))
        if _is_html(answer):
            raise PlaceError(page.refusal(_head(answer)))
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise PlaceError(
                f"sent it encoded as {answer.headers['Content-Encoding']}, which was not asked for"
            )

    def _go_on(self, answer: requests.Response, held: Source | None) -> None:
        given = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if held is None or not given or int(given[1]) != self.part.done:
            self.part.remove()
            raise InterruptedTransferError(
                f"sent another range ({answer.headers.get('Content-Range')}) than was asked for"
            )
        total = None if given[2] == "*" else int(given[2])
        self._check_total(total)
        done = self.part.done
        with self.part.more() as file:
            self._receive(answer, file, total, done)

    def _begin(self, answer: requests.Response, url: str) -> None:
        length = _NUMBER.fullmatch(answer.headers.get("Content-Length", ""))
        total = int(length[0]) if length else None
        self._check_total(total)
        with self.part.start(Source(url, _validator(answer.headers), total)) as file:
            self._receive(answer, file, total, 0)

    def _check_total(self, total: int | None) -> None:
        if total is None:
            return
        if self.size is not None and total != self.size:
            raise PlaceError(
                f"has {total:,} bytes where {self.size:,} are expected: another file, or another "
                "version of it"
            )
        if total > self.policy.largest:
            raise PlaceError(f"has {total:,} bytes; the limit is {self.policy.largest:,}")

    def _receive(
        self, answer: requests.Response, file: IO[bytes], total: int | None, done: int
    ) -> None:
        for piece in _headed(self._pieces(answer)):
            if not done and page.is_page(piece):
                raise PlaceError(page.refusal(piece))
            done += len(piece)
            self._check_not_beyond(done)
            file.write(piece)
            self.progress(self.name, done, total or self.size)
        self._check_whole(done, total)

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        """Yield what has come, as it comes; to wait for a whole piece may take days.

        Raises:
            InterruptedTransferError: Less comes than there must.
        """
        since, came = time.monotonic(), 0
        while piece := answer.raw.read1(PIECE):
            yield piece
            came += len(piece)
            seconds = time.monotonic() - since
            if seconds < self.policy.stall_timeout:
                continue
            if came < self.policy.slowest * seconds:
                raise InterruptedTransferError(f"stalled: {came:,} bytes came in {seconds:.0f} s")
            since, came = time.monotonic(), 0

    def _check_not_beyond(self, done: int) -> None:
        limit = self.policy.largest if self.size is None else self.size
        if done > limit:
            self.part.remove()
            raise PlaceError(f"sends more than {limit:,} bytes, which is all there may be")

    def _check_whole(self, done: int, total: int | None) -> None:
        expected = total or self.size
        if not done or (expected is not None and done < expected):
            told = "" if expected is None else f" of {expected:,}"
            raise InterruptedTransferError(f"ended after {done:,}{told} bytes")


def _headed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join the first pieces, so that the first one tells whether it is all a web page."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= LOOK:
            break
    if head:
        yield head
    yield from pieces


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn what requests raises into what a person understands."""
    try:
        yield
    except PlaceError:
        raise
    except requests.Timeout as error:
        if isinstance(error, requests.ConnectTimeout):
            raise PlaceError("no connection in time") from error
        raise InterruptedTransferError("stalled: no byte came in time") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise InterruptedTransferError("the connection dropped") from error
    except requests.ConnectionError as error:
        raise _connection_error(error) from error
    # What reading itself raises, below requests.
    except ReadTimeoutError as error:
        raise InterruptedTransferError("stalled: no byte came in time") from error
    except HTTPError as error:
        raise InterruptedTransferError("the connection dropped") from error
    except (requests.RequestException, ValueError) as error:
        raise PlaceError(f"cannot be asked ({error})") from error


def _connection_error(error: requests.ConnectionError) -> PlaceError:
    """Tell a connection that ended from one that never was; only the first is tried again."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, ProtocolError):
        return InterruptedTransferError("the connection dropped")
    if "timed out" in str(cause).lower():
        return InterruptedTransferError("stalled: no byte came in time")
    return PlaceError(f"no connection ({getattr(cause, 'reason', cause)})")


def _asked_to_wait(answer: requests.Response) -> float:
    """Read Retry-After (RFC 9110, section 10.2.3), seconds or a date; 0 if it says nothing."""
    said = answer.headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(said):
        return float(said)
    try:
        until = parsedate_to_datetime(said)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _status(answer: requests.Response) -> str:
    called = page.title(_head(answer)) if _is_html(answer) else ""
    return (
        f"answered {answer.status_code} {answer.reason or ''}{f' ({called!r})' if called else ''}"
    )


def _is_html(answer: requests.Response) -> bool:
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"}


def _head(answer: requests.Response) -> bytes:
    """Read the beginning of a page; what goes wrong meanwhile does not matter."""
    try:
        return next(answer.iter_content(page.HEAD), b"")
    except requests.RequestException:
        return b""


def _validator(headers: Mapping[str, str]) -> str:
    """Return what If-Range takes: a weak ETag may stand for other bytes."""
    tag = headers.get("ETag", "")
    found = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    return found if len(found) <= LONGEST_VALIDATOR else ""
