"""What docs/stability.md promises; each promise is named by a test here, or by one named there."""

from __future__ import annotations

import copy
import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("typer")
pytest.importorskip("rasterio")

from tools.stability import added, broken, gather, read

from cloudmask.registry import home
from cloudmask.spec import parse_manifest

if TYPE_CHECKING:
    from tools.stability import Promises

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "stability.md").read_text("utf-8")
SECTIONS = [
    "python", "command", "context", "layouts", "words", "results", "processes", "environment",
]  # fmt: skip


@pytest.fixture(scope="module")
def promised() -> Promises:
    return read()


@pytest.fixture(scope="module")
def found() -> Promises:
    return gather()


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_promised_is_there_as_it_was(
    promised: Promises, found: Promises, section: str
) -> None:
    assert promised[section]
    assert broken({section: promised[section]}, found) == []


def test_what_is_new_is_promised_too(promised: Promises, found: Promises) -> None:
    # python -m tools.stability --update
    assert added(promised, found) == []


def test_every_section_of_the_snapshot_is_checked(promised: Promises) -> None:
    assert sorted(promised) == sorted(SECTIONS)


# -- the comparison itself -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("python", "cloudmask.mask_clouds"),
        ("python", "cloudmask.mask_clouds(preset)"),
        ("python", "cloudmask.errors.BandError is CloudmaskError"),
        ("command", "mask --dilate"),
        ("context", "tta"),
        ("layouts", "mask"),
        ("words", "provider cpu"),
        ("results", "statistics.csv cloud_percent"),
        ("processes", "cloud_detection(method)"),
        ("environment", "CLOUDMASK_MODELS"),
    ],
)
def test_what_is_removed_breaks_a_promise(promised: Promises, section: str, key: str) -> None:
    fewer = copy.deepcopy(promised)
    del fewer[section][key]
    assert broken(promised, fewer) == [f"{section}: {key} is gone"]


def test_a_parameter_that_changes_its_place_breaks_a_promise(promised: Promises) -> None:
    moved = copy.deepcopy(promised)
    moved["python"]["cloudmask.mask_clouds(model)"] = "place 3, optional"
    assert broken(promised, moved) == [
        "python: cloudmask.mask_clouds(model) was 'place 2, optional', is 'place 3, optional'"
    ]


@pytest.mark.parametrize(
    ("section", "key", "how"),
    [
        ("python", "cloudmask.mask_clouds(new)", "by name, required"),
        ("command", "mask --new", "value, required"),
    ],
)
def test_what_is_new_and_required_breaks_a_promise(
    promised: Promises, section: str, key: str, how: str
) -> None:
    more = copy.deepcopy(promised)
    more[section][key] = how
    assert broken(promised, more) == [f"{section}: {key} is new and required"]


def test_what_is_new_and_optional_breaks_none(promised: Promises) -> None:
    more = copy.deepcopy(promised)
    more["python"]["cloudmask.mask_clouds(new)"] = "by name, optional"
    more["python"]["cloudmask.new"] = "function"
    more["python"]["cloudmask.new(cube)"] = "place 1, required"
    assert broken(promised, more) == []
    assert len(added(promised, more)) == 3


# -- what is promised of files --------------------------------------------------------------


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def listed(title: str) -> list[str]:
    """Give what stands in `...` at the head of a list's lines."""
    return re.findall(r"^- `([^`]+)`", section(title), re.MULTILINE)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results of one small scene."""
    from cloudmask.local.demo import write_scene
    from cloudmask.local.simulator import SceneSettings, simulate

    folder = tmp_path_factory.mktemp("stability")
    write_scene(folder / "scene.tif", simulate(SceneSettings(shape=(96, 110))))
    done = run(folder, "mask", "scene.tif", "-o", "out/", "--probabilities", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "out"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloudmask", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_files_of_a_scene_have_the_promised_names(results: Path) -> None:
    names = [name.replace("NAME", "scene") for name in listed("Files of a scene")]
    assert len(names) >= 7
    assert [name for name in names if not (results / name).is_file()] == []


def test_an_item_has_the_promised_fields(results: Path) -> None:
    item = json.loads((results / "scene.json").read_text("utf-8"))
    names = listed("Fields of an Item")
    assert len(names) >= 12
    assert [name for name in names if name not in item["properties"]] == []


def test_a_mask_has_the_promised_tags(results: Path) -> None:
    import rasterio

    with rasterio.open(results / "scene_mask.tif") as dataset:
        tags = dataset.tags() | dataset.tags(1)
    names = listed("Tags of a mask")
    assert len(names) >= 8
    assert [name for name in names if name not in tags] == []


def test_the_statistics_begin_with_the_promised_columns(results: Path, promised: Promises) -> None:
    with (results / "statistics.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    names = [key.removeprefix("statistics.csv ") for key in promised["results"]]
    assert header[: len(names)] == names


# -- what is promised of exit statuses --------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--version",), 0),
        (("mask", "scene.tif", "-o", "one.tif", "--tile", "7"), 2),
        (("mask", "scene.tif", "--no-such-option"), 2),
        (("mask", "scene.tif", "other.tif", "-o", "more/"), 1),
    ],
)
def test_the_command_ends_with_the_promised_status(
    results: Path, words: tuple[str, ...], status: int
) -> None:
    (results.parent / "other.tif").write_bytes(b"no raster")
    assert run(results.parent, *words).returncode == status
    assert f"| {status} |" in section("Exit statuses")


# -- manifests, the environment, the UDF --------------------------------------------------------


def test_a_manifest_of_the_first_version_is_read_as_it_was() -> None:
    text = (ROOT / "tests" / "data" / "manifest-0.1.json").read_text("utf-8")
    spec = parse_manifest(text)
    assert (spec.name, spec.bands, spec.classes) == (
        "first", ("B02", "B03", "B04", "B08"), (0, 1, 2, 3),
    )  # fmt: skip
    assert (spec.tile, spec.overlap, spec.multiple, spec.pixel_size) == (256, 64, 32, 20.0)
    assert (spec.softmax, spec.resampling, spec.tta.depth) == (True, "average", 1)
    assert (spec.mean, spec.std) == ((0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 3.0, 4.0))
    assert (spec.licence, spec.version, spec.level) == ("MIT", "1", "L1C")
    assert (spec.file, spec.sha256, spec.size) == ("first.onnx", "ab" * 32, 1234)


def test_a_manifest_may_have_fields_of_a_later_version() -> None:
    item = json.loads((ROOT / "tests" / "data" / "manifest-0.1.json").read_text("utf-8"))
    before = parse_manifest(json.dumps(item))
    item["properties"]["cloudmask:later"] = {"anything": 1}
    item["properties"]["mlm:hyperparameters"]["inference"]["later"] = 1
    assert parse_manifest(json.dumps(item)) == before


def test_the_users_own_networks_are_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CLOUDMASK_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home() == tmp_path / "openeo-cloudmask" / "models"
    monkeypatch.setenv("CLOUDMASK_MODELS", str(tmp_path / "own"))
    assert home() == tmp_path / "own"
    monkeypatch.setenv("CLOUDMASK_MODELS", "")
    assert home() is None


def test_a_context_of_the_first_version_is_taken() -> None:
    from cloudmask.udf import apply_datacube

    cube = xr.DataArray(
        np.full((4, 40, 40), 2000, np.float32),
        dims=("bands", "y", "x"),
        coords={"bands": ["B02", "B03", "B04", "B08"]},
    )
    context = {
        "model": "cloudmask-s2-small-4b", "preset": "cdse", "layout": "cloud_detection",
        "masked": ["thick_cloud"], "stitch": "crop", "tta": 0, "threads": 1,
    }  # fmt: skip
    assert list(apply_datacube(cube, context).bands.values) == ["cloud", "shadow", "haze"]


# -- the page ------------------------------------------------------------------------------------


def test_the_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/\w[\w/]*\.py)(?:::(\w+))?`", PAGE)
    assert named
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text("utf-8"), (path, test)


def test_the_page_names_every_variable_of_the_environment(promised: Promises) -> None:
    assert [name for name in promised["environment"] if f"`{name}`" not in PAGE] == []


def test_the_page_names_every_command(promised: Promises) -> None:
    names = [key for key, kind in promised["command"].items() if kind == "command"]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_command_that_compares_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from tools.stability import main

    assert main([]) == 0
    assert capsys.readouterr().out == ""
