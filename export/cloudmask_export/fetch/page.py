"""Web pages where weights should be: what a download service sends when it refuses."""

from __future__ import annotations

import html
import re

_START = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
LONGEST_TITLE = 120
HEAD = 2**16
"""Bytes within which a page has said its title."""


def is_page(head: bytes) -> bool:
    """Tell whether bytes are the beginning of an HTML page."""
    return _START.match(head) is not None


def title(head: bytes) -> str:
    """Return a page's title in printable characters; "" if it has none."""
    found = _TITLE.search(head[:HEAD].decode("utf-8", "replace"))
    if not found:
        return ""
    words = " ".join(html.unescape(found[1]).split())
    return "".join(filter(str.isprintable, words))[:LONGEST_TITLE]


def refusal(head: bytes) -> str:
    """Say what a page in place of a file means."""
    called = title(head)
    return (
        f"sent a web page{f' ({called!r})' if called else ''} and not the file: the service asks "
        "for a person (a quota is used up, or it could not check the file for viruses); open the "
        "address in a browser"
    )
