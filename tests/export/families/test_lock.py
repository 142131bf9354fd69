from __future__ import annotations

import hashlib
import json
import re
import stat
from typing import TYPE_CHECKING

import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.families import families
from cloudmask_export.families.lock import Lock, Pin, pin, read_lock, shipped_lock

if TYPE_CHECKING:
    from pathlib import Path

A, B = "a" * 64, "b" * 64


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.pkl"
    path.write_bytes(b"weights")
    return path


def test_the_shipped_lock_file_pins_published_files_to_the_sizes_of_the_registry() -> None:
    published = {each.file: each for one in families().values() for each in one.members}
    pins = shipped_lock().pins
    assert pins
    for name, pinned in pins.items():
        assert published[name].size == pinned.size


def test_a_file_is_known_under_the_name_of_a_browsers_copy_too() -> None:
    lock = Lock({"net.pkl": Pin(A)})
    assert lock.of("net.pkl") == lock.of("net (1).pkl") == Pin(A)
    assert lock.of("other.pkl") is None


def test_a_users_lock_goes_before_the_shipped_one() -> None:
    user, shipped = Lock({"a.pkl": Pin(A)}), Lock({"a.pkl": Pin(B), "b.pkl": Pin(B)})
    both = user.over(shipped)
    assert (both.of("a.pkl"), both.of("b.pkl")) == (Pin(A), Pin(B))


def test_a_pinned_file_is_found_again_with_its_hash_and_size(net: Path, tmp_path: Path) -> None:
    made = pin(net, tmp_path / "new" / "my.lock.json")
    assert made == Pin(hashlib.sha256(b"weights").hexdigest(), 7)
    assert read_lock(tmp_path / "new" / "my.lock.json").of("net.pkl") == made


def test_pinning_adds_to_what_is_there(net: Path, tmp_path: Path) -> None:
    lock = tmp_path / "my.lock.json"
    lock.write_text(json.dumps({"comment": "mine", "files": {"z.pkl": {"sha256": A}}}))
    pin(net, lock)
    table = json.loads(lock.read_text("utf-8"))
    assert table["comment"] == "mine"
    assert list(table["files"]) == ["net.pkl", "z.pkl"]


def test_a_copy_of_a_browser_is_pinned_under_the_published_name(net: Path, tmp_path: Path) -> None:
    copy = net.rename(tmp_path / "net (2).pkl")
    pin(copy, tmp_path / "lock.json")
    assert list(read_lock(tmp_path / "lock.json").pins) == ["net.pkl"]


def test_pinning_twice_changes_nothing(net: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    pin(net, lock)
    before = lock.read_bytes()
    pin(net, lock)
    assert lock.read_bytes() == before


def test_a_pin_is_not_silently_replaced(net: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"files": {"net.pkl": {"sha256": A}}}))
    new = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(ExportError, match=f"pinned to sha256 {A}, the file here has {new}"):
        pin(net, lock)
    assert read_lock(lock).of("net.pkl") == Pin(A)


def test_a_lock_file_is_for_everybody_and_nothing_else_is_left(net: Path, tmp_path: Path) -> None:
    pin(net, tmp_path / "lock.json")
    assert stat.S_IMODE((tmp_path / "lock.json").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock.json", "net.pkl"]


def test_a_file_that_is_not_there_cannot_be_pinned(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot pin .*none\.pkl"):
        pin(tmp_path / "none.pkl", tmp_path / "lock.json")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_named(net: Path, tmp_path: Path) -> None:
    (tmp_path / "lock.json").mkdir()
    with pytest.raises(ExportError, match=re.escape(str(tmp_path / "lock.json"))):
        pin(net, tmp_path / "lock.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock.json", "net.pkl"]


def test_a_lock_file_that_cannot_be_put_in_place_leaves_nothing_beside(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(net), "replace", full)
    with pytest.raises(ExportError, match=r"cannot pin .*No space left"):
        pin(net, tmp_path / "lock.json")
    assert list(tmp_path.iterdir()) == [net]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", 'must be {"files"'),
        ("{}", 'must be {"files"'),
        ('{"files": []}', 'must be {"files"'),
        ('{"files": {}, "file": {}}', 'must be {"files"'),
        ('{"files": {"a.pkl": "x"}}', "a.pkl: must have a sha256"),
        ('{"files": {"a.pkl": {"size": 1}}}', "a.pkl: must have a sha256"),
        ('{"files": {"a.pkl": {"sha256": "0", "md5": "1"}}}', "and nothing else"),
        ('{"files": {"a.pkl": {"sha256": "0"}}}', "a.pkl: sha256 '0': must be 64"),
        ('{"files": {"a.pkl": {"sha256": 1}}}', "a.pkl: sha256 1: must be 64"),
        (f'{{"files": {{"a.pkl": {{"sha256": "{A.upper()}"}}}}}}', "in lower case"),
        (f'{{"files": {{"a.pkl": {{"sha256": "{A}", "size": 0}}}}}}', "size 0: must be bytes"),
        (f'{{"files": {{"a.pkl": {{"sha256": "{A}", "size": true}}}}}}', "size True"),
    ],
)
def test_what_is_no_lock_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(text)
    with pytest.raises(ExportError, match=f"lock file .*lock.json: .*{re.escape(message)}"):
        read_lock(path)


def test_a_lock_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"lock file .*none\.json: cannot be read"):
        read_lock(tmp_path / "none.json")
