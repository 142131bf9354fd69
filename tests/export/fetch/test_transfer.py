from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudmask_export.fetch import FetchError, Policy, fetch
from cloudmask_export.fetch.part import HEADER
from cloudmask_export.fetch.transfer import PIECE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.fetch.conftest import Publish, Site


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_whole_under_its_published_name(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    family = published_at(site.serve("/some/where", site.whole()))
    assert fetch(family, tmp_path / "new", policy=hasty) == [tmp_path / "new" / "net.pkl"]
    assert (tmp_path / "new" / "net.pkl").read_bytes() == weights
    assert names(tmp_path / "new") == ["net.pkl"]


def test_what_the_server_calls_the_file_does_not_count(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    named = site.whole(Content_Disposition='attachment; filename="../../evil.pkl"')
    fetch(published_at(site.serve("/net", named)), tmp_path / "a" / "b", policy=hasty)
    assert names(tmp_path / "a" / "b") == ["net.pkl"]
    assert names(tmp_path) == ["a"]


def test_progress_is_told_up_to_the_last_byte(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    told: list[tuple[str, int, int | None]] = []
    family = published_at(site.serve("/net", site.whole()))
    fetch(family, tmp_path, policy=hasty, progress=lambda *piece: told.append(piece))
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == ("net.pkl", len(weights), len(weights))


def test_progress_knows_the_published_size_where_the_server_says_none(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    told: list[tuple[str, int, int | None]] = []
    unsaid = site.just(200, weights, Content_Length="", Connection="close")
    family = published_at(site.serve("/net", unsaid), size=len(weights))
    fetch(family, tmp_path, policy=hasty, progress=lambda *piece: told.append(piece))
    assert {total for _, _, total in told} == {len(weights)}


def test_bytes_are_asked_for_as_they_are(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, policy=hasty)
    assert [each.encoding for each in site.asked] == ["identity"]


def test_what_looks_like_a_page_in_the_middle_of_a_file_is_part_of_it(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    body = weights[:PIECE] + b"<html>" + weights[PIECE:]
    fetch(published_at(site.serve("/net", site.whole(body))), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == body


def test_a_dropped_connection_is_gone_on_with_where_it_stopped(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    family = published_at(site.serve("/net", site.dropping(200_000), site.whole()))
    fetch(family, tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights
    first, second = site.asked
    assert first.range is None
    assert second.range is not None
    assert 100_000 < int(second.range.removeprefix("bytes=").removesuffix("-")) <= 200_000
    assert second.if_range == '"1"'


@pytest.mark.parametrize("seed", range(6))
def test_however_often_and_wherever_it_drops_the_file_arrives_whole(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes, seed: int
) -> None:
    points = np.random.default_rng(seed).integers(200_000, size=3)
    drops = [site.dropping(int(point)) for point in points]
    fetch(published_at(site.serve("/net", *drops, site.whole())), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert names(tmp_path) == ["net.pkl"]


def test_waits_between_attempts_double(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    family = published_at(site.serve("/net", *[site.dropping(9)] * 3, site.whole()))
    fetch(family, tmp_path, policy=hasty)
    assert naps == [0, 1, 2, 4]


def test_a_later_run_goes_on_with_what_a_failed_one_left(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    steps = [site.dropping(150_000), *[site.just(503)] * 3]
    family = published_at(site.serve("/net", *steps, site.whole()))
    with pytest.raises(FetchError, match="given up after 4 attempts: answered 503"):
        fetch(family, tmp_path, policy=hasty)
    assert names(tmp_path) == ["net.pkl.part"]
    held = (tmp_path / "net.pkl.part").stat().st_size - HEADER
    assert held > 100_000
    fetch(family, tmp_path, policy=hasty)
    assert site.asked[-1].range == f"bytes={held}-"
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert names(tmp_path) == ["net.pkl"]


def test_a_server_that_ignores_ranges_sends_it_all_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    again = site.just(200, weights, ETag='"1"')
    fetch(published_at(site.serve("/net", site.dropping(200_000), again)), tmp_path, policy=hasty)
    assert site.ranges()[1] is not None
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_file_that_changed_meanwhile_is_not_mixed_with_its_former_self(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    changed = weights[::-1]
    steps = site.dropping(200_000), site.whole(changed, etag='"2"')
    fetch(published_at(site.serve("/net", *steps)), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == changed
    assert site.asked[1].if_range == '"1"'


@pytest.mark.parametrize("etag", ["", 'W/"1"', f'"{"x" * 5000}"'], ids=["none", "weak", "huge"])
def test_without_a_strong_validator_nothing_is_gone_on_with(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes, etag: str
) -> None:
    steps = site.dropping(200_000, etag=etag), site.whole(etag=etag)
    fetch(published_at(site.serve("/net", *steps)), tmp_path, policy=hasty)
    assert site.ranges() == [None, None]
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_the_date_of_the_last_change_validates_where_there_is_no_etag(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    short = site.just(200, weights[:90_000], Content_Length="400000", Last_Modified=date)
    rest = site.just(206, weights[90_000:], Content_Range="bytes 90000-399999/400000")
    fetch(published_at(site.serve("/net", short, rest)), tmp_path, policy=hasty)
    assert (site.asked[1].if_range, site.asked[1].range) == (date, "bytes=90000-")
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_another_range_than_was_asked_for_is_not_taken(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    wrong = site.just(206, weights[5:], Content_Range="bytes 5-399999/400000")
    steps = site.dropping(200_000), wrong, site.whole()
    fetch(published_at(site.serve("/net", *steps)), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_range_that_was_not_asked_for_is_not_taken(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    wrong = site.just(206, weights, Content_Range="bytes 0-399999/400000")
    fetch(published_at(site.serve("/net", wrong, site.whole())), tmp_path, policy=hasty)
    assert len(site.asked) == 2
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_file_that_became_shorter_than_what_is_here_is_fetched_anew(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    short = weights[:1000]
    steps = site.dropping(200_000), site.whole(short)
    fetch(published_at(site.serve("/net", *steps)), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == short
    assert site.ranges()[2] is None


def test_a_part_that_was_whole_is_not_asked_for_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    family = published_at(site.serve("/net", site.dropping(200_000), site.just(404)))
    with pytest.raises(FetchError, match="answered 404"):
        fetch(family, tmp_path, policy=hasty)
    part = tmp_path / "net.pkl.part"
    part.write_bytes(part.read_bytes()[:HEADER] + weights)
    fetch(family, tmp_path, policy=hasty)
    assert len(site.asked) == 2
    assert (tmp_path / "net.pkl").read_bytes() == weights


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"url": 1}', bytes(9000)])
def test_a_damaged_part_is_not_gone_on_with(
    site: Site,
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    weights: bytes,
    garbage: bytes,
) -> None:
    (tmp_path / "net.pkl.part").write_bytes(garbage)
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, policy=hasty)
    assert site.ranges() == [None]
    assert (tmp_path / "net.pkl").read_bytes() == weights


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_server_that_recovers_is_asked_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes, status: int
) -> None:
    fetch(
        published_at(site.serve("/net", site.just(status), site.whole())), tmp_path, policy=hasty
    )
    assert (tmp_path / "net.pkl").read_bytes() == weights


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_not_asked_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, status: int
) -> None:
    with pytest.raises(FetchError, match=f"/net: answered {status}"):
        fetch(published_at(site.serve("/net", site.just(status))), tmp_path, policy=hasty)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_silence_is_not_waited_for_but_gone_on_after(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    fetch(
        published_at(site.serve("/net", site.stalling(200_000), site.whole())),
        tmp_path,
        policy=hasty,
    )
    assert site.ranges()[1] is not None
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_drip_is_a_stall_and_what_it_brought_is_gone_on_with(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    family = published_at(site.serve("/net", site.dripping(), site.whole()))
    fetch(family, tmp_path, policy=hasty)
    assert int(str(site.ranges()[1]).removeprefix("bytes=").removesuffix("-")) > 2000
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_place_that_drips_on_and_on_is_given_up_with_how_little_came(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.dripping(after=100)))
    with pytest.raises(FetchError, match=r"given up after 4 attempts: stalled: \d+ bytes came"):
        fetch(family, tmp_path, policy=hasty)


def test_a_web_page_that_drips_is_known_all_the_same(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    page = b"<!DOCTYPE html><html><title>Sign in</title>" + b" " * 600
    family = published_at(site.serve("/net", site.dripping(page, after=0, pause=0.0002)))
    with pytest.raises(FetchError, match="sent a web page"):
        fetch(family, tmp_path, policy=hasty)
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_as_long_as_it_asks(
    site: Site,
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    naps: list[float],
    status: int,
) -> None:
    busy = site.just(status, Retry_After="17")
    fetch(published_at(site.serve("/net", busy, busy, site.whole())), tmp_path, policy=hasty)
    assert naps == [0, 17, 17]


def test_a_server_may_ask_for_a_date(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    busy = site.just(429, Retry_After=later)
    fetch(published_at(site.serve("/net", busy, site.whole())), tmp_path, policy=hasty)
    assert 50 < naps[1] <= 100


@pytest.mark.parametrize("said", ["soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_what_a_server_asks_in_vain_is_no_reason_to_wait_longer(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float], said: str
) -> None:
    busy = site.just(429, Retry_After=said)
    fetch(published_at(site.serve("/net", busy, site.whole())), tmp_path, policy=hasty)
    assert naps == [0, 1]


def test_a_server_that_asks_for_hours_is_given_up_and_its_wish_told(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    family = published_at(site.serve("/net", site.just(429, Retry_After="7200"), site.whole()))
    with pytest.raises(FetchError, match=r"answered 429 .*: try again in 7200 s"):
        fetch(family, tmp_path, policy=hasty)
    assert naps == [0]


def test_silence_before_the_answer_is_a_stall_too(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    late = site.after(site.closing, site.whole())
    fetch(published_at(site.serve("/net", late, site.whole())), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_server_that_hangs_up_before_it_answers_is_asked_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    family = published_at(site.serve("/net", site.hanging_up, site.whole()))
    fetch(family, tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_place_that_keeps_silent_is_given_up(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.stalling(0)))
    with pytest.raises(FetchError, match="given up after 4 attempts: stalled"):
        fetch(family, tmp_path, policy=hasty)
    assert names(tmp_path) == []


def test_a_file_that_keeps_being_cut_short_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.dropping(0)))
    with pytest.raises(FetchError, match="given up after 4 attempts: the connection dropped"):
        fetch(family, tmp_path, policy=hasty)
    assert names(tmp_path) == []


def test_fewer_bytes_than_published_are_refused_where_the_server_says_no_length(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    unsaid = site.just(200, weights, Content_Length="", Connection="close")
    family = published_at(site.serve("/net", unsaid), size=400_001)
    with pytest.raises(FetchError, match=r"ended after 400,000 of 400,001 bytes"):
        fetch(family, tmp_path, policy=hasty)
    assert "net.pkl" not in names(tmp_path)


def test_a_file_without_a_stated_length_is_taken(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    unsaid = site.just(200, weights, Content_Length="", Connection="close")
    fetch(published_at(site.serve("/net", unsaid)), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_an_empty_file_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    with pytest.raises(FetchError, match="ended after 0 bytes"):
        fetch(published_at(site.serve("/net", site.just(200))), tmp_path, policy=hasty)
    assert names(tmp_path) == []


def test_another_size_than_published_is_refused_before_a_byte_is_taken(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.whole()), size=399_999)
    with pytest.raises(FetchError, match=r"has 400,000 bytes where 399,999 are expected"):
        fetch(family, tmp_path, policy=hasty)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_more_bytes_than_published_are_refused_where_the_server_says_no_length(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    unsaid = site.just(200, weights, Content_Length="", Connection="close")
    family = published_at(site.serve("/net", unsaid), size=100_000)
    with pytest.raises(FetchError, match="sends more than 100,000 bytes"):
        fetch(family, tmp_path, policy=hasty)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ("400000", "has 400,000 bytes; the limit is 399,999"),
        ("", "sends more than 399,999 bytes"),
    ],
)
def test_a_file_beyond_the_limit_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, weights: bytes, length: str, message: str
) -> None:
    sent = site.just(200, weights, Content_Length=length, Connection="close")
    with pytest.raises(FetchError, match=message):
        fetch(published_at(site.serve("/net", sent)), tmp_path, policy=Policy(largest=399_999))
    assert names(tmp_path) == []


def test_a_web_page_is_refused_with_its_title_and_the_remedy(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    page = site.page("Google Drive - Quota\n exceeded &amp; more\x07")
    family = published_at(site.serve("/net", page))
    with pytest.raises(FetchError, match=r"a web page \('Google Drive - Quota exceeded & more'\)"):
        fetch(family, tmp_path, policy=hasty)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_a_web_page_that_is_called_a_file_is_refused_too(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    called = site.just(200, b"\n <!doctype HTML><p>Virus scan", Content_Type="application/zip")
    with pytest.raises(FetchError, match=r"sent a web page and not the file: .* in a browser"):
        fetch(published_at(site.serve("/net", called)), tmp_path, policy=hasty)
    assert names(tmp_path) == []


def test_a_refusal_that_is_a_web_page_is_told_by_its_title(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.page("Sign in", 403)))
    with pytest.raises(FetchError, match=r"answered 403 Forbidden \('Sign in'\)"):
        fetch(family, tmp_path, policy=hasty)


def test_a_file_that_comes_compressed_is_refused(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    packed = site.just(200, b"x" * 50, Content_Encoding="gzip")
    with pytest.raises(FetchError, match="encoded as gzip"):
        fetch(published_at(site.serve("/net", packed)), tmp_path, policy=hasty)


@pytest.mark.parametrize("length", ["9" * 5000, "nonsense"])
def test_a_length_that_is_no_number_does_not_count(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, length: str
) -> None:
    odd = site.just(200, b"x" * 50, Content_Length=length, Connection="close")
    try:
        (path,) = fetch(published_at(site.serve("/net", odd)), tmp_path, policy=hasty)
    except FetchError:
        assert "net.pkl" not in names(tmp_path)
    else:
        assert path.read_bytes() == b"x" * 50
