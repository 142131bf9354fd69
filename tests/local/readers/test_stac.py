from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.bands import PRESETS
from cloudmask.errors import BandError, CubeError, OptionError
from cloudmask.local.product import Wanted
from cloudmask.local.readers.find import find_scenes
from cloudmask.local.readers.stac_bands import layers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    See = Callable[..., NDArray[np.float32]]

pystac = pytest.importorskip("pystac")

BANDS = ("B02", "B04", "B11", "B01")


@pytest.fixture
def item(web: Any, stac_item: Any, images: Any) -> dict[str, Any]:
    """Give an Item whose images lie on loopback."""
    made: dict[str, Any] = stac_item(web.folder, images, web.url)
    return made


@pytest.fixture
def shifted_item(tmp_path: Path, trees: Any, stac_item: Any, images: Any) -> Any:
    """Give an Item whose images have the offset of baseline 04.00."""
    return stac_item(tmp_path, trees.shifted(images), ".")


def written(folder: Path, item: dict[str, Any]) -> Path:
    path = folder / "item.json"
    path.write_text(json.dumps(item), "utf-8")
    return path


def without_scaling(item: dict[str, Any]) -> dict[str, Any]:
    for asset in item["assets"].values():
        asset["raster:bands"] = [{"nodata": 0}]
    return item


# -- an Item --------------------------------------------------------------------------------


def test_an_item_is_read_from_the_web(
    web: Any, item: dict[str, Any], seen: See, truth: Any
) -> None:
    written(web.folder, item)
    (scene,) = find_scenes(f"{web.url}/item.json")
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)
    assert scene.name == "S2A_31TCJ_20200101_0_L1C"


def test_an_item_on_disk_finds_its_images_beside_it(
    tmp_path: Path, stac_item: Any, images: Any, seen: See, truth: Any
) -> None:
    path = written(tmp_path, stac_item(tmp_path, images, "."))
    np.testing.assert_allclose(seen(*find_scenes(path)), truth, atol=1e-7)


def test_only_the_bands_that_are_wanted_are_fetched(
    web: Any, item: dict[str, Any], seen: See
) -> None:
    seen(*find_scenes(written(web.folder, item)), bands=("B11", "B12"))
    fetched = {path for path in web.asked if path.endswith(".tif")}
    assert fetched == {f"/{band}.tif" for band in ("B11", "B12", "B02", "B03", "B04")}


def test_what_is_known_of_an_item_is_told(tmp_path: Path, stac_item: Any, images: Any) -> None:
    properties = {"s2:processing_baseline": "02.08", "s2:product_uri": "S2A_MSIL1C_X.SAFE"}
    path = written(tmp_path, stac_item(tmp_path, images, ".", **properties))
    with find_scenes(path)[0].opened(Wanted(bands=BANDS)) as product:
        facts = product.facts
    assert facts.when == datetime(2020, 1, 1, 10, 54, 41, 24000, UTC)
    assert (facts.platform, facts.level) == ("sentinel-2a", "L1C")
    assert (facts.baseline, facts.product) == ("02.08", "S2A_MSIL1C_X")


# -- what the numbers mean ------------------------------------------------------------------


def test_scale_and_offset_of_the_raster_extension_are_applied(
    tmp_path: Path, shifted_item: Any, seen: See, truth: Any
) -> None:
    item = shifted_item
    for asset in item["assets"].values():
        asset["raster:bands"][0]["offset"] = -0.1
    path = written(tmp_path, item)
    np.testing.assert_allclose(seen(*find_scenes(path)), truth, atol=1e-7)
    with find_scenes(path)[0].opened(Wanted(bands=BANDS)) as product:
        assert product.preset == PRESETS["dn_n0400"]


@pytest.mark.parametrize("inherited", [False, True])
def test_scale_and_offset_of_stac_1_1_are_applied(
    tmp_path: Path, shifted_item: Any, seen: See, truth: Any, *, inherited: bool,
) -> None:  # fmt: skip
    item = shifted_item
    item["stac_version"] = "1.1.0"
    said = {"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0}
    for band, asset in item["assets"].items():
        del asset["eo:bands"], asset["raster:bands"]
        asset["bands"] = [{"name": band, **({} if inherited else said)}]
        asset.update(said if inherited else {})
    np.testing.assert_allclose(seen(*find_scenes(written(tmp_path, item))), truth, atol=1e-7)


def test_an_offset_that_has_been_taken_off_is_not_applied_again(
    tmp_path: Path, stac_item: Any, images: Any, seen: See, truth: Any
) -> None:
    item = stac_item(tmp_path, images, ".", **{"earthsearch:boa_offset_applied": True})
    for asset in item["assets"].values():
        asset["raster:bands"][0]["offset"] = -0.1
    np.testing.assert_allclose(seen(*find_scenes(written(tmp_path, item))), truth, atol=1e-7)


def test_nodata_of_the_item_is_no_data(
    tmp_path: Path, stac_item: Any, images: Any, trees: Any, seen: See
) -> None:
    some = {**images, "B02": images["B02"].copy()}
    some["B02"][50, 60] = 65535
    item = stac_item(tmp_path, some, ".")
    for asset in item["assets"].values():
        asset["raster:bands"][0]["nodata"] = 65535
    found = seen(*find_scenes(written(tmp_path, item)))
    assert np.isnan(found[:, 50, 60]).all()


def test_an_item_that_says_nothing_of_an_old_baseline_is_dn(
    tmp_path: Path, stac_item: Any, images: Any, seen: See, truth: Any
) -> None:
    properties = {"s2:processing_baseline": "02.08"}
    item = without_scaling(stac_item(tmp_path, images, ".", **properties))
    np.testing.assert_allclose(seen(*find_scenes(written(tmp_path, item))), truth, atol=1e-7)


def test_an_item_that_says_nothing_of_a_new_baseline_must_be_explained(
    tmp_path: Path, trees: Any, stac_item: Any, images: Any, seen: See, truth: Any
) -> None:
    properties = {"s2:processing_baseline": "05.09"}
    item = without_scaling(stac_item(tmp_path, trees.shifted(images), ".", **properties))
    (scene,) = find_scenes(written(tmp_path, item))
    with pytest.raises(CubeError, match=r"processing baseline 05\.09, but no scale.*dn_n0400"):
        seen(scene)
    np.testing.assert_allclose(seen(scene, preset="dn_n0400"), truth, atol=1e-7)


def test_bands_stored_in_different_ways_are_refused(
    tmp_path: Path, stac_item: Any, images: Any, seen: See
) -> None:
    item = stac_item(tmp_path, images, ".")
    item["assets"]["B11"]["raster:bands"][0]["offset"] = -0.1
    with pytest.raises(CubeError, match=r"item\.json: band B02 has .* but B11 has"):
        seen(*find_scenes(written(tmp_path, item)))


# -- which asset ----------------------------------------------------------------------------


def named(assets: dict[str, dict[str, Any]]) -> dict[str, tuple[str, int]]:
    return {band: (each.key, each.file.number) for band, each in layers_of(assets).items()}


def test_bands_are_found_by_key_name_or_common_name() -> None:
    tif = {"href": "https://example.org/a.tif"}
    assets: dict[str, dict[str, Any]] = {
        "blue": tif,
        "a": {**tif, "eo:bands": [{"name": "B03"}]},
        "b": {**tif, "bands": [{"name": "four", "eo:common_name": "red"}]},
        "B08_10m": tif,
    }
    assert named(assets) == {
        "B02": ("blue", 1), "B03": ("a", 1), "B04": ("b", 1), "B08": ("B08_10m", 1),
    }  # fmt: skip


def test_of_several_pixel_sizes_the_finest_is_taken() -> None:
    tif = {"href": "s3://bucket/a.jp2", "roles": ["data"]}
    assets: dict[str, dict[str, Any]] = {
        "B02_60m": tif, "B02_10m": tif, "B02_20m": tif,
        "B05_60m": {**tif, "gsd": 60}, "B05_20m": {**tif, "gsd": 20},
    }  # fmt: skip
    assert named(assets) == {"B02": ("B02_10m", 1), "B05": ("B05_20m", 1)}


def test_pictures_and_masks_are_no_bands() -> None:
    tif = {"href": "https://example.org/a.tif"}
    colours = [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}]
    assets: dict[str, dict[str, Any]] = {
        "visual": {**tif, "roles": ["data"], "eo:bands": colours},
        "B02": {**tif, "roles": ["data"]},
        "B03": {**tif, "roles": ["data"]},
        "B04": {**tif, "roles": ["data"]},
        "preview": {**tif, "roles": ["thumbnail"], "eo:bands": [{"name": "B05"}]},
        "scl": {**tif, "roles": ["data"]},
        "B08": {"href": "https://example.org/metadata.xml"},
    }
    assert named(assets) == {band: (band, 1) for band in ("B02", "B03", "B04")}


def test_bands_of_one_file_are_told_apart() -> None:
    bands = [{"name": "B02"}, {"name": "B03"}]
    assets = {"data": {"href": "/a.tif", "bands": bands}}
    assert named(assets) == {"B02": ("data", 1), "B03": ("data", 2)}


@pytest.mark.parametrize(
    ("href", "opens"),
    [
        ("https://example.org/a.tif?sig=1", "/vsicurl/https://example.org/a.tif?sig=1"),
        ("s3://bucket/a.tif", "/vsis3/bucket/a.tif"),
        ("file:///data/a.tif", "/data/a.tif"),
        ("/data/a.tif", "/data/a.tif"),
    ],
)
def test_addresses_are_given_to_gdal_in_its_own_way(href: str, opens: str) -> None:
    assert layers_of({"B02": {"href": href}})["B02"].file.path == opens


# -- what is refused ------------------------------------------------------------------------


def test_an_item_without_a_band_says_what_it_has(
    tmp_path: Path, stac_item: Any, images: Any, seen: See
) -> None:
    item = stac_item(tmp_path, {"B02": images["B02"], "B04": images["B04"]}, ".")
    with pytest.raises(BandError, match=r"item\.json: missing bands B11, B01; there are B02, B04"):
        seen(*find_scenes(written(tmp_path, item)))


def test_an_item_without_any_band_says_what_it_has(
    tmp_path: Path, stac_item: Any, seen: See
) -> None:
    item = stac_item(tmp_path, {}, ".")
    item["assets"] = {"thumbnail": {"href": "a.png"}, "info": {"href": "a.json"}}
    with pytest.raises(BandError, match=r"item\.json: no asset is a band .*thumbnail, info"):
        seen(*find_scenes(written(tmp_path, item)))


def test_an_item_of_another_sensor_is_refused(
    tmp_path: Path, stac_item: Any, images: Any, seen: See
) -> None:
    path = written(tmp_path, stac_item(tmp_path, images, ".", platform="landsat-8"))
    with pytest.raises(CubeError, match=r"item\.json: was seen by landsat-8"):
        seen(*find_scenes(path))


def test_an_image_that_is_gone_is_named(web: Any, item: dict[str, Any], seen: See) -> None:
    (web.folder / "B11.tif").unlink()
    with pytest.raises(CubeError, match=r"item\.json: band B11 cannot be opened .*404"):
        seen(*find_scenes(written(web.folder, item)))


def test_an_item_that_is_gone_is_refused(web: Any) -> None:
    with pytest.raises(CubeError, match=r"gone\.json: cannot be read as a STAC Item"):
        find_scenes(f"{web.url}/gone.json")


def test_what_is_no_item_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"type": "Collection"}')
    with pytest.raises(CubeError, match=r"a\.json: cannot be read as a STAC Item"):
        find_scenes(tmp_path / "a.json")


# -- what an Item from the web must not have read --------------------------------------------

LOCAL = "names files of this machine, or may do so"


def pointing(item: dict[str, Any], address: Callable[[str], str]) -> dict[str, Any]:
    for band, asset in item["assets"].items():
        asset["href"] = address(band)
    return item


@pytest.mark.parametrize(
    "address",
    ["{folder}/{band}.tif", "file://{folder}/{band}.tif", "FILE://{folder}/{band}.tif",
     "vrt://{folder}/{band}.tif", "zip+file://{folder}/images.zip!/{band}.tif", "x://a/{band}.tif"],
)  # fmt: skip
def test_an_item_from_the_web_reads_nothing_of_this_machine(
    web: Any, item: dict[str, Any], seen: See, address: str
) -> None:
    pointing(item, lambda band: address.format(folder=web.folder, band=band))
    written(web.folder, item)
    # A path without a scheme is one of the Item's own server.
    match = "cannot be opened .*/vsicurl/http" if address.startswith("{") else LOCAL
    with pytest.raises(CubeError, match=match):
        seen(*find_scenes(f"{web.url}/item.json"))


def test_an_item_from_the_web_reads_no_virtual_raster(
    web: Any, item: dict[str, Any], seen: See
) -> None:
    pointing(item, lambda band: f"{web.url}/{band}.vrt")
    written(web.folder, item)
    with pytest.raises(CubeError, match=LOCAL):
        seen(*find_scenes(f"{web.url}/item.json"))


def test_a_virtual_raster_that_is_called_an_image_is_not_followed(
    web: Any, item: dict[str, Any], seen: See
) -> None:
    hidden = web.folder / "private.tif"
    (web.folder / "B02.tif").rename(hidden)
    (web.folder / "B02.tif").write_text(
        '<VRTDataset rasterXSize="120" rasterYSize="120"><VRTRasterBand dataType="UInt16" '
        f'band="1"><SimpleSource><SourceFilename relativeToVRT="0">{hidden}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    written(web.folder, item)
    with pytest.raises(CubeError, match="band B02 cannot be opened"):
        seen(*find_scenes(f"{web.url}/item.json"))


def test_an_item_that_a_search_finds_is_of_the_web_whatever_it_says_of_itself(
    web: Any, item: dict[str, Any], api: Any, seen: See
) -> None:
    del api
    pointing(item, lambda band: f"./{band}.tif")
    item["links"] = [{"rel": "self", "href": str(web.folder / "item.json")}]
    with pytest.raises(CubeError, match=LOCAL):
        seen(find_scenes(f"stac+{web.url}/api?collections=s2")[0])


@pytest.mark.parametrize(
    "identifier", ["../../a", "/etc/a", "a/../b", "..\\a", "a\0b", "\x1b[2Ja"]
)
def test_an_identifier_cannot_lead_out_of_the_folder(
    tmp_path: Path, item: dict[str, Any], identifier: str
) -> None:
    item["id"] = identifier
    (scene,) = find_scenes(written(tmp_path, item))
    assert set("/\\\0\x1b").isdisjoint(scene.name)
    assert (tmp_path / f"{scene.name}_mask.tif").parent.resolve() == tmp_path.resolve()


def test_plain_http_of_another_machine_is_not_read(tmp_path: Path, item: dict[str, Any]) -> None:
    pointing(item, lambda band: f"http://example.org/{band}.tif")
    (scene,) = find_scenes(written(tmp_path, item))
    for ask in (
        scene.layers,  # type: ignore[attr-defined] # a StacScene
        lambda: find_scenes("http://example.org/a.tif"),
        lambda: find_scenes("http://example.org/a.json"),
        lambda: find_scenes("stac+http://example.org/api?collections=s2"),
    ):
        with pytest.raises(CubeError, match="plain http, on which others can change"):
            ask()


# -- identity -------------------------------------------------------------------------------


def test_identity_is_of_the_item_and_not_of_a_signature(
    tmp_path: Path, item: dict[str, Any]
) -> None:
    before = find_scenes(written(tmp_path, item))[0].identity()
    item["assets"]["B02"]["href"] += "?signature=abc"
    assert find_scenes(written(tmp_path, item))[0].identity() == before
    item["properties"]["updated"] = "2021-01-01T00:00:00Z"
    assert find_scenes(written(tmp_path, item))[0].identity() != before


# -- searching ------------------------------------------------------------------------------


@pytest.fixture
def api(web: Any, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the searches that were asked of a STAC API, which finds three moments."""
    pytest.importorskip("pystac_client")
    asked: list[dict[str, Any]] = []
    root = {
        "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "On loopback.",
        "conformsTo": [
            "https://api.stacspec.org/v1.0.0/core",
            "https://api.stacspec.org/v1.0.0/item-search",
        ],
        "links": [
            {"rel": "self", "href": f"{web.url}/api"},
            {
                "rel": "search", "type": "application/geo+json", "method": "POST",
                "href": f"{web.url}/api/search",
            },
        ],
    }  # fmt: skip

    def search(wanted: dict[str, Any]) -> dict[str, Any]:
        asked.append(wanted)
        days = (3, 1, 2) if "none" not in wanted["collections"] else ()
        found = [
            {
                **item,
                "id": f"day-{day}",
                "properties": {**item["properties"], "datetime": f"2020-01-0{day}T10:00:00Z"},
            }
            for day in days
        ]
        return {"type": "FeatureCollection", "features": found, "links": []}

    web.answers["/api"] = lambda _: root
    web.answers["/api/search"] = search
    return asked


def test_a_search_gives_its_items_from_the_earliest(
    web: Any, api: list[dict[str, Any]], seen: See, truth: Any
) -> None:
    address = (
        f"stac+{web.url}/api?collections=sentinel-2-l1c,more&bbox=1.8,42.3,1.9,42.4"
        "&datetime=2020-01-01/2020-01-31&max_items=7"
    )
    scenes = find_scenes(address)
    assert [scene.name for scene in scenes] == ["day-1", "day-2", "day-3"]
    assert api[0]["collections"] == ["sentinel-2-l1c", "more"]
    assert api[0]["bbox"] == [1.8, 42.3, 1.9, 42.4]
    assert api[0]["datetime"].startswith("2020-01-01T00:00:00Z/2020-01-31T23:59:59Z")
    np.testing.assert_allclose(seen(scenes[0]), truth, atol=1e-7)


def test_a_search_stops_at_its_limit(web: Any, api: list[dict[str, Any]]) -> None:
    assert len(find_scenes(f"stac+{web.url}/api?collections=a&max_items=2")) == 2


def test_a_search_that_finds_nothing_says_so(web: Any, api: list[dict[str, Any]]) -> None:
    with pytest.raises(CubeError, match="nothing was found"):
        find_scenes(f"stac+{web.url}/api?collections=none")


def test_an_api_that_does_not_answer_is_named(web: Any) -> None:
    pytest.importorskip("pystac_client")
    with pytest.raises(CubeError, match=r"/nothing: cannot be searched"):
        find_scenes(f"stac+{web.url}/nothing?collections=a")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("bbox=1,2,3,4", "no collection is named"),
        ("collections=a&cloud=3", "cloud is not known"),
        ("collections=a&bbox=1,2,x,4", "are numbers"),
        ("collections=a&max_items=few", "are numbers"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(query: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        find_scenes(f"stac+https://example.org/api?{query}")
