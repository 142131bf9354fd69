from __future__ import annotations

import re
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.bands import PRESETS
from cloudmask.errors import BandError, CubeError
from cloudmask.local.product import Wanted
from cloudmask.local.readers.find import find_scenes
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    See = Callable[..., NDArray[np.float32]]

BANDS = ("B02", "B04", "B11", "B01")
LEVELS = ("L1C", "L2A")


def image_of(safe: Path, band: str) -> Path:
    return next(safe.glob(f"GRANULE/*/IMG_DATA/**/*_{band}*.jp2"))


def rewritten(safe: Path, *changes: tuple[str, str]) -> None:
    path = next(safe.glob("*MTD_*.xml"))
    text = path.read_text("utf-8")
    for old, new in changes:
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def pristine(trees: Any, images: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    safe: Path = trees.write_safe(tmp_path_factory.mktemp("pristine"), images)
    return safe


@pytest.fixture
def safe(pristine: Path, tmp_path: Path) -> Path:
    """Give a product that may be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / pristine.name))


@pytest.fixture
def see_images(tmp_path: Path, trees: Any, images: Any, truth: Any, seen: See) -> Any:
    """Give the check that a product shows the truth, as a folder and as an archive."""

    def check(made: Any, *, shifted: bool) -> None:
        path = trees.write_safe(tmp_path, trees.shifted(images) if shifted else images, made)
        for source in (path, trees.zipped(path)):
            (scene,) = find_scenes(source)
            np.testing.assert_allclose(seen(scene), truth, atol=1e-7)
            assert scene.name == made.naming.product

    return check


# -- what is read ---------------------------------------------------------------------------


KINDS = {
    "L1C, old names": {"level": "L1C", "era": "old"},
    "L1C, new names": {"level": "L1C", "era": "new"},
    "L2A, old names": {"level": "L2A", "era": "old"},
    "L2A, new names": {"level": "L2A", "era": "new"},
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "from 04.00 on"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_product_gives_the_same_reflectance(
    trees: Any,
    see_images: Any,
    kind: str,
    after: bool,  # noqa: FBT001
) -> None:
    made = trees.Safe(**KINDS[kind], **(trees.N0400 if after else {}))
    see_images(made, shifted=after)


@pytest.mark.parametrize("level", LEVELS)
def test_a_real_product_from_baseline_0400_on_equals_the_one_before(
    tmp_path: Path, trees: Any, shared_data: Path, seen: See, level: str
) -> None:
    real = trees.real_images(shared_data)
    bands = ("B02", "B03", "B04", "B08", "B8A", "B11", "B12", "B01")
    before = trees.write_safe(tmp_path, real, trees.Safe(level=level))
    after = trees.write_safe(tmp_path, trees.shifted(real), trees.Safe(level=level, **trees.N0400))
    found = [seen(*find_scenes(path), bands=bands) for path in (before, after)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], trees.on_finest_grid(real, bands) * 1e-4, atol=1e-6)


def test_the_network_is_told_by_the_preset_of_the_metadata(
    tmp_path: Path, trees: Any, images: Any
) -> None:
    for options, name in (({}, "dn"), (trees.N0400, "dn_n0400")):
        path = trees.write_safe(tmp_path, images, trees.Safe(**options))
        with find_scenes(path)[0].opened(Wanted(bands=BANDS)) as product:
            assert product.preset == PRESETS[name]


def test_an_explicit_preset_goes_before_the_metadata(safe: Path) -> None:
    with find_scenes(safe)[0].opened(Wanted(bands=BANDS, preset="dn_n0400")) as product:
        assert product.preset.offset == -1000


def test_offsets_are_those_of_their_bands(tmp_path: Path, trees: Any, images: Any) -> None:
    offsets = [-100 * number for number in range(13)]
    made = trees.Safe(baseline="04.00", offsets=tuple(offsets))
    path = trees.write_safe(tmp_path, images, made)
    for number, band in enumerate(trees.BANDS):
        with find_scenes(path)[0].opened(Wanted(bands=(band,))) as product:
            assert product.preset.offset == offsets[number]


def test_bands_of_different_offsets_are_refused_together(
    tmp_path: Path, trees: Any, images: Any, seen: See
) -> None:
    made = trees.Safe(baseline="04.00", offsets=(-1000,) * 12 + (-900,))
    path = trees.write_safe(tmp_path, images, made)
    seen(*find_scenes(path))
    with pytest.raises(CubeError, match=r"band B04 has scale .* offset -1000, but B12 .* -900"):
        seen(*find_scenes(path), bands=("B04", "B12"))


def test_another_quantification_is_respected(
    safe: Path, seen: See, expected: NDArray[Any], truth: Any
) -> None:
    rewritten(safe, (r">10000<", ">5000<"))
    np.testing.assert_allclose(seen(*find_scenes(safe)), truth * 2, atol=1e-6)


def test_saturated_pixels_are_data(tmp_path: Path, trees: Any, images: Any, seen: See) -> None:
    some = {**images, "B02": images["B02"].copy()}
    some["B02"][50, 60] = 65535
    found = seen(*find_scenes(trees.write_safe(tmp_path, some)))
    assert found[0, 50, 60] == pytest.approx(6.5535)


def test_what_is_known_of_a_product_is_told(safe: Path) -> None:
    with find_scenes(safe)[0].opened(Wanted(bands=BANDS)) as product:
        facts = product.facts
    assert facts.when == datetime(2020, 1, 1, 10, 54, 41, 24000, UTC)
    assert (facts.platform, facts.level, facts.baseline) == ("sentinel-2a", "L1C", "02.08")
    assert facts.product == safe.name.removesuffix(".SAFE")


@pytest.mark.parametrize(
    ("bands", "metres"), [(BANDS, 10), (("B11", "B01"), 20), (("B01", "B09", "B10"), 60)]
)
def test_the_grid_is_that_of_the_finest_band_wanted(
    safe: Path, trees: Any, bands: tuple[str, ...], metres: int
) -> None:
    with find_scenes(safe)[0].opened(Wanted(bands=bands)) as product:
        grid = product.grid
    assert grid.shape == (1200 // metres, 1200 // metres)
    assert grid.transform.to_gdal() == (trees.LEFT, metres, 0, trees.TOP, 0, -metres)
    assert grid.crs.to_epsg() == 32631


@pytest.mark.parametrize("start", [0, 1, 7, 59, 118])
@pytest.mark.parametrize("count", [1, 2, 64])
def test_any_rows_are_those_of_the_whole(
    safe: Path, expected: NDArray[Any], start: int, count: int
) -> None:
    rows = Span(start, min(start + count, 120))
    with find_scenes(safe)[0].opened(Wanted(bands=BANDS)) as product:
        np.testing.assert_array_equal(product.raster.read(rows), expected[:, rows.slice])


def test_pictures_have_their_bands_even_if_the_network_does_not(
    tmp_path: Path, trees: Any, images: Any
) -> None:
    plain = {band: np.full_like(image, int(band[1:], 16) * 100) for band, image in images.items()}
    path = trees.write_safe(tmp_path, plain)
    with find_scenes(path)[0].opened(Wanted(bands=("B11", "B12"))) as product:
        colours = product.colours.read(Span(0, 60))
    assert colours.shape == (3, 60, 60)
    np.testing.assert_array_equal(colours[:, 0, 0], [400, 300, 200])
    assert (colours == colours[:, :1, :1]).all()


def test_a_picture_does_without_a_band_that_is_damaged(safe: Path, seen: See) -> None:
    image_of(safe, "B03").write_bytes(b"none")
    with find_scenes(safe)[0].opened(Wanted(bands=("B08", "B11"))) as product:
        assert product.raster.shape == (2, 120, 120)
        assert product.colours.shape[0] == 1


def test_the_metadata_file_stands_for_its_product(safe: Path, seen: See, truth: Any) -> None:
    (scene,) = find_scenes(safe / "MTD_MSIL1C.xml")
    assert scene.name == safe.stem
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)


def test_an_archive_may_have_any_name_and_depth(
    safe: Path, tmp_path: Path, seen: See, truth: Any
) -> None:
    path = tmp_path / "winter {1}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(safe.rglob("*")):
            archive.write(file, Path("a/b") / file.relative_to(safe.parent))
    (scene,) = find_scenes(path)
    assert scene.name == "winter {1}"
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)


# -- identity -------------------------------------------------------------------------------


def test_identity_stays_until_a_band_changes(safe: Path) -> None:
    before = find_scenes(safe)[0].identity()
    (safe / "note.txt").write_text("seen")
    assert find_scenes(safe)[0].identity() == before
    image = image_of(safe, "B08")
    image.write_bytes(image.read_bytes() + b"x")
    assert find_scenes(safe)[0].identity() != before


# -- what is refused ------------------------------------------------------------------------


def test_l2a_has_no_cirrus_band(tmp_path: Path, trees: Any, images: Any, seen: See) -> None:
    path = trees.write_safe(tmp_path, images, trees.Safe(level="L2A"))
    with pytest.raises(BandError, match=r"SAFE: L2A products have no band B10.*needs an L1C"):
        seen(*find_scenes(path), bands=("B02", "B10"))


def test_a_missing_image_is_named(safe: Path, seen: See) -> None:
    image_of(safe, "B04").unlink()
    with pytest.raises(BandError, match=r"\.SAFE: band B04 is missing .* incomplete"):
        seen(*find_scenes(safe))


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.6, 0.99, 0.9999])
def test_a_truncated_image_is_named(safe: Path, seen: See, share: float) -> None:
    image = image_of(safe, "B11")
    image.write_bytes(image.read_bytes()[: int(share * image.stat().st_size)])
    with pytest.raises(CubeError, match=r"\.SAFE: band B11 .*(incomplete|damaged)"):
        seen(*find_scenes(safe))


def test_a_truncated_image_of_many_tiles_is_named(
    safe: Path, trees: Any, images: Any, seen: See
) -> None:
    """GDAL gives zeros for the tiles that lack, without an error."""
    image = image_of(safe, "B04")
    trees.write_image(image, images["B04"], 10, blockxsize=32, blockysize=32, tiled=True)
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(CubeError, match=r"\.SAFE: band B04 is incomplete .*it ends after"):
        seen(*find_scenes(safe))


def test_a_truncated_image_in_an_archive_is_named(safe: Path, trees: Any, seen: See) -> None:
    image = image_of(safe, "B11")
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(CubeError, match=r"\.zip: band B11 is incomplete"):
        seen(*find_scenes(trees.zipped(safe)))


def test_a_truncated_archive_is_refused(safe: Path, trees: Any, seen: See) -> None:
    path = trees.zipped(safe)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CubeError, match=r"\.zip: .*cannot be read as a zip archive"):
        seen(*find_scenes(path))


def test_numbers_damaged_inside_an_image_are_refused_with_the_band(safe: Path, seen: See) -> None:
    image = image_of(safe, "B11")
    data = bytearray(image.read_bytes())
    start = data.index(b"\xff\x4f\xff\x51")  # where the codestream begins
    data[start : start + 60] = bytes(60)
    image.write_bytes(data)
    with pytest.raises(CubeError, match=r"\.SAFE: band B11 cannot be (opened|read)"):
        seen(*find_scenes(safe))


def test_several_granules_are_refused(safe: Path, seen: See) -> None:
    granule = next((safe / "GRANULE").iterdir())
    shutil.copytree(granule, granule.with_name("L1C_T31TDJ_A023658_20200101T105441"))
    with pytest.raises(CubeError, match=r"\.SAFE: holds 2 granules \(L1C_T31TCJ.*L1C_T31TDJ"):
        seen(*find_scenes(safe))


def test_bands_of_another_zone_are_refused(safe: Path, trees: Any, images: Any, seen: See) -> None:
    trees.write_image(image_of(safe, "B11"), images["B11"], 20, crs="EPSG:32632")
    with pytest.raises(CubeError, match=r"bands B02 and B11 do not fit: their CRS are .*32631"):
        seen(*find_scenes(safe))


def test_bands_of_another_extent_are_refused(
    safe: Path, trees: Any, images: Any, seen: See
) -> None:
    trees.write_image(image_of(safe, "B11"), images["B11"][:40], 20)
    with pytest.raises(CubeError, match=r"bands B02 and B11 do not fit: their corners are"):
        seen(*find_scenes(safe))


@pytest.mark.parametrize(
    ("file", "sensor"),
    [
        ("xfdumanifest.xml", "Sentinel-3"),
        ("measurement/s1a-iw-grd-vv-20200101.tiff", "Sentinel-1"),
        ("LC08_L1TP_198030_20200101_02_T1_B4.TIF", "Landsat"),
    ],
)
def test_a_product_of_another_sensor_is_named(
    tmp_path: Path, seen: See, file: str, sensor: str
) -> None:
    path = tmp_path / "other.SAFE" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(CubeError, match=rf"other\.SAFE: is no Sentinel-2 .*of a {sensor} product"):
        seen(*find_scenes(tmp_path / "other.SAFE"))


def test_metadata_of_another_spacecraft_are_refused(safe: Path, seen: See) -> None:
    rewritten(safe, ("Sentinel-2A", "Sentinel-3B"))
    with pytest.raises(CubeError, match="is a product of sentinel-3b, not of Sentinel-2"):
        seen(*find_scenes(safe))


def test_other_levels_are_refused(safe: Path, seen: See) -> None:
    rewritten(safe, ("Level-1C_User_Product", "Level-1B_User_Product"))
    with pytest.raises(CubeError, match="describes Level-1B_User_Product"):
        seen(*find_scenes(safe))


def test_entities_are_not_expanded(safe: Path, seen: See) -> None:
    path = safe / "MTD_MSIL1C.xml"
    text = path.read_text("utf-8")
    declared = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    path.write_text(text.replace("?>", "?>" + declared, 1).replace("02.08", "&b;"), "utf-8")
    with pytest.raises(CubeError, match=r"MTD_MSIL1C\.xml: .*it has a DOCTYPE"):
        seen(*find_scenes(safe))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (r"</n1:Level.*", "", "cannot be read as XML"),
        (r"<QUANTIFICATION_VALUE.*?>10000</QUANTIFICATION_VALUE>", "", "a number is needed"),
        (r">10000<", ">ten<", "QUANTIFICATION_VALUE is 'ten'"),
        (r">10000<", ">0<", "must be greater than 0"),
        (
            r"</QUANTIFICATION_VALUE>",
            '</QUANTIFICATION_VALUE><RADIO_ADD_OFFSET band_id="13">1</RADIO_ADD_OFFSET>',
            "band_id '13'",
        ),
        (
            r"</QUANTIFICATION_VALUE>",
            f'</QUANTIFICATION_VALUE><RADIO_ADD_OFFSET band_id="{"1" * 5000}"/>',
            "band_id '1111",
        ),
        (r"INDEX>0<", "INDEX>none<", "SPECIAL_VALUE_INDEX is 'none'"),
        (r'encoding="UTF-8"', 'encoding="nan"', "cannot be read as XML .*unknown encoding"),
    ],
)
def test_damaged_metadata_are_refused(safe: Path, seen: See, old: str, new: str, why: str) -> None:
    rewritten(safe, (old, new))
    with pytest.raises(CubeError, match=rf"MTD_MSIL1C\.xml: .*{why}"):
        seen(*find_scenes(safe))


def test_a_product_without_images_is_refused(safe: Path, seen: See) -> None:
    shutil.rmtree(safe / "GRANULE")
    with pytest.raises(CubeError, match=r"\.SAFE: has no images of bands"):
        seen(*find_scenes(safe))


@pytest.mark.parametrize(
    ("name", "at", "field"),
    [
        (b"MTD_MSIL1C.xml", 16, b"\0\0\0\0"),
        (b"MTD_MSIL1C.xml", 20, b"\xfe\xff\xff\x7f"),
        (b"MTD_MSIL1C.xml", 10, b"\x0e\0"),
        (b"MTD_MSIL1C.xml", 8, b"\1\0"),
        (b"_B02.jp2", 42, b"\1\0\0\0"),
        (b"_B02.jp2", 6, b"\xff\0"),
    ],
    ids=["checksum", "size", "method", "encrypted", "place", "version"],
)
def test_a_damaged_entry_of_an_archive_is_refused(
    safe: Path, trees: Any, seen: See, name: bytes, at: int, field: bytes
) -> None:
    path = trees.zipped(safe)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\1\2", 0, content.rindex(name))
    content[entry + at : entry + at + len(field)] = field
    path.write_bytes(content)
    with pytest.raises(CubeError, match=r"\.zip: .*damaged"):
        seen(*find_scenes(path))
