from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("rasterio")

from cloudmask.errors import OptionError
from cloudmask.local.statistics import COLUMNS, UnreadableItem, rows, write_statistics

if TYPE_CHECKING:
    from pathlib import Path

SHARES = {
    "clear": 50.0,
    "thick_cloud": 30.0,
    "thin_cloud": 12.5,
    "cloud_shadow": 7.5,
    "no_data": 20.0,
}


def item(name: str, **said: Any) -> dict[str, Any]:
    properties = {
        "datetime": "2024-05-01T10:20:31Z",
        "cloudmask:sensed": True,
        "platform": "sentinel-2a",
        "processing:level": "L1C",
        "cloudmask:model": ["net-a", "net-b"],
        "cloudmask:options": {"tile": 64, "stitch": "blend"},
        "cloudmask:shares": SHARES,
        "cloudmask:confidence": [0] * 19 + [10],
        "cloudmask:fingerprint": "f" * 64,
        "cloudmask:seconds": 1.5,
    }
    named = {key.replace("__", ":"): value for key, value in said.items()}
    return {"type": "Feature", "id": name, "properties": properties | named}


def put(folder: Path, name: str, **said: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(item(name, **said)), "utf-8")


def as_csv(folder: Path) -> list[dict[str, str]]:
    with write_statistics(folder).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_says_what_the_item_says(tmp_path: Path) -> None:
    put(tmp_path, "a")
    (row,) = as_csv(tmp_path)
    options = row.pop("options")
    assert row == {
        "name": "a",
        "datetime": "2024-05-01T10:20:31Z",
        "platform": "sentinel-2a",
        "level": "L1C",
        "clear_percent": "50.0",
        "thick_cloud_percent": "30.0",
        "thin_cloud_percent": "12.5",
        "cloud_shadow_percent": "7.5",
        "cloud_percent": "42.5",
        "valid_percent": "80.0",
        "mean_confidence": "0.975",
        "model": "net-a; net-b",
        "seconds": "1.5",
    }
    assert len(options) == 12


def test_options_hash_alike_if_and_only_if_they_are_alike(tmp_path: Path) -> None:
    put(tmp_path, "a", cloudmask__options={"tile": 64, "stitch": "blend"})
    put(tmp_path, "b", cloudmask__options={"stitch": "blend", "tile": 64})
    put(tmp_path, "c", cloudmask__options={"stitch": "blend", "tile": 128})
    a, b, c = (row["options"] for row in rows(tmp_path))
    assert a == b
    assert a != c


def test_rows_are_sorted_by_time_and_name(tmp_path: Path) -> None:
    put(tmp_path, "a", datetime="2024-05-03T00:00:00Z")
    put(tmp_path, "c", datetime="2024-05-01T00:00:00Z")
    put(tmp_path, "b", datetime="2024-05-01T00:00:00Z")
    assert [row["name"] for row in rows(tmp_path)] == ["b", "c", "a"]


def test_a_class_that_the_network_does_not_know_is_empty(tmp_path: Path) -> None:
    put(tmp_path, "a", cloudmask__shares={"clear": 60.0, "thick_cloud": 40.0, "no_data": 0.0})
    (row,) = as_csv(tmp_path)
    assert (row["thin_cloud_percent"], row["cloud_shadow_percent"]) == ("", "")
    assert row["cloud_percent"] == "40.0"


def test_a_scene_without_a_valid_pixel_has_no_shares(tmp_path: Path) -> None:
    nothing = dict.fromkeys(SHARES, 0.0) | {"no_data": 100.0}
    put(tmp_path, "a", cloudmask__shares=nothing, cloudmask__confidence=[0] * 20)
    (row,) = as_csv(tmp_path)
    empty = ("clear_percent", "cloud_percent", "mean_confidence")
    assert {row[name] for name in empty} == {""}
    assert row["valid_percent"] == "0.0"


def test_a_time_that_is_not_the_scenes_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a", cloudmask__sensed=False)
    assert rows(tmp_path)[0]["datetime"] is None


def test_json_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a")
    (tmp_path / "job-results.json").write_text('{"type": "Collection"}')
    (tmp_path / "list.json").write_text("[1]")
    assert [row["name"] for row in rows(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    "text",
    ["{", "\x00", json.dumps(item("b", cloudmask__shares=None)), json.dumps(item("b"))[:-9]],
)
def test_an_item_that_cannot_be_read_is_reported_and_the_rest_written(
    tmp_path: Path, text: str
) -> None:
    put(tmp_path, "a")
    (tmp_path / "b.json").write_text(text)
    with pytest.warns(UnreadableItem, match=r"b\.json: has no row of statistics \("):
        found = as_csv(tmp_path)
    assert [row["name"] for row in found] == ["a"]


def test_a_folder_without_items_gives_a_table_without_rows(tmp_path: Path) -> None:
    assert write_statistics(tmp_path) == tmp_path / "statistics.csv"
    assert (tmp_path / "statistics.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    put(tmp_path, "a", platform=None)
    put(tmp_path, "b", cloudmask__shares={"clear": 100, "no_data": 0})
    path = write_statistics(tmp_path, tmp_path / "table.parquet")
    table = parquet.read_table(path)
    assert table.to_pylist() == rows(tmp_path)
    assert {name: str(table.schema.field(name).type) for name in ("name", "clear_percent")} == {
        "name": "string",
        "clear_percent": "double",
    }


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError, match=r"pip install 'openeo-cloudmask\[parquet\]'"):
        write_statistics(tmp_path, tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"table\.xlsx: .* must end in \.csv or \.parquet"):
        write_statistics(tmp_path, tmp_path / "table.xlsx")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_of_an_item_is_a_formula_to_a_spreadsheet(tmp_path: Path, text: str) -> None:
    put(tmp_path, "a", cloudmask__model=[text], platform=text)
    (row,) = as_csv(tmp_path)
    assert (row["model"], row["platform"]) == (f"'{text}", f"'{text}")


def test_a_text_of_several_lines_stays_in_its_row(tmp_path: Path) -> None:
    put(tmp_path, "a", cloudmask__model=["net\r=1+1\n=2"], platform="\r=1")
    (row,) = as_csv(tmp_path)
    assert (row["model"], row["platform"]) == ("net =1+1 =2", "' =1")


def test_other_texts_and_numbers_stand_in_the_table_as_they_are(tmp_path: Path) -> None:
    put(tmp_path, "a", cloudmask__model=["a=b"], cloudmask__seconds=-1.5)
    (row,) = as_csv(tmp_path)
    assert (row["model"], row["seconds"]) == ("a=b", "-1.5")
