from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests

from cloudmask_export.families import families
from cloudmask_export.fetch import FetchError, fetch
from cloudmask_export.fetch.address import check, open_url
from cloudmask_export.fetch.errors import PlaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.export.fetch.conftest import Publish, Site

    from cloudmask_export.fetch import Policy


def test_every_published_address_may_be_asked() -> None:
    for family in families().values():
        for weights in family.members:
            assert [check(url) for url in weights.urls] == list(weights.urls)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/a", "http://localhost/a", "http://[::1]/a", "https://x.org"]
)
def test_https_and_this_machine_may_be_asked(url: str) -> None:
    assert check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/net.pkl",
        "http://127.0.0.1.example.org/net.pkl",
        "http://localhost@example.org/net.pkl",
        "ftp://example.org/net.pkl",
        "file:///etc/passwd",
        "net.pkl",
    ],
)
def test_no_other_address_is_asked(url: str) -> None:
    with pytest.raises(PlaceError, match="only https is asked"):
        check(url)


def test_a_published_place_without_https_is_refused_unasked(
    published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    with pytest.raises(FetchError, match=r"http://example\.org/net: only https is asked"):
        fetch(published_at("http://example.org/net"), tmp_path, policy=hasty)


def test_redirects_are_followed(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    site.serve("/deep/net", site.whole())
    site.serve("/second", site.redirect("deep/net"))
    url = site.serve("/first", site.redirect(site.address + "/second"))
    fetch(published_at(url), tmp_path, policy=hasty)
    assert [each.path for each in site.asked] == ["/first", "/second", "/deep/net"]
    assert (tmp_path / "net.pkl").read_bytes() == weights


@pytest.mark.parametrize(
    "target",
    ["http://example.org/net", "ftp://127.0.0.1/net", "file:///etc/passwd"],
)
def test_a_redirect_to_another_scheme_or_plain_http_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, target: str
) -> None:
    url = site.serve("/net", site.redirect(target))
    with pytest.raises(FetchError, match="redirected to an address that is not asked"):
        fetch(published_at(url), tmp_path, policy=hasty)
    assert len(site.asked) == 1


def test_a_redirect_to_what_is_no_address_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    url = site.serve("/net", site.redirect("http://[bad/"))
    with pytest.raises(FetchError, match=r"/net: cannot be asked \(Invalid IPv6"):
        fetch(published_at(url), tmp_path, policy=hasty)


class SecureSession(requests.Session):
    """Answers for https://secure.example as a server there would, without a network."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location

    def get(self, url: str | bytes, *_args: Any, **_options: Any) -> requests.Response:
        """Redirect."""
        answer = requests.Response()
        answer.status_code, answer.url = 302, str(url)
        answer.headers["Location"] = self.location
        answer.raw = BytesIO()
        return answer


def test_https_is_never_left_for_plain_http_not_even_on_this_machine() -> None:
    session = SecureSession("http://127.0.0.1:9/net")
    with pytest.raises(PlaceError, match=r"from https to http://127\.0\.0\.1:9/net"):
        open_url(session, "https://secure.example/net", {}, (1, 1))


def test_a_circle_of_redirects_ends(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    url = site.serve("/net", site.redirect("/net"))
    with pytest.raises(FetchError, match="redirected more than 8 times"):
        fetch(published_at(url), tmp_path, policy=hasty)
    assert len(site.asked) == 8


def test_this_machine_is_not_asked_by_way_of_a_proxy(
    site: Site,
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, policy=hasty)
    assert [each.path for each in site.asked] == ["/net"]


@pytest.fixture
def nobody() -> str:
    """An address on this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}/net"


def test_where_nobody_answers_nothing_is_tried_again(
    nobody: str, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    with pytest.raises(FetchError, match=r"no connection \(.*refused"):
        fetch(published_at(nobody), tmp_path, policy=hasty)
    assert naps == [0]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def engaged() -> Iterator[str]:
    """An address on this machine whose queue of callers is full."""
    with socket.socket() as listener, ExitStack() as callers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)  # noqa: FBT003  # its signature
            caller.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/net"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses at once")
def test_where_nobody_takes_the_call_nothing_is_tried_again(
    engaged: str, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    policy = replace(hasty, connect_timeout=0.3)
    with pytest.raises(FetchError, match="no connection in time"):
        fetch(published_at(engaged), tmp_path, policy=policy)
    assert naps == [0]


def test_a_host_that_does_not_exist_is_named(
    published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    # .invalid never resolves: RFC 2606.
    with pytest.raises(FetchError, match=r"https://weights\.invalid/net: no connection"):
        fetch(published_at("https://weights.invalid/net"), tmp_path, policy=hasty)
    assert naps == [0]


def test_what_is_said_of_an_address_keeps_its_secrets() -> None:
    with pytest.raises(PlaceError, match=r"^http://x\.org/a: only https") as caught:
        check("http://me:hunter2@x.org/a?X-Amz-Signature=hunter3")
    assert "hunter" not in str(caught.value)
