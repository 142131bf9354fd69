from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from cloudmask.classes import CLASSES
from cloudmask.errors import OptionError
from cloudmask.local.beside import beside
from cloudmask.local.product import Grid
from cloudmask.local.writers import MaskWriter, write_text, writer_for
from cloudmask.windows import Span

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (700, 1100)
GRID = Grid(*SHAPE, rasterio.CRS.from_epsg(32633), rasterio.Affine(10, 0, 6e5, 0, -10, 5e6))


@pytest.fixture(scope="module")
def classes() -> NDArray[np.uint8]:
    """(y, x): classes that change every few pixels, some of it empty."""
    random = np.random.default_rng(3)
    codes = random.choice(np.array([0, 1, 2, 3, 255], np.uint8), (70, 110))
    return np.kron(codes, np.ones((11, 11), np.uint8))[: SHAPE[0], : SHAPE[1]]


def spread_of(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Make (4, y, x) probabilities whose greatest is the class's."""
    spread = np.full((4, *classes.shape), 0.1, np.float32)
    for code in range(4):
        spread[code, classes == code] = 0.7
    spread[:, classes == 255] = np.nan
    return spread


def write(
    path: Path, classes: NDArray[np.uint8], probabilities: Path | None = None, grid: Grid = GRID
) -> None:
    spread = spread_of(classes)
    with writer_for(path, grid, probabilities) as writer:
        for start in range(0, grid.height, 300):
            rows = Span(start, min(start + 300, grid.height))
            writer.write(rows, classes[rows.slice], spread[:, rows.slice])
        writer.finish({"MODEL": "brightest"}, {"PERCENT_CLEAR": "20.000"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, classes: NDArray[np.uint8]) -> Path:
    """Folder with mask.tif and chances.tif."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "mask.tif", classes, folder / "chances.tif")
    return folder


@pytest.fixture(scope="module")
def told(made: Path) -> Any:
    """What gdalinfo says of mask.tif."""
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed (Debian: gdal-bin)")
    done = subprocess.run(
        ["gdalinfo", "-json", made / "mask.tif"], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


class Interrupted(BaseException):
    """Something that is no Exception, as KeyboardInterrupt is none."""


# -- whole or absent ------------------------------------------------------------------------


def test_the_file_appears_when_all_went_well(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with beside(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with beside(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, Interrupted])
def test_after_an_error_the_old_file_is_there_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.tif"
    path.write_text("old")

    def fail() -> None:
        with beside(path) as partial:
            partial.write_text("half")
            (tmp_path / f"{partial.name}.aux.xml").write_text("GDAL's sidecar")
            raise error("on the way")

    with pytest.raises(error, match="on the way"):
        fail()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_the_partial_file_is_hidden_and_has_the_suffix_of_the_file(tmp_path: Path) -> None:
    with beside(tmp_path / "mask.tif") as partial:
        assert partial.parent == tmp_path
        assert partial.name.startswith(".mask.")
        assert partial.suffix == ".tif"


def test_the_partial_file_says_whose_it_is(tmp_path: Path) -> None:
    with beside(tmp_path / "mask.tif") as partial:
        assert partial.name.startswith(f".mask.{os.getpid()}-")


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours.txt", "text")
    (tmp_path / "plain.txt").write_text("text")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours.txt", "plain.txt")]
    assert modes[0] == modes[1]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()


# -- the GeoTIFF, read by rasterio ----------------------------------------------------------


def test_the_mask_holds_the_classes_on_the_grid(made: Path, classes: NDArray[np.uint8]) -> None:
    with rasterio.open(made / "mask.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), classes)
        assert Grid.of(dataset) == GRID


def test_the_probabilities_are_scaled_bytes_a_named_band_a_class(
    made: Path, classes: NDArray[np.uint8]
) -> None:
    with rasterio.open(made / "chances.tif") as dataset:
        assert dataset.descriptions == tuple(each.name for each in CLASSES)
        stored, scales = dataset.read(masked=True), dataset.scales
    found = stored * np.array(scales)[:, None, None]
    np.testing.assert_array_equal(np.ma.getmaskarray(found), np.isnan(spread_of(classes)))
    np.testing.assert_allclose(found.filled(np.nan), spread_of(classes), atol=0.5 / 250 + 1e-6)


def test_both_files_have_the_tags_and_the_mask_those_of_classes(made: Path) -> None:
    with rasterio.open(made / "mask.tif") as mask, rasterio.open(made / "chances.tif") as chances:
        assert (mask.tags()["MODEL"], chances.tags()["MODEL"]) == ("brightest", "brightest")
        assert mask.tags()["PERCENT_CLEAR"] == "20.000"
        assert "PERCENT_CLEAR" not in chances.tags()


@pytest.mark.parametrize(
    ("four", "expected"),
    [
        # The mean of their colours is nearest to that of clear, the mean of their codes is 1.5.
        ([[1, 2], [2, 1]], {1, 2}),
        # The first of the four is not the most frequent.
        ([[0, 2], [2, 2]], {2}),
    ],
)
def test_overviews_hold_the_most_frequent_class(
    tmp_path: Path, four: list[list[int]], expected: set[int]
) -> None:
    write(tmp_path / "a.tif", np.tile(np.array(four, np.uint8), (350, 550)))
    with rasterio.open(tmp_path / "a.tif", OVERVIEW_LEVEL=0) as dataset:
        assert set(np.unique(dataset.read(1))) <= expected


def test_a_grid_that_lies_nowhere_makes_a_mask_that_lies_nowhere(
    tmp_path: Path, classes: NDArray[np.uint8]
) -> None:
    write(tmp_path / "a.tif", classes, grid=Grid(*SHAPE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(tmp_path / "a.tif") as dataset:
            np.testing.assert_array_equal(dataset.read(1), classes)
            assert dataset.crs is None


def test_the_same_rows_give_the_same_bytes(
    made: Path, tmp_path: Path, classes: NDArray[np.uint8]
) -> None:
    write(tmp_path / "mask.tif", classes, tmp_path / "chances.tif")
    for name in ("mask.tif", "chances.tif", "mask.qml", "mask.tif.aux.xml"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_nothing_is_left_but_the_files(made: Path) -> None:
    names = {each.name for each in made.iterdir()}
    assert names == {"mask.tif", "mask.qml", "mask.tif.aux.xml", "chances.tif"}


def test_without_finish_nothing_appears(tmp_path: Path, classes: NDArray[np.uint8]) -> None:
    with MaskWriter(tmp_path / "a.tif", GRID, tmp_path / "b.tif") as writer:
        writer.write(Span(0, 700), classes, spread_of(classes))
        assert not (tmp_path / "a.tif").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened_leaves_nothing_open_or_behind(tmp_path: Path) -> None:
    """The folder of the probabilities is missing, which shows after the mask was opened."""
    writer = MaskWriter(tmp_path / "a.tif", GRID, tmp_path / "none" / "b.tif")
    with pytest.raises(FileNotFoundError, match="none"):
        writer.__enter__()
    assert list(tmp_path.iterdir()) == []


# -- the GeoTIFF, read by others ------------------------------------------------------------


def test_gdalinfo_shows_the_colours(told: Any) -> None:
    entries = told["bands"][0]["colorTable"]["entries"]
    for each in CLASSES:
        assert entries[each.code] == [*each.colour, 255]
    assert entries[255][3] == 0


def test_gdalinfo_shows_the_names_of_the_classes(made: Path) -> None:
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed (Debian: gdal-bin)")
    done = subprocess.run(
        ["gdalinfo", made / "mask.tif"], check=True, capture_output=True, text=True
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    start = lines.index("Categories:") + 1
    names = [f"{each.code}: {each.title}" for each in CLASSES]
    assert lines[start : start + len(CLASSES)] == names


def test_gdalinfo_shows_no_data_layout_and_overviews(told: Any) -> None:
    (band,) = told["bands"]
    assert band["noDataValue"] == 255
    assert told["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    assert [each["size"] for each in band["overviews"]] == [[550, 350], [275, 175]]
    assert told["stac"]["proj:epsg"] == 32633


@pytest.mark.parametrize("name", ["mask.tif", "chances.tif"])
def test_rio_cogeo_finds_a_valid_cog(made: Path, name: str) -> None:
    cogeo = pytest.importorskip("rio_cogeo")
    valid, errors, remarks = cogeo.cog_validate(made / name, strict=True)
    assert (valid, errors, remarks) == (True, [], [])


# -- a disk that fills up -------------------------------------------------------------------

FULL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from cloudmask.local.product import Grid
from cloudmask.local.writers import MaskWriter
from cloudmask.windows import Span

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
noise = np.random.default_rng(0).integers(0, 4, (2048, 2048)).astype(np.uint8)
with MaskWriter(Path(sys.argv[1]), Grid(2048, 2048)) as writer:
    writer.write(Span(0, 2048), noise)
    writer.finish({}, {})
"""


@pytest.mark.parametrize("limit", [100_000, 1_300_000])
def test_a_disk_that_fills_up_leaves_the_old_file_and_is_named(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for the disk: reached by the rows, or by the copy."""
    path = tmp_path / "a.tif"
    path.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, path, str(limit)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert str(path) in done.stderr.splitlines()[-1]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# -- choosing by name -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.tif.gz"])
def test_a_name_that_says_no_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=r"choose one of \.tif, \.tiff, \.nc, \.zarr"):
        writer_for(tmp_path / name, GRID)
    with pytest.raises(OptionError, match="choose one of"):
        writer_for(tmp_path / "a.tif", GRID, tmp_path / name)


def test_one_geotiff_for_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="probabilities need a GeoTIFF of their own"):
        writer_for(tmp_path / "a.tif", GRID, tmp_path / "a.tif")
