from __future__ import annotations

import hashlib
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import xarray as xr

from cloudmask import Options, Runtime, mask_clouds
from cloudmask.engines.ort import inference_session as open_session
from cloudmask.errors import OptionError
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.registry import local
from cloudmask.spec import METADATA_KEY, parse_manifest
from cloudmask_export.errors import ExportError, WeightsError
from cloudmask_export.families.lock import Lock, Pin
from cloudmask_export.make import Order, make
from cloudmask_export.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "omnicloudmask-v4-regnety_004"
ENDINGS = [
    ".json", ".onnx", ".report.json", ".report.md", ".test-input.npy", ".test-output.npy",
]  # fmt: skip
STEPS = ["reading", "running the network as its authors wrote it", "running it rewritten"]

product = import_module("cloudmask_export.make")


def contents(folder: Path) -> dict[str, bytes]:
    """Read a folder, hidden files and folders included."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def manifest(folder: Path, name: str = NAME) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return found


def report(folder: Path, name: str = NAME) -> dict[str, Any]:
    return manifest(folder, f"{name}.report")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inside(path: Path) -> dict[str, Any]:
    """Read the manifest within an ONNX file."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (text,) = (entry.value for entry in model.metadata_props if entry.key == METADATA_KEY)
    found: dict[str, Any] = json.loads(text)
    return found


# -- what there is --------------------------------------------------------------------------


def test_an_export_makes_six_files_and_nothing_hidden(exported: Any) -> None:
    assert sorted(contents(exported.folder)) == [NAME + ending for ending in ENDINGS]
    assert exported.made.path == exported.folder / f"{NAME}.onnx"


def test_the_manifest_pins_the_file_beside_it(exported: Any) -> None:
    spec = parse_manifest(json.dumps(manifest(exported.folder)))
    assert spec.sha256 == sha256(exported.folder / spec.file)
    assert spec == exported.made.spec
    size = manifest(exported.folder)["assets"]["model"]["file:size"]
    assert size == exported.made.path.stat().st_size


def test_the_manifest_says_what_is_published_of_the_network(exported: Any) -> None:
    spec = parse_manifest(json.dumps(manifest(exported.folder)))
    assert (spec.name, spec.file, spec.version) == (NAME, f"{NAME}.onnx", "regnety_004")
    assert spec.title == "OmniCloudMask, version 4, regnety_004"
    assert (spec.bands, spec.classes) == (("B04", "B03", "B8A"), (0, 1, 2, 3))
    assert (spec.tile, spec.overlap, spec.fixed_tile, spec.pixel_size) == (1000, 300, False, 10)
    assert (spec.licence, spec.level) == ("MIT", "")
    assert "https://doi.org/10.1016/j.rse.2025.114694" in spec.citation


def test_the_manifest_says_what_a_call_costs(exported: Any) -> None:
    spec = parse_manifest(json.dumps(manifest(exported.folder)))
    assert spec.size == exported.made.path.stat().st_size
    assert spec.flops_per_pixel == pytest.approx(101e3, rel=0.01)  # OmniCloudMask V4, a pixel
    full_resolution = 4 * (3 + 4 + 32 + 16)  # bytes: ends, and the last block before and after
    assert full_resolution < spec.bytes_per_pixel < 10 * full_resolution


def test_a_network_belongs_to_its_family(exported: Any) -> None:
    assert manifest(exported.folder)["properties"]["cloudmask:family"] == "omnicloudmask-v4"
    assert exported.made.spec.family == "omnicloudmask-v4"


def test_nothing_is_left_to_the_caller_but_reflectance(exported: Any) -> None:
    spec = exported.made.spec
    assert (spec.mean, spec.std, spec.softmax) == ((), (), False)


def test_the_manifest_says_what_it_was_trained_on_and_where_it_comes_from(exported: Any) -> None:
    made = manifest(exported.folder)
    assert made["properties"]["description"].startswith("Trained on: CloudSEN12 High")
    assert "CC BY-NC" in made["properties"]["description"]
    weights = hashlib.sha256(exported.source.read_bytes()).hexdigest()
    assert made["properties"]["cloudmask:weights"] == weights
    assert made["properties"]["mlm:architecture"] == "U-Net, regnety_004"
    assert [each["href"] for each in made["links"]] == [
        "https://github.com/DPIRD-DMA/OmniCloudMask"
    ]


def test_the_manifest_follows_the_mlm_extension(exported: Any) -> None:
    schema = pytest.importorskip("stac_model.schema")
    read = schema.MLModelProperties.model_validate(manifest(exported.folder)["properties"])
    assert (read.name, read.framework) == (NAME, "ONNX")
    assert read.input[0].input.shape == [-1, 3, -1, -1]
    assert read.output[0].result.shape == [-1, 4, -1, -1]


def test_the_manifest_is_a_stac_item(exported: Any) -> None:
    pystac = pytest.importorskip("pystac")
    made = manifest(exported.folder)
    read = pystac.Item.from_dict(made)
    assert read.id == NAME
    assert read.to_dict(include_self_link=False)["properties"] == made["properties"]
    assert set(read.assets) == {"model", "test-input", "test-output"}


def test_the_same_manifest_is_inside_but_for_what_lies_beside_it_and_its_own_hash(
    exported: Any,
) -> None:
    made = manifest(exported.folder)
    del made["assets"]["test-input"], made["assets"]["test-output"]
    del made["assets"]["model"]["file:checksum"], made["assets"]["model"]["file:size"]
    assert inside(exported.made.path) == made


def test_the_file_alone_is_a_network_that_gives_the_same_answer(
    exported: Any, tmp_path: Path
) -> None:
    alone = Path(shutil.copy(exported.made.path, tmp_path / "other name.onnx"))
    tiles = np.random.default_rng(0).random((2, 3, 64, 96), np.float32)
    entry, whole = local(alone), local(exported.made.path)
    assert (entry.spec.name, entry.spec.test, entry.spec.sha256) == (NAME, None, "")
    np.testing.assert_array_equal(entry.load()(tiles), whole.load()(tiles))


def test_the_file_is_plain_onnx_that_old_runtimes_read(exported: Any) -> None:
    model = onnx.load(exported.made.path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]


def test_the_network_masks_a_cube_as_the_file_itself_answers(exported: Any) -> None:
    scene = simulate(SceneSettings(shape=(128, 128), no_data_edge=False))
    cube = xr.DataArray(
        scene.reflectance_dn, dims=("bands", "y", "x"), coords={"bands": list(scene.bands)}
    )
    found = mask_clouds(cube, exported.made.path, options=Options(tile=128, overlap=0))
    order = [scene.bands.index(band) for band in ("B04", "B03", "B8A")]
    session = open_session(exported.made.path.read_bytes(), "bare", Runtime())
    tile = scene.reflectance_dn[order].astype(np.float32) / np.float32(10000)
    (answer,) = session.run(None, {session.get_inputs()[0].name: tile[None]})
    np.testing.assert_array_equal(found.sel(bands="class"), answer[0].argmax(axis=0))
    assert len(np.unique(answer[0].argmax(axis=0))) > 1


def test_its_own_test_is_an_image_with_clouds_and_ground(exported: Any) -> None:
    red = np.load(exported.folder / f"{NAME}.test-input.npy")[0]
    assert red.min() > 0
    assert 0.1 < (red > 3000).mean() < 0.9
    assert 0.1 < (red < 1500).mean() < 0.9


def test_its_own_test_has_an_answer_a_class_a_pixel_and_passes(exported: Any) -> None:
    kept = np.load(exported.folder / f"{NAME}.test-output.npy")
    image = np.load(exported.folder / f"{NAME}.test-input.npy")
    assert (image.shape, image.dtype) == ((3, 128, 128), np.uint16)
    assert (kept.shape, kept.dtype) == ((4, 128, 128), np.uint8)
    assert all(verdict.good for verdict in verify(exported.folder))


# -- the report -----------------------------------------------------------------------------


def test_the_report_hashes_what_came_in_and_what_went_out(exported: Any) -> None:
    found = report(exported.folder)
    assert found["source"] == {
        "file": exported.source.name,
        "sha256": sha256(exported.source),
        "bytes": exported.source.stat().st_size,
        "format": "safetensors",
        "stored": "fp32",
        "published": None,
    }
    assert found["result"]["file"] == exported.made.path.name
    assert found["result"]["sha256"] == sha256(exported.made.path)
    assert found["result"]["bytes"] == exported.made.path.stat().st_size


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("right", [True, False])
def test_the_report_knows_the_published_file_by_its_hash(
    exported: Any,
    tmp_path: Path,
    right: bool,  # noqa: FBT001 - a fact
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pin = Pin(sha256(exported.source) if right else "0" * 64)
    monkeypatch.setattr(product, "shipped_lock", lambda: Lock({exported.source.name: pin}))
    assert make(exported.source, Order(folder=tmp_path)).report.source.published is right


def test_the_report_counts_every_tensor_as_used(exported: Any, arrays: dict[str, Any]) -> None:
    found = report(exported.folder)
    assert (found["tensors_used"], found["tensors_unused"]) == (len(arrays), [])


@pytest.mark.usefixtures("tried")
def test_counters_of_training_steps_are_named_as_unused(
    exported: Any, arrays: dict[str, Any], weight_files: Any, tmp_path: Path
) -> None:
    means = [name for name in arrays if name.endswith("running_mean")]
    spare = {name.replace("running_mean", "num_batches_tracked"): np.array(7) for name in means}
    path = weight_files.write_safetensors(tmp_path / exported.source.name, {**arrays, **spare})
    made = make(path, Order(folder=tmp_path))
    assert made.report.tensors_used == len(arrays)
    assert sorted(made.report.tensors_unused) == sorted(spare)
    assert spare


def test_the_report_has_the_parity_with_the_authors_graph(exported: Any) -> None:
    found = report(exported.folder)
    assert found["precision"] is None
    assert (found["rewrites"]["tiles"], found["rewrites"]["pixels"]) == (4, 4 * 256**2)
    assert 0 < found["rewrites"]["largest"] < 1e-4
    assert found["rewrites"]["equal"] == 1
    assert found["imagery"] == "simulated scenes"
    assert found["result"]["seconds_per_megapixel"] > 0


def test_the_report_for_people_is_of_the_same_export(exported: Any) -> None:
    text = (exported.folder / f"{NAME}.report.md").read_text("utf-8")
    assert sha256(exported.source) in text
    assert sha256(exported.made.path) in text
    assert "CC BY-NC" in text


# -- files in the way, and runs that fail ---------------------------------------------------


def fail(*_: Any) -> Any:
    raise AssertionError("this was not to be done")


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_existing_file_is_never_replaced_unasked(
    exported: Any, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{NAME}{ending}").write_text("mine")
    monkeypatch.setattr(product, "tiles", fail)
    with pytest.raises(ExportError, match=rf"{NAME}{ending}: exists already; say --force"):
        make(exported.source, Order(folder=tmp_path))
    assert contents(tmp_path) == {f"{NAME}{ending}": b"mine"}


def test_a_whole_export_is_never_replaced_unasked(exported: Any, folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(ExportError, match=r"onnx and 5 more: exists already; say --force"):
        make(exported.source, Order(folder=folder))
    assert contents(folder) == before


@pytest.mark.usefixtures("tried")
def test_force_replaces_all_files(exported: Any, tmp_path: Path) -> None:
    for ending in ENDINGS:
        (tmp_path / f"{NAME}{ending}").write_text("old")
    make(exported.source, Order(folder=tmp_path, force=True))
    assert sorted(contents(tmp_path)) == [NAME + ending for ending in ENDINGS]
    assert all(verdict.good for verdict in verify(tmp_path))
    assert b"old" not in contents(tmp_path).values()


@pytest.mark.usefixtures("tried")
def test_other_files_in_the_folder_are_left_alone(exported: Any, tmp_path: Path) -> None:
    (tmp_path / "another.onnx").write_text("mine")
    make(exported.source, Order(folder=tmp_path))
    assert (tmp_path / "another.onnx").read_text() == "mine"
    assert len(contents(tmp_path)) == 1 + len(ENDINGS)


def stopper(words: str) -> Callable[[str], None]:
    def tell(said: str) -> None:
        if said.startswith(words):
            raise KeyboardInterrupt

    return tell


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("place", ["new", "copied"])
@pytest.mark.parametrize("step", [*STEPS, "making it fp16"])
def test_a_run_that_is_stopped_before_a_step_changes_nothing(
    exported: Any, folder: Path, step: str, place: str, tmp_path: Path
) -> None:
    before = contents(tmp_path / place)
    force = place == folder.name
    order = Order(
        folder=tmp_path / place, force=force, precision="fp16" if "fp16" in step else "fp32"
    )
    with pytest.raises(KeyboardInterrupt):
        make(exported.source, order, stopper(step))
    assert contents(tmp_path / place) == before


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("place", ["new", "copied"])
@pytest.mark.parametrize("part", ["golden", "markdown", "_pretty", "together"])
def test_a_run_that_fails_while_it_writes_changes_nothing(
    exported: Any, folder: Path, part: str, place: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*_: Any) -> None:
        raise OSError("no space left")

    before = contents(tmp_path / place)
    monkeypatch.setattr(product, part, broken)
    with pytest.raises(OSError, match="no space left"):
        make(exported.source, Order(folder=tmp_path / place, force=place == folder.name))
    assert contents(tmp_path / place) == before


def test_the_steps_are_told_in_turn(exported: Any, tried: None, tmp_path: Path) -> None:
    said: list[str] = []
    make(exported.source, Order(folder=tmp_path), said.append)
    assert said == ["reading the weights", "writing"]


@pytest.mark.parametrize(("precision", "calibrate"), [("fp32", False), ("int8", True)])
def test_imagery_is_taken_as_ordered_and_calibrated_with_only_if_need_be(
    exported: Any, tmp_path: Path, precision: str, calibrate: bool,  # noqa: FBT001 - a fact
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[Any] = []

    def noted(spec: Any, *arguments: Any, **options: Any) -> None:
        asked.extend([spec.name, *arguments, options])
        raise OSError("enough")

    monkeypatch.setattr(product, "tiles", noted)
    some = (tmp_path / "a.tif", tmp_path / "b.tif")
    order = Order(folder=tmp_path, precision=precision, imagery=some, preset="cdse")
    with pytest.raises(OSError, match="enough"):
        make(exported.source, order)
    name = NAME if precision == "fp32" else f"{NAME}-{precision}"
    assert asked == [name, some, "cdse", {"calibrate": calibrate}]


# -- precisions -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smaller(exported: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export in a precision, once."""
    folder = tmp_path_factory.mktemp("smaller")

    def at(precision: str) -> Path:
        if not (folder / f"{NAME}-{precision}.onnx").exists():
            make(exported.source, Order(folder=folder, precision=precision))
        return folder

    return at


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("precision", "share"), [("fp16", 0.55), ("int8", 0.75)])
def test_a_smaller_precision_is_smaller_and_says_so_in_its_name(
    exported: Any, smaller: Any, precision: str, share: float
) -> None:
    folder, name = smaller(precision), f"{NAME}-{precision}"
    size = (folder / f"{name}.onnx").stat().st_size
    assert size / exported.made.path.stat().st_size < share
    spec = parse_manifest(json.dumps(manifest(folder, name)))
    assert (spec.name, spec.file) == (name, f"{name}.onnx")
    assert inside(folder / f"{name}.onnx")["properties"]["mlm:name"] == name


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_smaller_precision_reports_what_it_costs_beside_what_the_rewrites_do(
    smaller: Any, precision: str
) -> None:
    found = report(smaller(precision), f"{NAME}-{precision}")
    assert found["result"]["precision"] == precision
    assert found["rewrites"]["largest"] < 1e-4 < found["precision"]["largest"]
    assert 0.9 < found["precision"]["equal"] <= 1
    assert found["precision"]["tiles"] == 2


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_smaller_precision_passes_its_own_test(smaller: Any, precision: str) -> None:
    verdicts = list(verify(smaller(precision) / f"{NAME}-{precision}.onnx"))
    assert verdicts
    assert all(verdict.good for verdict in verdicts)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_smaller_precision_is_a_family_of_its_own(smaller: Any, precision: str) -> None:
    made = manifest(smaller(precision), f"{NAME}-{precision}")
    assert made["properties"]["cloudmask:family"] == f"omnicloudmask-v4-{precision}"


@pytest.mark.usefixtures("small_tiles")
def test_a_network_that_agrees_too_little_is_refused_and_not_written(
    exported: Any, tmp_path: Path
) -> None:
    order = Order(folder=tmp_path / "new", precision="int8", threshold=100)
    with pytest.raises(
        ExportError, match=r"% of pixels.*keep fp32 or fp16, calibrate with --imag"
    ):
        make(exported.source, order)
    assert contents(tmp_path / "new") == {}


# -- wrong weights --------------------------------------------------------------------------


def changed(
    exported: Any, arrays: dict[str, Any], weight_files: Any, folder: Path, **changes: Any
) -> Path:
    """Write the weights with some tensors replaced, those of None left out."""
    renamed = {name.replace("__", "."): value for name, value in changes.items()}
    whole = {name: value for name, value in {**arrays, **renamed}.items() if value is not None}
    path: Path = weight_files.write_safetensors(folder / exported.source.name, whole)
    return path


def test_a_weight_that_is_no_number_is_refused_by_file_and_tensor(
    exported: Any, arrays: dict[str, Any], weight_files: Any, tmp_path: Path
) -> None:
    name = next(iter(arrays))
    bad = arrays[name].copy()
    bad.flat[1] = np.nan
    path = changed(exported, arrays, weight_files, tmp_path, **{name: bad})
    with pytest.raises(WeightsError, match=rf"{path.name}: .*{name}"):
        make(path, Order(folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("small_tiles")
def test_weights_too_large_to_compute_with_are_refused(
    exported: Any, arrays: dict[str, Any], weight_files: Any, tmp_path: Path
) -> None:
    huge = {name: np.full_like(each, 1e38) for name, each in arrays.items() if each.ndim > 1}
    path = changed(exported, arrays, weight_files, tmp_path, **huge)
    with pytest.raises(ExportError, match="answers with numbers that are not finite"):
        make(path, Order(folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_missing_tensors_are_counted_and_the_first_is_named(
    exported: Any, arrays: dict[str, Any], weight_files: Any, tmp_path: Path
) -> None:
    gone = dict.fromkeys(list(arrays)[::2])
    path = changed(exported, arrays, weight_files, tmp_path, **gone)
    more = len(gone) - 1
    with pytest.raises(WeightsError, match=rf"{path.name}: .*it lacks \S+ and {more} more"):
        make(path, Order(folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("small_tiles")
def test_weights_of_three_classes_are_refused_for_a_family_of_four(
    exported: Any, random_weights: Any, weight_files: Any, tmp_path: Path
) -> None:
    three = random_weights("smp-regnety_004-3", classes=3)
    path = weight_files.write_safetensors(tmp_path / exported.source.name, three)
    with pytest.raises(WeightsError, match="have 3 classes, family 'omnicloudmask-v4' has 4"):
        make(path, Order(folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("threshold", [-1, 101, float("nan")])
def test_a_threshold_that_is_no_percentage_is_refused(tmp_path: Path, threshold: float) -> None:
    with pytest.raises(OptionError, match="threshold"):
        Order(folder=tmp_path, threshold=threshold)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"precision='fp64': .*fp32, fp16, int8"):
        Order(folder=tmp_path, precision="fp64")
