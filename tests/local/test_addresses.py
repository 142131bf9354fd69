from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.errors import CubeError
from cloudmask.local.addresses import check_encrypted, file_name, without_secrets


@pytest.mark.parametrize(
    "address", ["http://example.org/a", "HTTP://example.org", "http://1.2.3.4"]
)
def test_plain_http_is_refused(address: str) -> None:
    with pytest.raises(CubeError, match="is plain http"):
        check_encrypted(address)


@pytest.mark.parametrize(
    "address",
    ["https://example.org/a", "http://127.0.0.1:8000/a", "http://localhost/a", "http://[::1]/a",
     "s3://bucket/a", "/data/http/a.tif", "a.tif"],
)  # fmt: skip
def test_all_else_may_be_read(address: str) -> None:
    check_encrypted(address)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@example.org/a.tif", "https://example.org/a.tif"),
        ("(/vsicurl/https://me@h/a.tif: 404)", "(/vsicurl/https://h/a.tif: 404)"),
        ("https://h/a?X-Amz-Signature=abc&b=1", "https://h/a?X-Amz-Signature=...&b=1"),
        ("https://h/a?b=1&sig=a%2Fb, gone", "https://h/a?b=1&sig=... gone"),
        ("https://h/a?access_token=abc: 404", "https://h/a?access_token=... 404"),
        ("https://h/a?collections=s2&bbox=1,2,3,4", "https://h/a?collections=s2&bbox=1,2,3,4"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_addresses_are_shown_without_their_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@given(secret=st.text("abcdefghijklmnopqrstuvwxyz0123456789%._~+-", min_size=8))
def test_no_signature_is_left_in_what_is_shown(secret: str) -> None:
    text = f"cannot open https://u:{secret}@h/a.tif?X-Goog-Signature={secret}&sv=1: 403"
    assert secret not in without_secrets(text)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("https://h/x/a.tif?sig=a/b.c", "a.tif"),
        ("https://me:pw@h/a.tif#b", "a.tif"),
        ("/data/a?b#c.tif", "a?b#c.tif"),
        ("a.tif", "a.tif"),
    ],
)
def test_a_file_is_named_without_what_follows_in_its_address(place: str, name: str) -> None:
    assert file_name(place) == name
