from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")
onnx = pytest.importorskip("onnx")
typer = pytest.importorskip("typer")
pytest.importorskip("rich")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from rasterio.errors import NotGeoreferencedWarning  # noqa: E402
from rasterio.shutil import copy as copied  # noqa: E402
from rasterio.vrt import WarpedVRT  # noqa: E402

from cloudmask import __version__  # noqa: E402
from cloudmask.classes import CLASSES  # noqa: E402
from cloudmask.default import BUILT_IN  # noqa: E402
from cloudmask.engines import PROVIDERS  # noqa: E402
from cloudmask.local.cli import app, main  # noqa: E402
from cloudmask.local.demo import write_scene  # noqa: E402
from cloudmask.local.simulator import SceneSettings, simulate  # noqa: E402
from cloudmask.spec import ModelSpec  # noqa: E402
from cloudmask.windows import Span  # noqa: E402
from cloudmask_export.item import item  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.registry import Entry

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B03", "B04", "B08")
FOUR_NAMES = "x0,B02,B03,B04,x4,x5,x6,B08,x8,x9,x10,x11,x12"
"""Names for the 13 bands of a scene that say only what four of them are."""
SHAPE = (150, 170)


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one thing said on standard error, where the command refuses."""
        assert self.status in {1, 2}
        assert self.out == ""
        assert "Traceback" not in self.err
        assert len(re.findall(r"^cloudmask: |Error ─", self.err, re.MULTILINE)) == 1
        return self.err


Command = Any


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run the command as a user does, in an empty folder, without a new process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["cloudmask", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        return Done(status, *capfd.readouterr())

    return run


def in_a_process(*arguments: object, folder: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "cloudmask", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def write_network(path: Path, **changes: Any) -> Path:
    """Make a network that calls each pixel by its brightest band, with its manifest."""
    spec = replace(
        ModelSpec(
            name=path.stem, bands=BANDS, classes=(0, 1, 2, 3), tile=64, overlap=16, softmax=True,
            version="1.2.3", licence="MIT", file=path.name, sha256="0" * 64,
        ),
        **changes,
    )  # fmt: skip
    weights = 30 * np.eye(4, dtype=np.float32)[: len(spec.classes), : len(spec.bands), None, None]
    edge: list[str | int] = [spec.tile] * 2 if spec.fixed_tile else ["y", "x"]
    takes, gives = (["n", count, *edge] for count in (len(spec.bands), len(spec.classes)))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "w"], ["output"])],
        "brightest",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, gives)],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)
    spec = replace(spec, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    size = path.stat().st_size
    manifest = item(spec, architecture="convolution", source="about:blank", size=size)
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("networks") / "brightest.onnx")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a simulated scene with a swath edge."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_scene(path, simulate(SceneSettings(shape=SHAPE)))
    return path


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    path = shared_data / "scene" / "s2_l1c_roi136_clouds.tif"
    if not path.exists():
        pytest.skip(f"the test data are not here: {path}")
    return path


def numbers(path: Path, bands: tuple[str, ...] = BANDS) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        image: NDArray[Any] = dataset.read([dataset.descriptions.index(b) + 1 for b in bands])
    return image


def classes(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as dataset:
        found: NDArray[np.uint8] = dataset.read(1)
    return found


def by_hand(path: Path) -> NDArray[np.uint8]:
    image = numbers(path)
    found = image.argmax(axis=0).astype(np.uint8)
    found[(image == 0).any(axis=0)] = 255
    return found


# -- the mask -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["ukis-4b-l1c", "ukis-6b-l1c"])
def test_a_real_scene_is_masked_on_its_own_grid_with_255_exactly_where_no_data_is(
    command: Command, real: Path, tmp_path: Path, model: str, ukis_4b: Entry, ukis_6b: Entry
) -> None:
    done = command("mask", real, "-o", "mask.tif", "-m", model)
    assert (done.status, done.err) == (0, "")
    bands = {"ukis-4b-l1c": ukis_4b, "ukis-6b-l1c": ukis_6b}[model].spec.bands
    with rasterio.open(real) as file, rasterio.open(tmp_path / "mask.tif") as made:
        assert (made.crs, made.transform, made.shape) == (file.crs, file.transform, file.shape)
        assert (made.count, made.dtypes, made.nodata) == (1, ("uint8",), 255)
    found, absent = classes(tmp_path / "mask.tif"), (numbers(real, bands) == 0).any(axis=0)
    np.testing.assert_array_equal(found == 255, absent)
    assert np.isin(found[~absent], [1, 3]).mean() > 0.9


def test_a_simulated_scene_is_masked_as_by_hand(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", network)
    assert (done.status, done.err) == (0, "")
    np.testing.assert_array_equal(classes(tmp_path / "mask.tif"), by_hand(scene))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mask.qml", "mask.tif", "mask.tif.aux.xml",
    ]  # fmt: skip


def test_the_answer_is_one_line_of_shares_that_sum_to_100(
    command: Command, scene: Path, network: Path
) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", network)
    assert done.out.count("\n") == 1
    shares = [float(share) for share in re.findall(r"([\d.]+) %", done.out)]
    assert sum(shares[:4]) == pytest.approx(100, abs=0.2)
    assert shares[4] == pytest.approx(100 * (by_hand(scene) == 255).mean(), abs=0.06)


def test_quiet_says_nothing(command: Command, scene: Path, network: Path) -> None:
    assert command("mask", scene, "-o", "m.tif", "-m", network, "-q") == Done(0, "", "")


def test_two_runs_and_any_number_of_threads_give_the_same_pixels(
    command: Command, scene: Path, tmp_path: Path
) -> None:
    for number, threads in enumerate((1, 1, 2)):
        command("mask", scene, "-o", f"{number}.tif", "--threads", threads, "--probabilities")
    for name in ("{}.tif", "{}_probabilities.tif"):
        first, *others = [
            rasterio.open(tmp_path / name.format(number)).read() for number in range(3)
        ]
        for other in others:
            np.testing.assert_array_equal(other, first)


# -- no network is named --------------------------------------------------------------------


@pytest.mark.parametrize(("names", "model"), [(None, BUILT_IN[0]), (FOUR_NAMES, BUILT_IN[1])])
def test_a_scene_is_masked_by_the_packages_own_network_for_its_bands(
    command: Command, scene: Path, tmp_path: Path, names: str | None, model: str
) -> None:
    bands = () if names is None else ("--bands", names)
    done = command("mask", scene, "-o", "mask.tif", *bands)
    assert (done.status, done.err) == (0, "")
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert dataset.tags()["MODEL"] == model
    command("mask", scene, "-o", "named.tif", *bands, "-m", model)
    np.testing.assert_array_equal(classes(tmp_path / "mask.tif"), classes(tmp_path / "named.tif"))


def test_a_scene_that_lacks_a_band_is_refused_with_what_is_missing(
    command: Command, scene: Path, tmp_path: Path
) -> None:
    names = FOUR_NAMES.replace("B08", "x7")
    complaint = refused(command, tmp_path, scene, "-o", "mask.tif", "--bands", names)
    assert "no network is named" in complaint
    assert "missing band B08" in complaint
    assert "Of the networks that are installed here, " in complaint


def test_many_scenes_get_each_the_network_for_its_bands(
    command: Command, scene: Path, tmp_path: Path
) -> None:
    with rasterio.open(scene) as file:
        profile = {**file.profile, "count": 4}
        with rasterio.open(tmp_path / "four.tif", "w", **profile) as made:
            made.write(numbers(scene))
            made.descriptions = BANDS
    arguments = ("mask", scene, "four.tif", "-o", "out/")
    assert command(*arguments).status == 0
    found = {}
    for name in ("scene", "four"):
        with rasterio.open(tmp_path / "out" / f"{name}_mask.tif") as dataset:
            found[name] = dataset.tags()["MODEL"]
    assert found == {"scene": BUILT_IN[0], "four": BUILT_IN[1]}
    assert "2 complete already" in command(*arguments).out


# -- the file -------------------------------------------------------------------------------


@pytest.fixture
def mask(command: Command, scene: Path, network: Path, tmp_path: Path) -> Path:
    assert command("mask", scene, "-o", "mask.tif", "-m", network).status == 0
    return tmp_path / "mask.tif"


def test_the_mask_has_the_class_colours(mask: Path) -> None:
    with rasterio.open(mask) as dataset:
        table = dataset.colormap(1)
    assert {code: table[code] for code in range(4)} == {
        each.code: (*each.colour, 255) for each in CLASSES
    }


def test_the_tags_say_which_network_made_the_mask(mask: Path, network: Path, scene: Path) -> None:
    with rasterio.open(mask) as dataset:
        tags = dataset.tags()
    assert tags["MODEL"] == "brightest"
    assert tags["MODEL_VERSION"] == "1.2.3"
    assert tags["MODEL_SHA256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    assert tags["MODEL_LICENCE"] == "MIT"
    assert tags["SOURCE"] == scene.name
    assert tags["PRESET"] == "dn"
    assert (tags["TILE"], tags["OVERLAP"], tags["STITCH"]) == ("64", "16", "blend")


def test_the_tags_hold_the_shares_of_the_pixels(mask: Path) -> None:
    with rasterio.open(mask) as dataset:
        tags, found = dataset.tags(), dataset.read(1)
    valid = found[found != 255]
    for each in CLASSES:
        share = 100 * (valid == each.code).mean()
        assert float(tags[f"PERCENT_{each.name.upper()}"]) == pytest.approx(share, abs=0.0006)
        assert tags[f"CLASS_{each.code}"] == each.title
    assert float(tags["PERCENT_NO_DATA"]) == pytest.approx(100 * (found == 255).mean(), abs=0.0006)


def test_gdal_reads_the_category_names(mask: Path) -> None:
    """There is no function for them in rasterio, but a copy as VRT shows what GDAL knows."""
    copied(mask, mask.with_name("copy.vrt"), driver="VRT")
    root = ET.parse(mask.with_name("copy.vrt")).getroot()  # noqa: S314
    names = [each.text for each in root.iter("Category")]
    assert names == [each.title for each in CLASSES]


def test_the_style_beside_it_has_the_class_colours(mask: Path) -> None:
    root = ET.parse(mask.with_suffix(".qml")).getroot()  # noqa: S314
    found = {int(e.attrib["value"]): e.attrib["color"] for e in root.iter("paletteEntry")}
    assert found == {each.code: "#" + bytes(each.colour).hex() for each in CLASSES}


def blocks(path: Path, shape: tuple[int, int] = (700, 1100)) -> Path:
    """Write a raster of four bands whose classes change every few pixels, some of it empty."""
    random = np.random.default_rng(3)
    brightest = np.kron(random.integers(0, 5, (70, 110)), np.ones((11, 11), int))
    brightest = brightest[: shape[0], : shape[1]]
    image = np.stack([np.where(brightest == band, 4000, 500) for band in range(4)])
    image[:, brightest == 4] = 0
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": 4}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", dtype="uint16", nodata=0, **profile, **place) as dataset:
        dataset.write(image.astype(np.uint16))
        dataset.descriptions = BANDS
    return path


def test_the_mask_is_a_cloud_optimised_geotiff(
    command: Command, network: Path, tmp_path: Path
) -> None:
    command("mask", blocks(tmp_path / "big.tif"), "-o", "mask.tif", "-m", network)
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2, 4]
    np.testing.assert_array_equal(classes(tmp_path / "mask.tif"), by_hand(tmp_path / "big.tif"))


def test_overviews_hold_class_codes_and_no_means_of_them(command: Command, tmp_path: Path) -> None:
    network = write_network(tmp_path / "three.onnx", classes=(0, 3))
    source = blocks(tmp_path / "big.tif")
    command("mask", source, "-o", "mask.tif", "-m", network)
    for level in (0, 1):
        with rasterio.open(tmp_path / "mask.tif", OVERVIEW_LEVEL=level) as overview:
            assert overview.width < 1100
            assert set(np.unique(overview.read(1)).tolist()) == {0, 3, 255}


# -- probabilities and pictures -------------------------------------------------------------


def test_probabilities_sum_to_1_and_name_their_classes(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    command("mask", scene, "-o", "mask.tif", "-m", network, "--probabilities")
    with rasterio.open(tmp_path / "mask_probabilities.tif") as dataset:
        stored = dataset.read()
        assert dataset.descriptions == tuple(each.name for each in CLASSES)
        assert dataset.nodatavals == (255,) * 4
        assert dataset.scales == pytest.approx((1 / 250,) * 4)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    found = classes(tmp_path / "mask.tif")
    absent = found == 255
    assert (stored[:, absent] == 255).all()
    assert stored[:, ~absent].max() <= 250
    np.testing.assert_allclose(stored[:, ~absent].sum(axis=0) / 250, 1, atol=4 * 0.5 / 250)


def test_probabilities_are_no_colours_and_survive_a_warp(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    command("mask", scene, "-o", "mask.tif", "-m", network, "--probabilities")
    with rasterio.open(tmp_path / "mask_probabilities.tif") as dataset:
        assert {each.name for each in dataset.colorinterp} == {"gray", "undefined"}
        stored = dataset.read()
        with WarpedVRT(dataset) as warped:
            np.testing.assert_array_equal(warped.read(), stored)


def test_shares_are_told_of_classes_that_the_network_knows(
    command: Command, scene: Path, ukis_4b: Entry, tmp_path: Path
) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", ukis_4b.spec.name)
    assert "thin" not in done.out
    assert "of the valid pixels; no data" in done.out
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert "PERCENT_THIN_CLOUD" not in dataset.tags()


def test_the_version_is_said(command: Command) -> None:
    assert command("--version").out == f"cloudmask {__version__}\n"


def test_the_class_is_the_one_of_greatest_probability(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    command("mask", scene, "-o", "mask.tif", "-m", network, "--probabilities")
    with rasterio.open(tmp_path / "mask_probabilities.tif") as dataset:
        stored = dataset.read().astype(int)
    found = classes(tmp_path / "mask.tif")
    y, x = np.nonzero(found != 255)
    assert (stored[found[y, x], y, x] >= stored[:, y, x].max(axis=0) - 1).all()


def test_a_quicklook_is_a_png(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    done = command("mask", scene, "-o", "mask.tif", "-m", network, "--quicklook", "look.png")
    assert (done.status, done.err) == (0, "")
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG\r\n")


# -- options --------------------------------------------------------------------------------


def test_two_networks_are_an_ensemble(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    other = write_network(tmp_path / "other.onnx")
    done = command("mask", scene, "-o", "mask.tif", "-m", network, "-m", other)
    assert done.status == 0
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert dataset.tags()["MODEL"] == "brightest; other"
        np.testing.assert_array_equal(dataset.read(1), by_hand(scene))


def test_networks_of_other_bands_are_refused_in_one_line(
    command: Command, scene: Path, ukis_4b: Entry, ukis_6b: Entry
) -> None:
    done = command("mask", scene, "-o", "m.tif", "-m", "ukis-4b-l1c", "-m", "ukis-6b-l1c")
    assert "differ in bands" in done.complaint
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--tta", "3"), ("--tta", "7", "--no-adaptive"), ("--no-adaptive",), ("--stitch", "crop"),
        ("--tile", "32"), ("--overlap", "32"), ("--overlap", "0"), ("--preset", "cdse"),
        ("--resolution", "native"), ("--resolution", "10"), ("--resolution", "model"),
        ("--threads", "1"), ("--dilate", "0"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_network_that_looks_at_one_pixel_answers_alike_however_it_is_run(
    command: Command, scene: Path, network: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert command("mask", scene, "-o", "mask.tif", "-m", network, *options).status == 0
    np.testing.assert_array_equal(classes(tmp_path / "mask.tif"), by_hand(scene))


def test_how_it_was_run_stands_in_the_tags(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    command(
        "mask", scene, "-o", "mask.tif", "-m", network, "--tta", "3", "--stitch", "crop",
        "--tile", "32", "--overlap", "8", "--resolution", "20", "--dilate", "30",
    )  # fmt: skip
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        tags = dataset.tags()
    assert tags["TTA_DEPTH"] == "3"
    assert (tags["STITCH"], tags["TILE"], tags["OVERLAP"]) == ("crop", "32", "8")
    assert tags["FILE_PIXELS_PER_NETWORK_PIXEL"] == "2"
    assert tags["DILATED_METRES"] == "30"


def test_at_30_metres_nine_pixels_share_a_class(
    command: Command, network: Path, tmp_path: Path
) -> None:
    source = blocks(tmp_path / "big.tif", (60, 90))
    command("mask", source, "-o", "mask.tif", "-m", network, "--resolution", "30")
    found = classes(tmp_path / "mask.tif").reshape(20, 3, 30, 3).swapaxes(1, 2).reshape(20, 30, 9)
    for block in found.reshape(-1, 9):
        assert len(set(block.tolist()) - {255}) <= 1
    np.testing.assert_array_equal(classes(tmp_path / "mask.tif") == 255, by_hand(source) == 255)


def test_the_preset_of_baseline_04_00_takes_its_offset_off(
    command: Command, scene: Path, tmp_path: Path
) -> None:
    """Brightest by ratio, not by difference, would hide an offset; a threshold shows it."""
    with rasterio.open(scene) as dataset:
        profile, image, names = dataset.profile, dataset.read(), dataset.descriptions
    moved = np.where(image == 0, 0, image + 1000).astype(np.uint16)
    with rasterio.open(tmp_path / "n0400.tif", "w", **profile) as dataset:
        dataset.write(moved)
        dataset.descriptions = names
    options = ("-m", write_network(tmp_path / "net.onnx"), "--probabilities")
    command("mask", scene, "-o", "a.tif", *options)
    command("mask", "n0400.tif", "-o", "b.tif", *options, "--preset", "dn_n0400")
    for name in ("{}.tif", "{}_probabilities.tif"):
        first, second = (rasterio.open(tmp_path / name.format(n)).read() for n in "ab")
        np.testing.assert_array_equal(first, second)


def test_bands_may_be_named_on_the_command_line(
    command: Command, network: Path, tmp_path: Path
) -> None:
    source = blocks(tmp_path / "plain.tif", (60, 90))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = (None,) * 4
    options = ("-o", "mask.tif", "-m", network)
    done = command("mask", source, *options, "--bands", "blue, green, red, nir")
    assert done.status == 0
    image = numbers_of_all(source)
    np.testing.assert_array_equal(
        classes(tmp_path / "mask.tif"), np.where(image[0] == 0, 255, image.argmax(axis=0))
    )


def numbers_of_all(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        image: NDArray[Any] = dataset.read()
    return image


def test_dilation_grows_clouds_and_shadows_by_so_many_metres(
    command: Command, network: Path, tmp_path: Path
) -> None:
    source = blocks(tmp_path / "scene.tif", (120, 90))
    with rasterio.open(source, "r+") as dataset:
        image = dataset.read()
        sparse = np.random.default_rng(1).random((120, 90)) < 0.985
        image[:, sparse & (image[0] > 0)] = np.array([4000, 500, 500, 500])[:, None]
        dataset.write(image)
    command("mask", source, "-o", "plain.tif", "-m", network)
    command("mask", source, "-o", "grown.tif", "-m", network, "--dilate", "35")
    plain = classes(tmp_path / "plain.tif")
    expected = plain.copy()
    padded = np.pad(plain, 3, constant_values=255)
    for code in (1, 2, 3):
        near = np.zeros(plain.shape, bool)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                if dy * dy + dx * dx <= 3.5**2:
                    near |= padded[3 + dy : 123 + dy, 3 + dx : 93 + dx] == code
        expected[(expected == 0) & near] = code
    np.testing.assert_array_equal(classes(tmp_path / "grown.tif"), expected)
    assert (expected != plain).sum() > 100


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-m", "nope"), "unknown model 'nope'"),
        (("-m", "none.onnx"), "none.onnx: there is no such file"),
        (("-o", "absent/mask.tif"), "absent: there is no such folder"),
        (("-o", "mask.png"), "mask.png: a mask is written"),
        (("-o", "mask"), "must end in .tif"),
        (("--bands", "B02,B03"), "2 names for 13 bands"),
        (("--resolution", "garbage"), "'model', 'native' or a number of metres"),
        (("--resolution", "-10"), "must be greater than 0"),
        (("--resolution", "nan"), "must be greater than 0"),
        (("--resolution", "0.001"), "choose --resolution native"),
        (("--overlap", "300"), "overlap=300"),
        (("--overlap", "15"), "must be even"),
        (("--tile", "0"), "tile=0"),
        (("--dilate", "-5"), "must be 0 to 10000 metres"),
        (("--dilate", "nan"), "must be finite"),
        (("--preset", "nope"), "--preset"),
        (("--tta", "8"), "--tta"),
        (("--threads", "0"), "--threads"),
        (("--stitch", "glue"), "--stitch"),
        (("--nonsense",), "--nonsense"),
        (("--quicklook", "absent/look.png"), "absent: there is no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_work_is_refused_with_one_message_and_no_file(
    command: Command,
    scene: Path,
    network: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    says: str,
) -> None:
    first = () if "-m" in options else ("-m", network)
    second = () if "-o" in options else ("-o", "mask.tif")
    done = command("mask", scene, *first, *second, *options)
    assert says in done.complaint
    assert list(tmp_path.iterdir()) == []


def refused(command: Command, folder: Path, *arguments: object) -> str:
    """Run a command that must refuse and leave the folder as it is."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    complaint: str = command("mask", *arguments).complaint
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert complaint.count("\n") == 1
    return complaint


def test_a_missing_input_is_refused(command: Command, tmp_path: Path, network: Path) -> None:
    complaint = refused(command, tmp_path, "no.tif", "-o", "mask.tif", "-m", network)
    assert "no.tif: there is no such file" in complaint


def test_an_input_of_text_is_refused(command: Command, tmp_path: Path, network: Path) -> None:
    (tmp_path / "notes.tif").write_text("hello")
    complaint = refused(command, tmp_path, "notes.tif", "-o", "mask.tif", "-m", network)
    assert "notes.tif: cannot be read as a raster" in complaint


def test_an_empty_folder_as_input_is_refused(
    command: Command, tmp_path: Path, network: Path
) -> None:
    (tmp_path / "folder").mkdir()
    complaint = refused(command, tmp_path, "folder", "-o", "mask.tif", "-m", network)
    assert "folder: no file is named after a band" in complaint


def test_a_file_whose_blocks_are_damaged_is_refused(
    command: Command, tmp_path: Path, network: Path
) -> None:
    source = blocks(tmp_path / "scene.tif", (200, 300))
    with rasterio.open(source) as dataset:
        profile, image = dataset.profile, dataset.read()
    profile.update(compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    noise = np.random.default_rng(0).integers(1, 4000, image.shape, dtype=np.uint16)
    with rasterio.open(source, "w", **profile) as dataset:
        dataset.write(noise)
        dataset.descriptions = BANDS
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40_000] = bytes(40_000)
    source.write_bytes(content)
    complaint = refused(command, tmp_path, source, "-o", "mask.tif", "-m", network)
    assert "scene.tif" in complaint


def test_missing_bands_are_refused_by_name(
    command: Command, tmp_path: Path, ukis_6b: Entry
) -> None:
    source = blocks(tmp_path / "scene.tif", (60, 90))
    complaint = refused(command, tmp_path, source, "-o", "mask.tif", "-m", "ukis-6b-l1c")
    assert "missing bands B11, B12" in complaint
    assert "--bands" in complaint


def test_bands_without_names_are_refused_with_the_option_that_names_them(
    command: Command, tmp_path: Path, network: Path
) -> None:
    source = blocks(tmp_path / "scene.tif", (60, 90))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = (None,) * 4
    complaint = refused(command, tmp_path, source, "-o", "mask.tif", "-m", network)
    assert "--bands B02,B03,B04,B08" in complaint


def test_a_file_that_names_some_bands_lists_those_it_names(
    command: Command, tmp_path: Path, network: Path
) -> None:
    source = blocks(tmp_path / "scene.tif", (60, 90))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = ("B02", "B03", None, None)
    complaint = refused(command, tmp_path, source, "-o", "mask.tif", "-m", network)
    assert ", ," not in complaint


@pytest.mark.parametrize("other", [("-o", "scene.tif"), ("-o", "x/../scene.tif")], ids=" ".join)
def test_the_output_may_not_be_the_input(
    command: Command, tmp_path: Path, network: Path, other: tuple[str, str]
) -> None:
    (tmp_path / "x").mkdir()
    source = blocks(tmp_path / "scene.tif", (60, 90))
    assert "is a file of the input too" in refused(
        command, tmp_path, source, *other, "-m", network
    )


@pytest.mark.parametrize("look", ["scene.tif", "mask.tif"])
def test_the_quicklook_may_not_be_the_input_nor_the_mask(
    command: Command, tmp_path: Path, network: Path, look: str
) -> None:
    source = blocks(tmp_path / "scene.tif", (60, 90))
    options = ("-o", "mask.tif", "-m", network, "--quicklook", look)
    assert look in refused(command, tmp_path, source, *options)


def test_the_probabilities_may_not_be_the_input(
    command: Command, tmp_path: Path, network: Path
) -> None:
    source = blocks(tmp_path / "a_probabilities.tif", (60, 90))
    complaint = refused(command, tmp_path, source, "-o", "a.tif", "-m", network, "--probabilities")
    assert "a_probabilities.tif" in complaint


def test_another_tile_for_a_network_of_fixed_tiles_is_refused(
    command: Command, scene: Path, tmp_path: Path
) -> None:
    network = write_network(tmp_path / "fixed.onnx", fixed_tile=True)
    complaint = refused(command, tmp_path, scene, "-o", "m.tif", "-m", network, "--tile", "128")
    assert "takes tiles of 64 pixels only" in complaint


def test_a_damaged_network_is_refused(command: Command, scene: Path, tmp_path: Path) -> None:
    network = write_network(tmp_path / "net.onnx")
    network.write_bytes(network.read_bytes() + b"x")
    assert "sha256" in refused(command, tmp_path, scene, "-o", "mask.tif", "-m", network)


# -- many scenes ----------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> list[str]:
    """Write three scenes; give their names in a folder `in`."""
    (tmp_path / "in").mkdir()
    return [f"in/{blocks(tmp_path / 'in' / name, (60, 90)).name}" for name in
            ("a.tif", "b.tif", "c.tif")]  # fmt: skip


def test_many_scenes_have_a_line_each_and_one_for_all(
    command: Command, many: list[str], network: Path
) -> None:
    done = command("mask", *many, "-o", "out", "-m", network)
    assert (done.status, done.err) == (0, "")
    *lines, last = done.out.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["a", "b", "c"]
    for line in lines:
        assert re.search(r"clear [\d.]+ %, .* of all; [\d.]+ s$", line)
    assert last == "out: 3 scenes masked"


def test_a_pattern_may_come_as_it_is(
    command: Command, many: list[str], network: Path, tmp_path: Path
) -> None:
    assert command("mask", "in/*.tif", "-o", "out", "-m", network, "-q") == Done(0, "", "")
    assert len(list((tmp_path / "out").glob("*.json"))) == 3


def test_a_folder_of_products_means_them(tmp_path: Path) -> None:
    from cloudmask.local.inputs import scenes_of

    for name in ("S2A_MSIL1C_1.SAFE", "S2A_MSIL1C_2.SAFE"):
        (tmp_path / "down" / name).mkdir(parents=True)
    found, _ = scenes_of([str(tmp_path / "down")])
    assert [scene.name for scene in found] == ["S2A_MSIL1C_1", "S2A_MSIL1C_2"]


@pytest.mark.parametrize("output", ["new/", "there"])
def test_one_scene_goes_into_a_folder_too(
    command: Command, many: list[str], network: Path, tmp_path: Path, output: str
) -> None:
    (tmp_path / "there").mkdir()
    assert command("mask", many[0], "-o", output, "-m", network).status == 0
    assert (tmp_path / output / "a.json").exists()


def test_scenes_that_fail_are_listed_at_the_end_and_the_rest_is_done(
    command: Command, many: list[str], network: Path, tmp_path: Path
) -> None:
    (tmp_path / many[1]).write_text("hello")
    done = command("mask", *many, "in/none.tif", "-o", "out", "-m", network)
    assert done.status == 1
    assert "out: 2 scenes masked, 2 failed" in done.out
    head, *reasons = done.err.splitlines()
    assert head == "cloudmask: 2 of 4 scenes failed:"
    assert reasons[0].startswith("cloudmask: in/b.tif: cannot be read as a raster")
    assert reasons[1] == "cloudmask: in/none.tif: there is no such file or folder"
    assert sorted(path.name for path in (tmp_path / "out").glob("*.json")) == ["a.json", "c.json"]


def test_the_same_command_again_goes_on_where_the_last_one_ended(
    command: Command, many: list[str], network: Path, tmp_path: Path
) -> None:
    command("mask", *many[:2], "-o", "out/", "-m", network)
    done = command("mask", *many, "-o", "out/", "-m", network)
    assert done.out.splitlines()[-1] == "out: 1 scene masked, 2 complete already"
    done = command("mask", *many, "-o", "out/", "-m", network, "--overwrite")
    assert done.out.splitlines()[-1] == "out: 3 scenes masked"


def test_options_that_only_one_scene_can_have_are_refused_for_many(
    command: Command, many: list[str], network: Path, tmp_path: Path
) -> None:
    options = ("-m", network, "--quicklook", "look.png")
    assert "draws one scene" in refused(command, tmp_path, *many, "-o", "out", *options)
    complaint = refused(command, tmp_path, *many, "-o", "mask.tif", "-m", network)
    assert "mask.tif: 3 scenes are given, so a folder is needed" in complaint


def test_a_folder_that_cannot_be_written_to_is_refused(
    command: Command, many: list[str], network: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("hello")
    complaint = refused(command, tmp_path, *many, "-o", "file/out", "-m", network)
    assert "file/out: cannot be written to" in complaint


def test_a_warning_names_the_scene_of_many(many: list[str], network: Path, tmp_path: Path) -> None:
    options = ("-o", "out", "-m", network, "--preset", "reflectance")
    done = in_a_process("mask", *many, *options, folder=tmp_path)
    assert sorted(re.findall(r"warning: (\w): preset", done.err)) == ["a", "b", "c"]


def test_a_terminal_sees_how_many_scenes_are_done(
    many: list[str], network: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "cloudmask", "mask", *many, "-o", "out", "-m", network],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = read_all(ours)
        assert process.stdout is not None
        said = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert "of 3 scenes" in seen
    assert said.count(b"\n") == 4


def test_a_scheduler_is_connected_to_once_and_computes_all_scenes(
    command: Command,
    many: list[str],
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cloudmask.local import cluster

    connections, computed = [], []

    @contextmanager
    def connected(address: str) -> Iterator[str]:
        connections.append(address)
        yield "client"

    def stream(order: Any, client: str) -> Iterator[Any]:
        computed.append(client)
        yield from order.rows(Span(0, order.regrid.network_shape[0]))

    monkeypatch.setattr(cluster, "connected", connected)
    monkeypatch.setattr(cluster, "stream", stream)
    options = ("-m", network, "-q", "--scheduler", "tcp://host:8786")
    assert command("mask", *many, "-o", "out", *options) == Done(0, "", "")
    assert (connections, computed) == (["tcp://host:8786"], ["client"] * 3)
    for name in many:
        found = classes(tmp_path / "out" / f"{name[3]}_mask.tif")
        np.testing.assert_array_equal(found, by_hand(tmp_path / name))


@pytest.mark.parametrize("name", ["mask.nc", "mask.zarr"])
def test_a_mask_may_be_a_cube(
    command: Command, scene: Path, network: Path, tmp_path: Path, name: str
) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr" if name.endswith("zarr") else "netCDF4")
    assert command("mask", scene, "-o", name, "-m", network, "--probabilities").status == 0
    opened = xarray.open_dataset(tmp_path / name, mask_and_scale=False, engine=None)
    np.testing.assert_array_equal(opened["class"].values, by_hand(scene))
    assert set(opened.data_vars) >= {"class", "probability"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


# -- warnings, interrupts, progress ---------------------------------------------------------


@pytest.fixture(scope="module")
def doubted(scene: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("doubted")
    options = ("-o", "mask.tif", "-m", network, "--preset", "reflectance")
    return in_a_process("mask", scene, *options, folder=folder)


def test_a_wrong_preset_warns_once(doubted: Done) -> None:
    assert doubted.status == 0
    assert doubted.err.count("choose another preset") == 1


def test_a_warning_is_one_line_that_shows_no_source_code(doubted: Done) -> None:
    assert ".py:" not in doubted.err
    assert "warn_of_misfit" not in doubted.err
    assert doubted.err.count("\n") == 1


def test_a_raster_without_a_place_on_earth_makes_no_noise(network: Path, tmp_path: Path) -> None:
    source = blocks(tmp_path / "scene.tif", (60, 90))
    with rasterio.open(source) as dataset:
        profile, image = dataset.profile, dataset.read()
    del profile["crs"], profile["transform"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(source, "w", **profile) as dataset:
            dataset.write(image)
            dataset.descriptions = BANDS
    done = in_a_process("mask", source, "-o", "mask.tif", "-m", network, folder=tmp_path)
    assert (done.status, done.err) == (0, "")


def test_a_stopped_run_says_so_and_leaves_nothing(
    command: Command, scene: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cloudmask.model.OnnxModel._run", stop)
    done = command("mask", scene, "-o", "mask.tif", "-m", network)
    assert done.status == 130
    assert done.err.startswith("cloudmask: stopped")
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_run_leaves_nothing(real: Path, tmp_path: Path, ukis_4b: Entry) -> None:
    """Batch systems end what runs too long by SIGTERM."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cloudmask",
            "mask",
            real,
            "-o",
            "mask.tif",
            "--tta",
            "7",
            "--no-adaptive",
            "--threads",
            "1",
        ],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 30
        while not list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        process.terminate()
    assert process.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_sees_the_answer_and_no_bar(scene: Path, network: Path, tmp_path: Path) -> None:
    done = in_a_process("mask", scene, "-o", "mask.tif", "-m", network, folder=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.isascii()
    assert done.out.startswith("mask.tif: clear")


def read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux ends a pseudo-terminal so
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


def test_a_terminal_sees_pixels_and_the_time_left(network: Path, tmp_path: Path) -> None:
    source = blocks(tmp_path / "scene.tif")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "cloudmask", "mask", source, "-o", "mask.tif", "-m", network],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = read_all(ours)
        assert process.stdout is not None
        said = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert "of 0.8 Mpx" in seen
    assert re.search(r"\d:\d\d:\d\d|-:--:--", seen)
    assert said.startswith(b"mask.tif: clear")


# -- the other commands ---------------------------------------------------------------------


def test_models_lists_the_networks_and_how_to_use_another(command: Command) -> None:
    done = command("models")
    assert done.status == 0
    names = "ukis-4b-l1c", "ukis-4b-l2a", "ukis-6b-l1c", "ukis-6b-l2a"
    for name in (*BUILT_IN, *names):
        assert done.out.count(f" {name} ") == 1
    assert "--model path/to/net.onnx" in done.out


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_help_lists_the_commands(command: Command) -> None:
    done = command("--help")
    assert done.status == 0
    for name in ("mask", "models", "demo", "report", "compare"):
        assert re.search(rf"\b{name}\b", plain(done.out))


@pytest.mark.parametrize("name", ["mask", "models", "demo"])
def test_help_of_a_command_names_and_explains_every_option(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    done = command(name, "--help")
    assert done.status == 0
    parameters = typer.main.get_command(app).commands[name].params
    for parameter in parameters:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert all(flag in plain(done.out) for flag in parameter.opts)
            assert parameter.help


def test_the_command_alone_shows_its_help(command: Command) -> None:
    done = command()
    assert "Usage" in plain(done.out + done.err)


def test_the_demo_writes_its_files_and_prints_their_paths(
    command: Command, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    done = command("demo", "-o", "new/demo", "--size", "96")
    assert (done.status, done.err) == (0, "")
    names = ["demo.png", "mask.qml", "mask.tif", "scene.tif"]
    for name in names:
        assert f"new/demo/{name}: " in done.out
        assert (tmp_path / "new" / "demo" / name).is_file()
    assert sorted(each.name for each in (tmp_path / "new" / "demo").iterdir()) == sorted(
        [*names, "mask.tif.aux.xml"]
    )


def test_the_demo_scores_every_class_of_the_packages_own_network(
    command: Command, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    done = command("demo", "-o", "demo", "--size", "96", "--seed", "1")
    scored = re.findall(r"([a-z ]+) F1 (\d\.\d\d) \(precision ([^,]+), recall ([^)]+)\)", done.out)
    truth = simulate(SceneSettings(shape=(96, 96), seed=1)).truth
    found = classes(tmp_path / "demo" / "mask.tif")
    expected = []
    for code, name in enumerate((" clear", " thick cloud", " thin cloud", " cloud shadow")):
        hits = ((found == code) & (truth == code)).sum()
        called, there = ((each == code).sum() for each in (found, truth))
        shares = [
            part / whole if whole else 1
            for part, whole in ((2 * hits, called + there), (hits, called), (hits, there))
        ]
        expected.append((name, *(f"{share:.2f}" for share in shares)))
    assert scored == expected
    with rasterio.open(tmp_path / "demo" / "mask.tif") as dataset:
        assert dataset.tags()["MODEL"] == BUILT_IN[0]


def test_a_network_with_one_cloud_class_is_scored_by_that_in_the_demo(
    command: Command, ukis_6b: Entry
) -> None:
    pytest.importorskip("matplotlib")
    done = command("demo", "-o", "demo", "--size", "96", "-m", ukis_6b.spec.name)
    assert re.findall(r"([a-z ]+) F1", done.out) == [" cloud", " clear", " cloud shadow"]


def test_a_demo_into_a_file_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    assert "notes" in command("demo", "-o", "notes", "--size", "64").complaint


def test_a_demo_of_an_unknown_network_leaves_nothing(command: Command, tmp_path: Path) -> None:
    assert "unknown model" in command("demo", "-o", "demo", "--size", "64", "-m", "x").complaint
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# -- engine and memory ----------------------------------------------------------------------


def test_the_help_lists_the_engines(command: Command) -> None:
    words = command("mask", "--help").out
    assert [name for name in PROVIDERS if name not in words] == []


def test_an_unknown_engine_is_refused(command: Command, scene: Path, network: Path) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", network, "--provider", "tpu")
    assert "provider='tpu': choose one of cpu, cuda" in done.complaint


@pytest.mark.parametrize("amount", ["1073741824", "1G", "much"])
def test_memory_without_a_unit_is_refused(
    command: Command, scene: Path, network: Path, amount: str
) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", network, "--memory", amount)
    assert "write a number and MiB, GiB, MB or GB, such as 512MiB" in done.complaint


def test_too_little_memory_is_told_with_what_would_help(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    done = command("mask", scene, "-o", "mask.tif", "-m", network, "--memory", "64MiB")
    assert re.search(r"memory of 64 MiB is not enough.*Possible are: memory of", done.complaint)
    assert not (tmp_path / "mask.tif").exists()


def test_enough_memory_changes_no_mask(
    command: Command, scene: Path, network: Path, tmp_path: Path
) -> None:
    for name, more in (("plain.tif", []), ("capped.tif", ["--memory", "64GiB"])):
        assert command("mask", scene, "-o", name, "-m", network, "-q", *more).status == 0
    np.testing.assert_array_equal(
        classes(tmp_path / "plain.tif"), classes(tmp_path / "capped.tif")
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak, on Linux only")
def test_a_real_network_keeps_to_the_cap(scene: Path, ukis_4b: Entry, tmp_path: Path) -> None:
    cap, code = (
        1024,
        (
            "import atexit, pathlib, sys\n"
            "status = pathlib.Path('/proc/self/status')\n"
            "atexit.register(lambda: pathlib.Path('status').write_text(status.read_text()))\n"
            "from cloudmask.local.cli import main\n"
            "main()\n"
        ),
    )
    words = ["mask", str(scene), "-o", "mask.tif", "-m", "ukis-4b-l1c", "--memory", f"{cap}MiB"]
    subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, check=True, capture_output=True
    )
    peak = re.search(r"VmHWM:\s+(\d+) kB", (tmp_path / "status").read_text())
    assert peak
    assert int(peak[1]) <= cap * 1024
    assert classes(tmp_path / "mask.tif").shape == SHAPE
