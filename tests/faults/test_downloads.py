"""Downloads that meet no room, or each other; bad servers are met in tests/export/fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Run


def test_five_processes_fetch_a_file_once(run: Run, bad_server: Any, tmp_path: Path) -> None:
    url = bad_server.serve("/net", bad_server.whole())
    end = run(tmp_path, "crowd", 5, url, tmp_path)
    assert end.status == 0, end.err
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]
    assert len(bad_server.asked) == 1


def test_a_download_for_which_there_is_no_room_is_told_with_what_it_needs(
    run: Run, small_disks: None, bad_server: Any, tmp_path: Path, values: Any
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    url = bad_server.serve("/net", bad_server.whole())
    end = run(folder, "fetch", url, ".", 400_000, fault=values.Fault(disk=500_000))
    *_, said = end.err.splitlines()
    assert end.status == 2
    assert "net.pkl: cannot be written, the disk is full; up to 0.4 MB are needed, " in said
    assert "MB are free in " in said
    assert said.endswith("Run the same again: it goes on where it stopped")
    assert "net.pkl" not in values.read(tmp_path / values.KEPT)


def test_a_download_goes_on_once_there_is_room(
    run: Run, small_disks: None, bad_server: Any, tmp_path: Path, values: Any
) -> None:
    folder, kept = tmp_path / "disk", tmp_path / values.KEPT
    folder.mkdir()
    url = bad_server.serve("/net", bad_server.whole())
    run(folder, "fetch", url, ".", fault=values.Fault(disk=300_000))
    end = run(kept, "fetch", url, ".")
    assert end.status == 0, end.err
    first, second = bad_server.ranges()
    assert first is None
    assert second is not None
    assert list(values.read(kept)) == ["net.pkl"]
