from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask.errors import CubeError, OptionError
from cloudmask.local.product import Facts
from cloudmask.local.report.scenes import find, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def item(tmp_path: Path, sample: Any) -> Path:
    path: Path = sample().write(tmp_path)
    return path


def changed(path: Path, **properties: Any) -> Path:
    """Change an Item's properties; what is given as None goes."""
    content = json.loads(path.read_text("utf-8"))
    named = {name.replace("__", ":"): value for name, value in properties.items()}
    merged = content["properties"] | named
    kept = {name: value for name, value in merged.items() if value is not None}
    path.write_text(json.dumps(content | {"properties": kept}), "utf-8")
    return path


# -- what is read ---------------------------------------------------------------------------


def test_an_item_is_read_back_as_it_was_written(item: Path, sample: Any) -> None:
    scene, wrote = read(item), sample()
    assert scene.name == wrote.name
    assert scene.when == wrote.facts.when
    assert scene.facts == {"platform": "sentinel-2a", "level": "L1C"}
    assert scene.confidence == wrote.confidence
    assert [each.name for each in scene.networks] == ["ukis-4b-l1c"]
    assert scene.networks[0].licence == "Apache-2.0"
    assert scene.options == {"stitch": "crop", "tta": ""}
    assert scene.seconds == 1.25


def test_the_clear_share_is_of_the_valid_pixels(item: Path) -> None:
    # Half of 60 x 80 less a corner of 15 x 20, of all less that corner.
    assert read(item).clear == pytest.approx(100 * (2400 - 300) / (4800 - 300))


def test_a_scene_without_a_valid_pixel_has_no_clear_share(tmp_path: Path, sample: Any) -> None:
    import numpy as np

    path = sample(codes=np.full((8, 8), 255, np.uint8)).write(tmp_path)
    assert read(path).clear is None


def test_a_time_that_is_only_that_of_the_file_is_none(tmp_path: Path, sample: Any) -> None:
    assert read(sample(facts=Facts()).write(tmp_path)).when is None


@pytest.mark.parametrize("text", ["2021-06-01T10:30:00Z", "2021-06-01T12:30:00+02:00"])
def test_times_are_utc(item: Path, text: str) -> None:
    assert read(changed(item, datetime=text)).when == datetime(2021, 6, 1, 10, 30, tzinfo=UTC)


def test_of_a_span_of_time_its_start_is_taken(item: Path) -> None:
    changed(item, datetime=None, start_datetime="2021-05-01T00:00:00Z")
    assert read(item).when == datetime(2021, 5, 1, tzinfo=UTC)


def test_one_licence_given_once_holds_for_all_networks(item: Path) -> None:
    changed(item, cloudmask__model=["a", "b"], cloudmask__licence=["MIT"])
    assert [each.licence for each in read(item).networks] == ["MIT", "MIT"]


@pytest.mark.parametrize("name", ["with space", "100%25", "a#b?c", "S2:colon", "ünï"])
def test_files_of_any_name_are_found(tmp_path: Path, sample: Any, name: str) -> None:
    scene = read(sample(name=name).write(tmp_path))
    assert scene.mask == tmp_path / f"{name}_mask.tif"
    assert scene.thumbnail == tmp_path / f"{name}_thumbnail.png"


def test_an_href_written_as_an_address_is_found_too(tmp_path: Path, sample: Any) -> None:
    item = sample(name="with space").write(tmp_path)
    item.write_text(item.read_text("utf-8").replace("with space_", "./with%20space_"), "utf-8")
    assert read(item).mask.is_file()


# -- the folder -----------------------------------------------------------------------------


def test_scenes_come_in_the_order_of_time(tmp_path: Path, write_series: Any) -> None:
    write_series(tmp_path, 4)
    scenes, _ = find(tmp_path)
    assert [scene.name[-1] for scene in scenes] == ["4", "3", "2", "1"]


def test_scenes_without_a_time_come_last(tmp_path: Path, sample: Any) -> None:
    sample(name="a", facts=Facts()).write(tmp_path)
    sample(name="b").write(tmp_path)
    assert [scene.name for scene in find(tmp_path)[0]] == ["b", "a"]


def test_an_empty_folder_is_an_error_that_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"holds no masks .*cloudmask mask SCENE.*NAME\.json"):
        find(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"absent: there is no such folder"):
        find(tmp_path / "absent")


def test_a_folder_of_other_json_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(OptionError, match=r"of 1 \.json none is one \(package\.json: is no Item"):
        find(tmp_path)


# -- what is left out -----------------------------------------------------------------------


def spoil_text(item: Path) -> None:
    item.write_bytes(item.read_bytes()[:200])


def spoil_encoding(item: Path) -> None:
    item.write_bytes(b'{"id": "\xff\xfe"}')


def spoil_depth(item: Path) -> None:
    item.write_text("[" * 200_000)


def spoil_kind(item: Path) -> None:
    item.write_text("[]")


def spoil_mask(item: Path) -> None:
    (item.parent / f"{item.stem}_mask.tif").unlink()


def spoil_assets(item: Path) -> None:
    content = json.loads(item.read_text("utf-8"))
    item.write_text(json.dumps(content | {"assets": ["mask"]}), "utf-8")


def spoilt_by(**properties: Any) -> Callable[[Path], None]:
    def spoil(item: Path) -> None:
        changed(item, **properties)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_text, "no JSON, or a damaged one"),
        (spoil_encoding, "no JSON, or a damaged one"),
        (spoil_depth, "no JSON, or a damaged one"),
        (spoil_kind, "no Item of a mask"),
        (spoilt_by(cloudmask__shares=None), "no Item of a mask"),
        (spoilt_by(cloudmask__shares=[1, 2]), "must be an object"),
        (spoilt_by(cloudmask__shares={"clear": 140.0, "no_data": 0}), "clear is 140.0"),
        (spoilt_by(cloudmask__shares={"clear": "all", "no_data": 0}), "clear is 'all'"),
        (spoilt_by(cloudmask__shares={"clear": float("nan"), "no_data": 0}), "clear is nan"),
        (spoilt_by(cloudmask__shares={"clear": True, "no_data": 0}), "clear is True"),
        (spoilt_by(cloudmask__shares={"clear": 10}), "says nothing of no_data"),
        (spoilt_by(cloudmask__confidence=[1, -1]), "list of at most 200 counts"),
        (spoilt_by(cloudmask__confidence=[float("inf")]), "list of at most 200 counts"),
        (spoilt_by(cloudmask__confidence=[10**400]), "list of at most 200 counts"),
        (spoilt_by(cloudmask__confidence="many"), "list of at most 200 counts"),
        (spoilt_by(cloudmask__confidence=[1] * 201), "list of at most 200 counts"),
        (spoilt_by(cloudmask__options="crop"), "must be an object"),
        (spoilt_by(datetime="yesterday"), "'yesterday': is no time"),
        (spoilt_by(datetime=5), "datetime 5: is no time"),
        (spoil_mask, "its mask is not there"),
        (spoil_assets, "its mask is not there"),
    ],
)
def test_a_broken_item_is_left_out_with_its_reason(
    tmp_path: Path, sample: Any, spoil: Callable[[Path], None], reason: str
) -> None:
    sample(name="good").write(tmp_path)
    spoil(sample(name="bad").write(tmp_path))
    scenes, problems = find(tmp_path)
    assert [scene.name for scene in scenes] == ["good"]
    assert [problem.name for problem in problems] == ["bad.json"]
    assert reason in problems[0].reason


@pytest.mark.parametrize(
    "href", ["../other_mask.tif", "/etc/hostname", "https://example.org/S2_mask.tif", "a\0b", ""]
)
def test_files_in_other_places_are_not_followed(tmp_path: Path, sample: Any, href: str) -> None:
    item = sample().write(tmp_path / "out")
    (tmp_path / "other_mask.tif").touch()
    content = json.loads(item.read_text("utf-8"))
    content["assets"]["mask"]["href"] = href
    item.write_text(json.dumps(content), "utf-8")
    with pytest.raises(CubeError, match="its mask is not there"):
        read(item)
