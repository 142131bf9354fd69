from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rasterio")

import rasterio

import cloudmask
from cloudmask.classes import CLASSES
from cloudmask.errors import CubeError
from cloudmask.local.item import Made, complete, read_item, write_item
from cloudmask.local.product import Facts, Grid
from cloudmask.spec import ModelSpec

UTM33 = rasterio.CRS.from_epsg(32633)
GRID = Grid(30, 40, UTM33, rasterio.Affine(10, 0, 6e5, 0, -10, 5.1e6))
FACTS = Facts(
    when=datetime(2024, 5, 1, 10, 20, 31, 24000, UTC),
    platform="sentinel-2a",
    level="L1C",
    baseline="05.10",
    product="S2A_MSIL1C_20240501T102031_N0510_R065_T32TQM_20240501T140000",
)
NETWORKS = tuple(
    ModelSpec(
        name=f"net-{letter}",
        bands=("B02", "B04"),
        classes=(0, 1, 3),
        tile=64,
        overlap=16,
        version="1.2",
        licence="MIT",
        sha256=letter * 64,
    )
    for letter in "ab"
)
SHARES = {
    "clear": 50.0,
    "thick_cloud": 30.0,
    "thin_cloud": 12.5,
    "cloud_shadow": 7.5,
    "no_data": 20,
}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A scene whose files are there."""
    for name, size in (("a_mask.tif", 1000), ("a_thumbnail.png", 50), ("a_chances.tif", 4000)):
        (tmp_path / name).write_bytes(name.encode() * size)
    return Made(
        name="a",
        facts=FACTS,
        grid=GRID,
        mask=Path("a_mask.tif"),
        thumbnail=Path("a_thumbnail.png"),
        probabilities=Path("a_chances.tif"),
        models=NETWORKS,
        options={"stitch": "blend", "tile": 64, "dilate": 0.0, "tta": {"depth": 0}},
        shares=SHARES,
        confidence=tuple(range(20)),
        fingerprint="f" * 64,
        seconds=1.23456,
    )


@pytest.fixture
def path(tmp_path: Path, made: Made) -> Path:
    """The Item, written."""
    write_item(tmp_path / "a.json", made)
    return tmp_path / "a.json"


@pytest.fixture
def item(path: Path) -> Any:
    """The Item, parsed."""
    return json.loads(path.read_text("utf-8"))


def rewritten(tmp_path: Path, made: Made) -> Any:
    write_item(tmp_path / "a.json", made)
    return json.loads((tmp_path / "a.json").read_text("utf-8"))


# -- read by pystac -------------------------------------------------------------------------


def core_errors(item: Any) -> None:
    """Validate against STAC 1.1's own schemas, which pystac carries; extensions' it does not."""
    pystac = pytest.importorskip("pystac")
    validation = pytest.importorskip("pystac.validation")
    pytest.importorskip("jsonschema")
    validation.validate_dict(item, pystac.STACObjectType.ITEM, "1.1.0", extensions=[])


def test_pystac_finds_a_valid_item(item: Any) -> None:
    core_errors(item)


def test_pystac_finds_a_valid_item_without_a_place(tmp_path: Path, made: Made) -> None:
    item = rewritten(tmp_path, replace(made, grid=Grid(30, 40)))
    core_errors(item)
    assert item["geometry"] is None
    assert "bbox" not in item


def test_pystac_finds_a_valid_item_of_a_bare_raster(tmp_path: Path, made: Made) -> None:
    bare = replace(made, facts=Facts(), thumbnail=None, probabilities=None, confidence=())
    core_errors(rewritten(tmp_path, bare))


def test_pystac_reads_the_projection(path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    found = pystac.Item.from_file(path).ext.proj
    assert (found.code, found.shape) == ("EPSG:32633", [30, 40])
    assert rasterio.Affine(*found.transform[:6]) == GRID.transform


def test_pystac_reads_the_classes(path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    found = pystac.Item.from_file(path).assets["mask"].ext.classification.classes
    assert [(each.value, each.name) for each in found] == [
        *((each.code, each.name) for each in CLASSES),
        (255, "no_data"),
    ]
    colours = [tuple(bytes.fromhex(each.color_hint)) for each in found]
    assert colours[: len(CLASSES)] == [each.colour for each in CLASSES]
    # Upper case, as the extension wants it.
    assert all(re.fullmatch("[0-9A-F]{6}", each.color_hint) for each in found)
    assert [each.nodata for each in found] == [None] * len(CLASSES) + [True]


def test_pystac_reads_cloud_cover_time_and_files(path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    found = pystac.Item.from_file(path)
    assert found.ext.eo.cloud_cover == 42.5
    assert found.datetime == FACTS.when
    for asset in found.assets.values():
        place = Path(asset.get_absolute_href())
        assert asset.ext.file.size == place.stat().st_size
        digest = hashlib.sha256(place.read_bytes()).digest()
        # A multihash says its function (sha2-256 is 0x12) and length before the digest.
        assert bytes.fromhex(asset.ext.file.checksum) == bytes([0x12, 32]) + digest


def test_pystac_writes_the_item_as_it_read_it(path: Path, item: Any) -> None:
    pystac = pytest.importorskip("pystac")
    copy = pystac.Item.from_file(path).to_dict(include_self_link=False)
    assert copy == item


@pytest.mark.parametrize("bare", [False, True])
def test_an_extension_is_named_if_and_only_if_its_fields_are_used(
    tmp_path: Path, made: Made, *, bare: bool
) -> None:
    if bare:
        nothing = dict.fromkeys(SHARES, 0.0) | {"no_data": 100.0}
        made = replace(made, probabilities=None, shares=nothing)
    item = rewritten(tmp_path, made)
    fields = [*item["properties"], *(key for asset in item["assets"].values() for key in asset)]
    prefixes = {key.split(":")[0] for key in fields if ":" in key} - {"cloudmask"}
    names = {"proj": "projection"}
    named = [each.split("/")[3] for each in item["stac_extensions"]]
    assert sorted(named) == sorted(names.get(prefix, prefix) for prefix in prefixes)
    assert ("eo" in named, "raster" in named) == (not bare, not bare)


# -- what it says ---------------------------------------------------------------------------


def test_the_item_says_what_made_it(item: Any) -> None:
    said = item["properties"]
    assert said["processing:software"] == {"openeo-cloudmask": cloudmask.__version__}
    assert said["cloudmask:model"] == ["net-a", "net-b"]
    assert said["cloudmask:model_version"] == ["1.2", "1.2"]
    assert said["cloudmask:model_sha256"] == ["a" * 64, "b" * 64]
    assert said["cloudmask:licence"] == ["MIT", "MIT"]
    assert said["cloudmask:options"] == {
        "stitch": "blend", "tile": 64, "dilate": 0.0, "tta": {"depth": 0},
    }  # fmt: skip


def test_the_item_says_what_was_masked(item: Any) -> None:
    said = item["properties"]
    assert item["id"] == "a"
    assert said["datetime"] == "2024-05-01T10:20:31.024000Z"
    assert said["platform"] == "sentinel-2a"
    assert said["processing:level"] == "L1C"
    assert said["cloudmask:baseline"] == "05.10"
    assert said["cloudmask:product"] == FACTS.product


def test_the_item_says_what_was_found(item: Any) -> None:
    said = item["properties"]
    assert said["cloudmask:shares"] == SHARES
    assert said["cloudmask:confidence"] == list(range(20))
    assert said["cloudmask:fingerprint"] == "f" * 64
    assert said["cloudmask:seconds"] == 1.235


def test_a_time_of_another_zone_is_written_in_utc(tmp_path: Path, made: Made) -> None:
    when = datetime(2024, 5, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    item = rewritten(tmp_path, replace(made, facts=replace(FACTS, when=when)))
    assert item["properties"]["datetime"] == "2024-04-30T22:30:00Z"


def test_a_scene_without_a_time_gets_the_masks_and_says_so(tmp_path: Path, made: Made) -> None:
    os.utime(tmp_path / made.mask, (0, 86400))
    said = rewritten(tmp_path, replace(made, facts=Facts()))["properties"]
    assert (said["datetime"], said["cloudmask:sensed"]) == ("1970-01-02T00:00:00Z", False)


def test_what_is_not_known_is_not_said(tmp_path: Path, made: Made) -> None:
    said = rewritten(tmp_path, replace(made, facts=Facts()))["properties"]
    keys = {"platform", "processing:level", "cloudmask:baseline", "cloudmask:product"}
    assert keys.isdisjoint(said)


def test_a_scene_without_a_valid_pixel_has_no_cloud_cover(tmp_path: Path, made: Made) -> None:
    nothing = dict.fromkeys(SHARES, 0.0) | {"no_data": 100.0}
    said = rewritten(tmp_path, replace(made, shares=nothing))["properties"]
    assert "eo:cloud_cover" not in said


def test_cloud_cover_is_never_more_than_all(tmp_path: Path, made: Made) -> None:
    """Shares are quotients; their sum may be a little more than 100."""
    shares = {"clear": 0.0, "thick_cloud": 90.00001, "thin_cloud": 10.00009, "no_data": 0.0}
    item = rewritten(tmp_path, replace(made, shares=shares))
    assert item["properties"]["eo:cloud_cover"] == 100


def test_a_crs_without_a_code_is_written_out(tmp_path: Path, made: Made) -> None:
    crs = rasterio.CRS.from_proj4("+proj=laea +lat_0=47 +lon_0=13 +datum=WGS84 +units=m")
    said = rewritten(tmp_path, replace(made, grid=replace(GRID, crs=crs)))["properties"]
    assert said["proj:code"] is None
    assert rasterio.CRS.from_wkt(said["proj:wkt2"]) == crs


def test_a_zarr_store_has_the_size_of_its_files_and_no_checksum(
    tmp_path: Path, made: Made
) -> None:
    (tmp_path / "a.zarr" / "class").mkdir(parents=True)
    (tmp_path / "a.zarr" / ".zattrs").write_text("1234")
    (tmp_path / "a.zarr" / "class" / "0.0").write_text("123")
    mask = rewritten(tmp_path, replace(made, mask=Path("a.zarr")))["assets"]["mask"]
    assert mask["file:size"] == 7
    assert mask["type"] == "application/vnd+zarr"
    assert "file:checksum" not in mask


# -- complete or not ------------------------------------------------------------------------


def test_a_scene_is_complete_once_its_item_is_written(path: Path) -> None:
    assert complete(path, "f" * 64)


def test_a_scene_is_not_complete_before(tmp_path: Path, made: Made) -> None:
    assert not complete(tmp_path / "a.json", "f" * 64)


def test_another_fingerprint_is_another_scene(path: Path) -> None:
    assert not complete(path, "e" * 64)


@pytest.mark.parametrize("name", ["a_mask.tif", "a_thumbnail.png", "a_chances.tif"])
def test_a_scene_with_a_file_gone_or_cut_is_not_complete(
    tmp_path: Path, path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-1])
    assert not complete(path, "f" * 64)
    file.unlink()
    assert not complete(path, "f" * 64)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "\x00", '{"type": "Feature"}', '{"properties": null}',
        '{"type": "Feature", "properties": {"cloudmask:fingerprint": "f"}}',
        '{"type": "Feature", "properties": {"cloudmask:fingerprint": "f"}, "assets": []}',
        '{"type": "Feature", "properties": {"cloudmask:fingerprint": "f"}, "assets": {"a": {}}}',
    ],
)  # fmt: skip
def test_what_is_no_whole_item_is_not_complete(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert not complete(tmp_path / "a.json", "f")


def test_an_item_whose_file_is_missing_is_not_written(tmp_path: Path, made: Made) -> None:
    (tmp_path / "a_thumbnail.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a_thumbnail\.png"):
        write_item(tmp_path / "a.json", made)
    assert not (tmp_path / "a.json").exists()


def test_the_item_is_read_as_it_was_written(path: Path, item: Any) -> None:
    assert read_item(path) == item


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CubeError, match=r"a\.json: cannot be read as JSON .*; mask its scene"):
        read_item(tmp_path / "a.json")


def test_json_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"type": "Feature", "properties": {}}')
    with pytest.raises(CubeError, match=r"a\.json: is no STAC Item of a mask"):
        read_item(tmp_path / "a.json")
