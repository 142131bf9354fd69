"""PixBox-S2-CMIX: points in products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rasterio.warp import transform

from cloudmask_export.evaluation.datasets import check, open_dataset, pixbox
from cloudmask_export.evaluation.datasets.points import product_names
from cloudmask_export.evaluation.labels import PIXBOX, PIXBOX_SEVERAL
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PRODUCT = 5472572
NAME = "S2A_MSIL1C_20171205T143751_N0206_R096_T19KEU_20171205T180316"
HEAD = "ID,PRODUCT_ID,PIXEL_X,PIXEL_Y,LATITUDE,LONGITUDE,CLOUD_CHARACTERISTICS_ID,SHADOW_ID"

Row = tuple[int, int, int, int]
"""Column, row, CLOUD_CHARACTERISTICS_ID, SHADOW_ID."""


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory, safe_trees: Any) -> Any:
    """A product of 600 x 600 pixels of 10 m, called as one of the 29, and its images."""
    images = safe_trees.simulated_images(6000)
    root = safe_trees.write_safe(tmp_path_factory.mktemp("safe"), images)
    return root.rename(root.with_name(f"{NAME}.SAFE")), images, safe_trees


@pytest.fixture
def written(tmp_path: Path, safe: Any) -> Callable[..., Path]:
    """Give what writes the table beside the product."""
    product, _, trees = safe

    def write(rows: Sequence[Row], shift: float = 0.0, number: int = PRODUCT) -> Path:
        x = [trees.LEFT + 10 * (row[0] + 0.5) + shift for row in rows]
        y = [trees.TOP - 10 * (row[1] + 0.5) for row in rows]
        longitude, latitude = transform(trees.CRS, "EPSG:4326", x, y)
        lines = [
            f"1,{number},{row[0]},{row[1]},{north:.6f},{east:.6f},{row[2]},{row[3]}"
            for row, north, east in zip(rows, latitude, longitude, strict=True)
        ]
        folder = tmp_path / "PixBox-S2-CMIX"
        folder.mkdir(exist_ok=True)
        text = "\n".join([HEAD, *lines]) + "\n"
        (folder / "pixbox_sentinel2_cmix_20180425.csv").write_text(text, "utf-8")
        if not (tmp_path / "Sentinel-2_L1C").exists():
            (tmp_path / "Sentinel-2_L1C").mkdir()
            (tmp_path / "Sentinel-2_L1C" / product.name).symlink_to(product)
        return tmp_path

    return write


def test_a_point_is_found_where_the_table_says(written: Callable[..., Path], safe: Any) -> None:
    # (column, row): cells that begin at other rows than columns.
    where = [(550, 100), (520, 180)]
    dataset = open_dataset(written([(*place, 2, 1) for place in where]))
    assert (dataset.name, dataset.kind, dataset.human) == ("pixbox", "points", True)
    (sample,) = dataset.samples
    truth, image = sample.truth(), sample.image()
    _, images, trees = safe
    grid = trees.on_finest_grid(images, image.bands) / 10_000
    assert len({tuple(grid[:, row, column]) for column, row in where}) == 2
    for point, (column, row) in enumerate(where):
        assert truth.rows is not None
        assert truth.columns is not None
        there = image.reflectance[:, truth.rows[point], truth.columns[point]]
        assert there == pytest.approx(grid[:, row, column])


def test_an_image_is_a_cell_with_its_surroundings(written: Callable[..., Path]) -> None:
    sample = open_dataset(written([(300, 300, 1, 1)])).samples[0]
    image = sample.image()
    assert image.shape == (472, 472)  # from 128 to the product's edge at 600
    assert (image.pixel_size, image.level) == (10.0, "L1C")


def test_points_of_one_cell_share_an_image(written: Callable[..., Path]) -> None:
    samples = open_dataset(written([(10, 10, 1, 1), (20, 30, 2, 1), (300, 10, 1, 1)])).samples
    assert [each.name for each in samples] == [f"{NAME}/0_0", f"{NAME}/0_1"]
    assert [len(each.truth().codes) for each in samples] == [2, 1]
    assert {each.group for each in samples} == {"19KEU"}


def test_a_points_code_is_its_cloud_and_100_more_in_cloud_shadow(
    written: Callable[..., Path],
) -> None:
    rows = [(1, 1, 1, 1), (2, 1, 5, 0), (3, 1, 1, 3), (4, 1, 2, 3), (5, 1, 1, 2), (6, 1, 1, 4)]
    dataset = open_dataset(written(rows))
    codes = dataset.samples[0].truth().codes.tolist()
    assert codes == [1, 5, 101, 102, 1, 1]
    meant = [dataset.scheme.codes[code] for code in codes]
    assert meant == [(0,), (2,), (3,), (1, 3), (0,), (0,)]
    check(dataset)


def test_the_offset_is_what_the_product_says(
    tmp_path: Path, safe_trees: Any, written: Callable[..., Path]
) -> None:
    root = written([(50, 60, 1, 1)])
    images = safe_trees.simulated_images(1200)
    (root / "Sentinel-2_L1C" / f"{NAME}.SAFE").unlink()
    new = safe_trees.write_safe(
        tmp_path, safe_trees.shifted(images), safe_trees.Safe(**safe_trees.N0400)
    )
    new.rename(root / "Sentinel-2_L1C" / f"{NAME}.SAFE")
    sample = open_dataset(root).samples[0]
    image = sample.image()
    expected = safe_trees.on_finest_grid(images, image.bands)[:, 60, 50] / 10_000
    assert image.reflectance[:, 60, 50] == pytest.approx(expected)


def test_the_published_table_fits_the_10_m_grid() -> None:
    # First rows of the table, as OmniCloudMask's validation notebook shows them, of tile 19KEU,
    # whose upper left corner is at 499980, 7900000 (EPSG:32719).
    rows = [(8113, 4879, -19.431860, -68.227310), (9360, 2757, -19.239567, -68.109573)]
    for column, row, latitude, longitude in rows:
        (east,), (north,) = transform("EPSG:4326", "EPSG:32719", [longitude], [latitude])
        assert east == pytest.approx(499_980 + 10 * (column + 0.5), abs=0.5)
        assert north == pytest.approx(7_900_000 - 10 * (row + 0.5), abs=0.5)


def test_all_products_are_known_and_older_than_the_offset() -> None:
    names = product_names()
    assert len(names) == 29
    assert {name.split("_")[3] for name in names.values()} == {"N0204", "N0205", "N0206"}


def test_no_product_is_opened_before_it_is_asked_for(written: Callable[..., Path]) -> None:
    root = written([(1, 1, 1, 1)])
    (root / "Sentinel-2_L1C" / f"{NAME}.SAFE").unlink()
    (root / "Sentinel-2_L1C" / f"{NAME}.zip").write_bytes(b"no zip")
    sample = open_dataset(root).samples[0]
    assert sample.truth().codes.tolist() == [1]
    with pytest.raises(EvaluationError, match=rf"{NAME}\.zip"):
        sample.image()


def test_a_point_that_lies_elsewhere_is_refused(written: Callable[..., Path]) -> None:
    root = written([(300, 410, 2, 1)], shift=30.0)
    with pytest.raises(EvaluationError, match="PIXEL_X 300, PIXEL_Y 410 lies 30 m from its LAT"):
        open_dataset(root).samples[0].image()


def test_a_point_outside_of_its_product_is_refused(written: Callable[..., Path]) -> None:
    dataset = open_dataset(written([(300, 620, 2, 1)]))
    with pytest.raises(EvaluationError, match=r"PIXEL_Y 620 is outside of .* 600 x 600 pixels"):
        dataset.samples[0].image()
    with pytest.raises(EvaluationError, match=r"label at row 236, column 172 of an image of 216"):
        check(dataset)


def test_a_missing_product_is_refused(written: Callable[..., Path]) -> None:
    root = written([(1, 1, 1, 1)])
    (root / "Sentinel-2_L1C" / f"{NAME}.SAFE").unlink()
    with pytest.raises(
        EvaluationError, match=rf"{NAME}\.SAFE: is not there, but pixbox_sentinel2"
    ):
        open_dataset(root)


def test_the_product_that_was_never_published_is_left_out_aloud(
    written: Callable[..., Path],
) -> None:
    root = written([(1, 1, 1, 1)], number=pixbox.UNPUBLISHED)
    with (
        pytest.warns(pixbox.LeftOutWarning, match="1 points are left out.*T36VUM"),
        pytest.raises(EvaluationError, match="has no samples of the layout pixbox"),
    ):
        open_dataset(root)


@pytest.mark.parametrize(
    ("rows", "number", "match"),
    [
        ([(1, 1, 13, 1)], PRODUCT, "line 2 has CLOUD_CHARACTERISTICS_ID 13 and SHADOW_ID 1; 0 to"),
        ([(1, 1, 1, 5)], PRODUCT, "line 2 has CLOUD_CHARACTERISTICS_ID 1 and SHADOW_ID 5"),
        ([(1, 1, 102, 1)], PRODUCT, "line 2 has CLOUD_CHARACTERISTICS_ID 102"),
        ([(1, 1, 1, 1), (-1, 1, 1, 1)], PRODUCT, "line 3 has PIXEL_X -1, PIXEL_Y 1 below 0"),
        ([(1, 1, 1, 1)], 7, "PRODUCT_ID 7 is none of the 29"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    written: Callable[..., Path], rows: list[Row], number: int, match: str
) -> None:
    with pytest.raises(EvaluationError, match=match):
        open_dataset(written(rows, number=number))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("ID,PRODUCT_ID\n", "has no column PIXEL_X, PIXEL_Y, CLOUD_CHARACTERISTICS_ID, SHADOW_ID"),
        (f"{HEAD}\n1,x,1,1,1,1,1,1\n", "line 2 cannot be read"),
        (f"{HEAD}\n1,1\n", "line 2 cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "pixbox_sentinel2_cmix_20180425.csv").write_text(text, "utf-8")
    with pytest.raises(EvaluationError, match=match):
        open_dataset(tmp_path)


def test_two_tables_are_refused(written: Callable[..., Path]) -> None:
    root = written([(1, 1, 1, 1)])
    (root / "pixbox_sentinel2_cmix_2.csv").write_text(HEAD, "utf-8")
    with pytest.raises(EvaluationError, match="has 2 tables of points"):
        open_dataset(root)


def test_points_that_are_cloud_and_shadow_are_named() -> None:
    both = {code for code, meant in PIXBOX.codes.items() if 3 in meant and {1, 2} & set(meant)}
    assert both == PIXBOX_SEVERAL
    assert len(both) == 10
