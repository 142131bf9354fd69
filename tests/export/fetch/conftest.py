"""A web server on this machine that does what servers do on bad days."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from cloudmask_export.families import family

pytest.importorskip("pooch")

from cloudmask_export.fetch import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask_export.families import Family

WEIGHTS = np.random.default_rng(7).bytes(400_000)
"""A weight file: several pieces long."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    path: str
    range: str | None
    if_range: str | None
    encoding: str | None


class Publish(Protocol):
    """Publish one file at these places."""

    def __call__(self, *urls: str, size: int | None = None, file: str = "net.pkl") -> Family:
        """Give the family whose only member it is."""


class Answer(Protocol):
    """Answer one request."""

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        """Write status, headers and body."""


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        if value:
            request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


@dataclass
class Site:
    """What a server answers, and what it was asked."""

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, *answers: Answer) -> str:
        """Give these answers at a path, one a request, the last one ever after."""
        self.answers[path] = list(answers)
        return self.address + path

    def ranges(self) -> list[str | None]:
        """List the ranges asked for, in order."""
        return [each.range for each in self.asked]

    def whole(self, body: bytes = WEIGHTS, etag: str = '"1"', **headers: str) -> Answer:
        """Give a body, or the range asked for if it still has that ETag."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            start = self._start(request, etag)
            tagged = {"ETag": etag, **headers}
            if start is None:
                _send(request, 200, body, **tagged)
            elif start >= len(body):
                _send(request, 416, b"", Content_Range=f"bytes */{len(body)}")
            else:
                span = f"bytes {start}-{len(body) - 1}/{len(body)}"
                _send(request, 206, body[start:], Content_Range=span, **tagged)

        return answer

    @staticmethod
    def _start(request: BaseHTTPRequestHandler, etag: str) -> int | None:
        span = request.headers.get("Range")
        if not span or request.headers.get("If-Range", etag) != etag:
            return None
        return int(span.removeprefix("bytes=").rstrip("-"))

    def dropping(self, after: int, body: bytes = WEIGHTS, etag: str = '"1"') -> Answer:
        """Promise what `whole` gives, send no more than so many bytes and hang up."""
        return self._broken(after, body, etag, stall=False)

    def stalling(self, after: int, body: bytes = WEIGHTS, etag: str = '"1"') -> Answer:
        """Promise what `whole` gives, send no more than so many bytes and fall silent."""
        return self._broken(after, body, etag, stall=True)

    def _broken(self, after: int, body: bytes, etag: str, *, stall: bool) -> Answer:
        def answer(request: BaseHTTPRequestHandler) -> None:
            start = self._start(request, etag)
            rest = body[start or 0 :]
            request.send_response(200 if start is None else 206)
            request.send_header("Content-Length", str(len(rest)))
            request.send_header("ETag", etag)
            if start is not None:
                span = f"bytes {start}-{len(body) - 1}/{len(body)}"
                request.send_header("Content-Range", span)
            request.end_headers()
            request.wfile.write(rest[:after])
            request.wfile.flush()
            if stall:
                self.closing.wait(20)
            request.close_connection = True

        return answer

    def dripping(self, body: bytes = WEIGHTS, after: int = 2000, pause: float = 0.05) -> Answer:
        """Promise a body, or what is asked of it; send so many bytes, then one by one."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            start = self._start(request, '"1"') or 0
            rest = body[start:]
            request.send_response(206 if start else 200)
            request.send_header("Content-Length", str(len(rest)))
            request.send_header("ETag", '"1"')
            if start:
                span = f"bytes {start}-{len(body) - 1}/{len(body)}"
                request.send_header("Content-Range", span)
            request.end_headers()
            request.wfile.write(rest[:after])
            for number in range(after, len(rest)):
                request.wfile.write(rest[number : number + 1])
                if self.closing.wait(pause):
                    break

        return answer

    @staticmethod
    def just(status: int, body: bytes = b"", **headers: str) -> Answer:
        """Give these bytes whatever was asked; a header "" is left out."""
        return lambda request: _send(request, status, body, **headers)

    @staticmethod
    def page(title: str, status: int = 200) -> Answer:
        """Give a web page."""
        text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>No.</body></html>"
        return Site.just(status, text.encode(), Content_Type="text/html; charset=utf-8")

    @staticmethod
    def hanging_up(request: BaseHTTPRequestHandler) -> None:
        """Say nothing and hang up."""
        request.close_connection = True

    @staticmethod
    def redirect(to: str) -> Answer:
        """Send elsewhere."""
        return Site.just(302, Location=to)

    @staticmethod
    def after(event: threading.Event, answer: Answer) -> Answer:
        """Answer once something has happened."""

        def wait(request: BaseHTTPRequestHandler) -> None:
            event.wait(20)
            answer(request)

        return wait


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            heads = self.headers
            site.asked.append(
                Asked(self.path, heads["Range"], heads["If-Range"], heads["Accept-Encoding"])
            )
            left = site.answers[self.path]
            answer = left.pop(0) if len(left) > 1 else left[0]
            # The other side hangs up when it has seen enough.
            with suppress(ConnectionError):
                answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            """Say nothing."""

    return Handler


class Server(ThreadingHTTPServer):
    """Does not mind who hangs up."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on loopback."""
    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        made = Site(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = _handler(made)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def weights() -> bytes:
    """What the server's weight files hold."""
    return WEIGHTS


@pytest.fixture
def naps() -> list[float]:
    """The waits between attempts, in seconds."""
    return []


@pytest.fixture
def hasty(naps: list[float]) -> Policy:
    """Give up soon, and write waits down instead of waiting."""
    return Policy(attempts=4, connect_timeout=2, stall_timeout=0.5, sleep=naps.append)


@pytest.fixture
def published_at() -> Publish:
    """Publish one file at other places than the real ones."""

    def publish(*urls: str, size: int | None = None, file: str = "net.pkl") -> Family:
        real = family("clouds2mask-20m")
        member = replace(real.members[0], file=file, urls=urls, size=size)
        return replace(real, members=(member,))

    return publish
