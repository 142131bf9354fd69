"""Which addresses are asked: https, and plain http on this machine only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from cloudmask_export.fetch.errors import PlaceError

if TYPE_CHECKING:
    import requests

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_HOPS = 8


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    return urlsplit(url).hostname in LOOPBACK


def check(url: str) -> str:
    """Return an address that may be asked.

    Raises:
        PlaceError: Its scheme would let others change what is sent, or is no download at all.
    """
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and is_loopback(url)):
        return url
    raise PlaceError(f"{shown(url)}: only https is asked (http on this machine only)")


def shown(url: str) -> str:
    """Give an address for a message: without user, password and query, which may be signed."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def open_url(
    session: requests.Session, url: str, headers: dict[str, str], timeouts: tuple[float, float]
) -> requests.Response:
    """Ask an address and follow it where it leads, checking each hop.

    Args:
        session: Asks; whether it takes proxies from the environment is set by the address.
        url: The first address.
        headers: Sent to each hop.
        timeouts: Seconds to connect, and without a byte.

    Returns:
        The answer that is no redirect, its body unread.

    Raises:
        PlaceError: A hop leads to an address that is not asked, or there are too many.
    """
    check(url)
    for _ in range(MOST_HOPS):
        session.trust_env = not is_loopback(url)
        answer = session.get(
            url, headers=headers, timeout=timeouts, stream=True, allow_redirects=False
        )
        if not answer.is_redirect:
            return answer
        answer.close()
        url = _next(url, answer.headers["Location"])
    raise PlaceError(f"redirected more than {MOST_HOPS} times, last to {shown(url)}")


def _next(url: str, location: str) -> str:
    try:
        target = check(urljoin(url, location))
    except ValueError as error:  # no address at all, or one that is not asked
        raise PlaceError(f"redirected to an address that is not asked: {error}") from error
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise PlaceError(f"redirected from https to {shown(target)}; plain http is not asked")
    return target
