from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pooch
import pytest

from cloudmask_export.families import family as published
from cloudmask_export.fetch import FetchError, Lock, Pin, Policy, fetch, pin, read_lock
from cloudmask_export.fetch.page import LONGEST_TITLE, is_page, title

if TYPE_CHECKING:
    from tests.export.fetch.conftest import Publish, Site

WRONG = "0" * 64


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_with_the_right_hash_is_taken_without_a_word(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    said: list[str] = []
    lock = Lock({"net.pkl": Pin(sha256(weights))})
    family = published_at(site.serve("/net", site.whole()))
    fetch(family, tmp_path, lock=lock, policy=hasty, say=said.append)
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert said == []


def test_a_file_with_a_wrong_hash_is_deleted_and_both_hashes_are_named(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    lock = Lock({"net.pkl": Pin(WRONG)})
    family = published_at(site.serve("/net", site.whole()))
    with pytest.raises(FetchError, match=r"deleted.*--lock") as caught:
        fetch(family, tmp_path, lock=lock, policy=hasty)
    assert sha256(weights) in str(caught.value)
    assert WRONG in str(caught.value)
    assert names(tmp_path) == []


def test_a_pinned_size_is_refused_before_a_byte_is_taken(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    lock = Lock({"net.pkl": Pin(sha256(weights), 5)})
    family = published_at(site.serve("/net", site.whole()), size=len(weights))
    with pytest.raises(FetchError, match="400,000 bytes where 5 are expected"):
        fetch(family, tmp_path, lock=lock, policy=hasty)


def test_a_pin_without_a_size_goes_before_the_published_size(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    lock = Lock({"net.pkl": Pin(sha256(weights))})
    family = published_at(site.serve("/net", site.whole()), size=5)
    assert fetch(family, tmp_path, lock=lock, policy=hasty) == [tmp_path / "net.pkl"]


def test_a_file_that_no_lock_knows_is_taken_with_its_hash_and_how_to_pin_it(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    said: list[str] = []
    family = published_at(site.serve("/net", site.whole()))
    fetch(family, tmp_path, lock=Lock(), policy=hasty, say=said.append)
    assert len(said) == 1
    assert "no lock file knows its hash" in said[0]
    assert "runs nothing" in said[0]
    # What is shown is a lock file that accepts this file and no other.
    shown = tmp_path / "shown.json"
    shown.write_text(said[0].splitlines()[-1])
    assert read_lock(shown).of("net.pkl") == Pin(sha256(weights), len(weights))


def test_a_pinned_file_is_not_fetched_again(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at(site.serve("/net", site.whole()))
    (path,) = fetch(family, tmp_path, policy=hasty)
    pin(path, tmp_path / "lock.json")
    said: list[str] = []
    lock = read_lock(tmp_path / "lock.json")
    assert fetch(family, tmp_path, lock=lock, policy=hasty, say=said.append) == [path]
    assert len(site.asked) == 1
    assert said == []


def test_a_file_put_there_by_hand_is_taken_without_asking_anybody(
    published_at: Publish, tmp_path: Path, hasty: Policy, naps: list[float]
) -> None:
    (tmp_path / "net.pkl").write_bytes(b"by hand")
    family = published_at("https://weights.invalid/net", size=7)
    assert fetch(family, tmp_path, policy=hasty) == [tmp_path / "net.pkl"]
    assert naps == []


def test_a_browsers_copy_is_taken_where_the_plain_name_is_not_there(
    published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    copy = tmp_path / "net (1).pkl"
    copy.write_bytes(b"by hand")
    family = published_at("https://weights.invalid/net")
    assert fetch(family, tmp_path, policy=hasty) == [copy]
    (tmp_path / "net.pkl").write_bytes(b"by hand")
    assert fetch(family, tmp_path, policy=hasty) == [tmp_path / "net.pkl"]


def test_either_format_of_a_file_that_is_published_in_two_will_do(
    published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    urls = "https://weights.invalid/net.safetensors", "https://weights.invalid/drive?id=1"
    family = published_at(*urls, file="net.pth")
    (tmp_path / "net.pth").write_bytes(b"by hand")
    assert fetch(family, tmp_path, policy=hasty) == [tmp_path / "net.pth"]
    (tmp_path / "net.safetensors").write_bytes(b"by hand")
    assert fetch(family, tmp_path, policy=hasty) == [tmp_path / "net.safetensors"]


def test_each_place_saves_the_format_that_it_gives(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    first = site.serve("/net.safetensors", site.just(404), site.whole())
    second = site.serve("/drive", site.whole(b"older format"))
    family = published_at(first, second, file="net.pth")
    assert fetch(family, tmp_path / "a", policy=hasty) == [tmp_path / "a" / "net.pth"]
    assert fetch(family, tmp_path / "b", policy=hasty) == [tmp_path / "b" / "net.safetensors"]
    assert (tmp_path / "a" / "net.pth").read_bytes() == b"older format"
    assert (tmp_path / "b" / "net.safetensors").read_bytes() == weights


@pytest.mark.parametrize("content", [b"", b"short", b"<html><title>Quota"])
def test_a_file_that_cannot_be_it_is_replaced(
    site: Site,
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    weights: bytes,
    content: bytes,
) -> None:
    (tmp_path / "net.pkl").write_bytes(content)
    size = len(weights) if content == b"short" else None
    fetch(published_at(site.serve("/net", site.whole()), size=size), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_file_with_a_wrong_hash_is_replaced_by_a_right_one(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    (tmp_path / "net.pkl").write_bytes(b"x" * len(weights))
    lock = Lock({"net.pkl": Pin(sha256(weights))})
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, lock=lock, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_a_file_with_a_wrong_hash_is_named_and_left_where_no_right_one_can_be_had(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    (tmp_path / "net.pkl").write_bytes(b"x")
    lock = Lock({"net.pkl": Pin(WRONG)})
    family = published_at(site.serve("/net", site.just(404)))
    with pytest.raises(FetchError, match=r"net\.pkl is there, but its sha256 is") as caught:
        fetch(family, tmp_path, lock=lock, policy=hasty)
    assert sha256(b"x") in str(caught.value)
    assert WRONG in str(caught.value)
    assert names(tmp_path) == ["net.pkl"]


def test_the_next_place_is_asked_if_one_fails(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    urls = [site.serve("/a", site.just(404)), site.serve("/b", site.whole())]
    fetch(published_at(*urls), tmp_path, policy=hasty)
    assert [each.path for each in site.asked] == ["/a", "/b"]
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_the_next_place_is_asked_if_one_gives_wrong_bytes(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    urls = [site.serve("/a", site.whole(weights[::-1])), site.serve("/b", site.whole())]
    lock = Lock({"net.pkl": Pin(sha256(weights))})
    fetch(published_at(*urls), tmp_path, lock=lock, policy=hasty)
    assert site.ranges() == [None, None]
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_what_one_place_began_another_does_not_go_on_with(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    first = site.serve("/a", site.dropping(200_000), site.just(404))
    second = site.serve("/b", site.whole())
    fetch(published_at(first, second), tmp_path, policy=hasty)
    assert site.asked[-1].path == "/b"
    assert site.asked[-1].range is None
    assert (tmp_path / "net.pkl").read_bytes() == weights


def test_what_every_place_answered_is_listed(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    urls = [site.serve("/a", site.just(404)), site.serve("/b", site.page("Quota"))]
    with pytest.raises(FetchError, match=r"/a: answered 404") as caught:
        fetch(published_at(*urls), tmp_path, policy=hasty)
    assert f"{urls[1]}: sent a web page ('Quota')" in str(caught.value)


def test_without_a_network_the_message_says_what_to_get_where_and_what_then(
    tmp_path: Path, hasty: Policy
) -> None:
    real = published("omnicloudmask-v1")
    offline = replace(
        real,
        members=tuple(
            replace(
                each,
                urls=tuple(f"https://weights.invalid/{each.member}/{name}" for name in each.names),
            )
            for each in real.members
        ),
    )
    folder = tmp_path / "my networks" / "weights"
    with pytest.raises(FetchError, match="2 of 2 files of omnicloudmask-v1") as caught:
        fetch(offline, folder, policy=hasty)
    message = str(caught.value)
    for weights in offline.members:
        for name, url in zip(weights.names, weights.urls, strict=True):
            assert f"for {name}:\n    {url}\n" in message
            assert f"{url}: no connection" in message
    assert f"into\n  {folder}\n" in message
    assert message.endswith(f"cloudmask fetch omnicloudmask-v1 -o '{folder.parent}'")


def test_the_message_names_a_relative_folder_in_full(
    published_at: Publish, tmp_path: Path, hasty: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FetchError, match="could not be fetched") as caught:
        fetch(published_at("https://weights.invalid/net"), Path("here"), policy=hasty)
    assert f"into\n  {tmp_path / 'here'}\n" in str(caught.value)
    assert str(caught.value).endswith("-o here")


def test_the_message_gives_the_size_of_a_file_where_it_is_known(
    published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    family = published_at("https://weights.invalid/net", size=125_489_090)
    with pytest.raises(FetchError, match=r"for net\.pkl \(125,489,090 bytes\)"):
        fetch(family, tmp_path, policy=hasty)


def test_files_that_could_be_had_are_kept_if_others_could_not(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    good = published_at(site.serve("/a", site.whole())).members[0]
    bad = replace(good, file="bad.pkl", member="bad", urls=(site.serve("/b", site.just(404)),))
    family = replace(published_at(), members=(bad, good))
    with pytest.raises(FetchError, match="1 of 2 files") as caught:
        fetch(family, tmp_path, policy=hasty)
    assert "for net.pkl" not in str(caught.value)
    assert names(tmp_path) == ["net.pkl"]


def test_files_come_in_the_order_of_the_ensemble(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy
) -> None:
    first = published_at(site.serve("/a", site.whole()), file="z.pkl").members[0]
    second = replace(first, file="a.pkl", member="other")
    family = replace(published_at(), members=(first, second))
    paths = fetch(family, tmp_path, policy=hasty)
    assert [path.name for path in paths] == ["z.pkl", "a.pkl"]


def test_a_family_without_published_files_says_what_to_do_with_ones_own(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="cloudmask export FILE --family clouds2mask-20m-3c"):
        fetch(published("clouds2mask-20m-3c"), tmp_path)


def test_a_folder_that_cannot_be_made_is_named(published_at: Publish, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match=r"cannot write into .*file/folder"):
        fetch(published_at("https://weights.invalid/net"), tmp_path / "file" / "folder")


def test_what_a_killed_run_left_beside_is_not_taken_for_the_file(
    site: Site, published_at: Publish, tmp_path: Path, hasty: Policy, weights: bytes
) -> None:
    (tmp_path / "net.pkl.new").mkdir()
    (tmp_path / "net.pkl.new" / "net.pkl").write_bytes(b"half")
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, policy=hasty)
    assert (tmp_path / "net.pkl").read_bytes() == weights
    assert names(tmp_path) == ["net.pkl"]


def test_pooch_says_nothing_and_gets_its_voice_back(
    site: Site,
    published_at: Publish,
    tmp_path: Path,
    hasty: Policy,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = pooch.get_logger()
    before = logger.level
    assert before < logging.WARNING
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    fetch(published_at(site.serve("/net", site.whole())), tmp_path, policy=hasty)
    assert caplog.records == []
    assert logger.level == before


@pytest.mark.parametrize(
    ("head", "page"),
    [
        (b"<!DOCTYPE html>", True),
        (b"\xef\xbb\xbf\r\n<HTML lang=en>", True),
        (b"<head>", True),
        (b"PK\x03\x04<html>", False),
        (b"<xml>", False),
        (b"", False),
    ],
)
def test_a_page_is_known_by_its_beginning(head: bytes, page: bool) -> None:  # noqa: FBT001
    assert is_page(head) is page


def test_a_title_is_shown_in_short_and_printable() -> None:
    assert title(b"<title>a&lt;b\x1b[31m\n\nc\xff</title>") == "a<b[31m c\ufffd"
    assert len(title(b"<title>" + b"x" * 999 + b"</title>")) == LONGEST_TITLE
    assert title(b"<p>no title") == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attempts": 0}, "attempts 0"),
        ({"stall_timeout": 0}, "above 0"),
        ({"largest": 0}, "largest 0"),
        ({"first_wait": -1}, "none may be negative"),
    ],
)
def test_a_policy_that_never_ends_or_begins_is_refused(
    change: dict[str, float], message: str
) -> None:
    with pytest.raises(FetchError, match=message):
        Policy(**change)  # type: ignore[arg-type]


def test_waits_grow_no_longer_than_the_longest() -> None:
    policy = Policy(attempts=6, first_wait=2, longest_wait=9)
    assert list(policy.waits()) == [0, 2, 4, 8, 9, 9]
