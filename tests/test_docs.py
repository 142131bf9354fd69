"""Every code block of the README and of docs/ runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio
import xarray as xr
from onnx import TensorProto, helper, numpy_helper

from cloudmask.context import KEYS
from cloudmask.local.demo import write_scene
from cloudmask.local.simulator import Scene, SceneSettings, simulate
from cloudmask.spec import ModelSpec
from cloudmask_export.families import family
from cloudmask_export.item import item

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PREPARATION = {"python3 -m venv cloudmask-env", ". cloudmask-env/bin/activate"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def commands(*pages: Path) -> list[str]:
    lines = [
        line.removeprefix("$ ")
        for page in pages or PAGES
        for body in blocks(page, "console")
        for line in body.splitlines()
        if line.startswith("$ ")
    ]
    return list(dict.fromkeys(lines))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory,
    weight_files: Any,
    random_weights: Any,
    safe_trees: Any,
) -> Path:
    """Make the files that the documentation speaks of."""
    pytest.importorskip("ukis_csmask", reason="the documentation's examples need the extra ukis")
    folder = tmp_path_factory.mktemp("docs")
    scene = simulate(SceneSettings(shape=(260, 300)))
    write_scene(folder / "scene.tif", scene)
    write_scene(folder / "other.tif", scene)
    (folder / "demo").mkdir()
    write_scene(folder / "demo" / "scene.tif", scene)
    safe_trees.write_safe(folder, safe_trees.simulated_images(1200))
    four = scene.reflectance_dn[[1, 2, 3, 7]]
    profile = {"driver": "GTiff", "count": 4, "height": 260, "width": 300, "dtype": "uint16"}
    georeference = {"crs": scene.crs, "transform": rasterio.Affine(*scene.transform)}
    with rasterio.open(folder / "unnamed.tif", "w", **profile, **georeference) as dataset:
        dataset.write(four)
    xr.DataArray(
        np.stack([four, four]).astype(np.int32),
        dims=("time", "band", "y", "x"),
        coords={"band": ["B02", "B03", "B04", "B08"]},
        name="reflectance",
    ).to_netcdf(folder / "cube.nc", engine="scipy")
    write_network(folder / "my.onnx")
    write_training(folder)
    write_collection(folder / "sentinel2.nc", scene)
    write_pairs(folder / "pairs")
    arrays = random_weights("dynunet-regnety_006-13")
    weight_files.write_pkl(folder / "v3.44_regnety_006_4C_Dice_1_20m.pkl", arrays)
    write_family(folder, weight_files, random_weights)
    return folder


def write_family(folder: Path, weight_files: Any, random_weights: Any) -> None:
    """Write what `cloudmask fetch omnicloudmask-v4` would download."""
    weights = folder / "networks" / "weights"
    weights.mkdir(parents=True)
    for member in family("omnicloudmask-v4").members:
        path = weights / member.file
        weight_files.write_safetensors(path, random_weights(member.architecture))


def write_collection(path: Path, scene: Scene) -> None:
    """Write what a back-end hands over: float32, no data empty."""
    numbers = scene.reflectance_dn.astype(np.float32)
    numbers[numbers == 0] = np.nan
    place = {"y": 5e6 - 10.0 * np.arange(260), "x": 6e5 + 10.0 * np.arange(300)}
    cube = xr.DataArray(
        numbers,
        dims=("bands", "y", "x"),
        coords={"bands": list(scene.bands), **place},
        attrs={"crs": scene.crs},
    )
    cube.to_dataset(dim="bands").to_netcdf(path, engine="scipy")


def write_pairs(folder: Path) -> None:
    """Write labelled images of two places."""
    folder.mkdir()
    for seed, place in enumerate(("north_p1", "south_p1")):
        scene = simulate(SceneSettings(shape=(128, 150), seed=seed))
        write_scene(folder / f"{place}_image.tif", scene)
        with rasterio.open(folder / f"{place}_image.tif") as image:
            profile = image.profile | {"count": 1, "dtype": "uint8", "nodata": 255}
        with rasterio.open(folder / f"{place}_label.tif", "w", **profile) as dataset:
            dataset.write(scene.truth, 1)


def write_training(folder: Path) -> None:
    """Write a config, and a network in the place of the one that it would make."""
    shutil.copy(ROOT / "examples" / "training" / "tiny.toml", folder)
    (folder / "tiny").mkdir()
    write_network(folder / "tiny" / "tiny.onnx")


def write_network(path: Path) -> None:
    weights = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "w")
    shape: list[str | int | None] = ["n", 3, "y", "x"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "w"], ["output"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
        [weights],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    spec = ModelSpec(
        name="my",
        bands=("B02", "B03", "B04"),
        classes=(0, 1, 3),
        tile=64,
        overlap=16,
        file=path.name,
    )
    made = item(spec, architecture="convolution", source="https://example.org", size=1)
    path.with_suffix(".json").write_text(json.dumps(made), "utf-8")


@pytest.mark.parametrize("page", pages_with("python"), ids=name)
def test_the_python_of_a_page_runs(page: Path, workplace: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    if "local_connection" in code:
        pytest.importorskip("rioxarray", reason="the extra openeo-local is not installed")
    # openeo-processes-dask and what it imports warn of their own ways.
    flag = "ignore" if "local_connection" in code else "error"
    subprocess.run([sys.executable, "-W", flag, "-c", code], cwd=workplace, check=True)


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """Remember the commands that have run: what several pages say is run once."""
    return set()


LONG = {"weights.md", "users/model-owner.md", "evaluating.md", "training.md"}
"""Pages of docs/ whose commands take minutes, as they make networks of true size."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.nightly if name(page)[5:] in LONG else ())
        for page in pages_with("console")
    ],
    ids=name,
)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, workplace: Path, ran: set[str]
) -> None:
    for command in commands(page):
        if command.startswith("cloudmask ") and not trains(command) and command not in ran:
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(
                words, cwd=workplace, capture_output=True, text=True, check=False
            )
            assert (command, done.returncode, done.stderr) == (command, 0, "")
            ran.add(command)


def trains(command: str) -> bool:
    """Tell whether it needs torch; tests/export/torch runs it where there is one."""
    return command.startswith("cloudmask train ") and "--dry-run" not in command


def test_every_other_command_is_a_task_or_an_installation_that_exists() -> None:
    tasks = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
            "optional-dependencies"
        ]
    )
    others = [
        command
        for command in commands()
        if not command.startswith("cloudmask ") and command not in PREPARATION
    ]
    assert {"make demo", "make test"} <= set(others)
    for command in others:
        program, *words = shlex.split(command)
        if program == "make":
            assert set(words) <= tasks, command
        else:
            assert program == "pip", command
            if command == "pip install --no-deps openeo-processes-dask":
                continue
            asked = re.search(r"(?:openeo-cloudmask|\.)\[(.*)\]", command)
            assert asked, command
            assert set(asked[1].split(",")) <= extras, command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_inside_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_code_block_is_of_a_kind_that_is_run(page: Path) -> None:
    assert {kind for kind, _ in BLOCK.findall(page.read_text("utf-8"))} <= {"python", "console"}


def test_the_guarantees_name_tests_that_exist() -> None:
    named = re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / "README.md").read_text("utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_guarantees_of_the_readme_are_those_of_their_page() -> None:
    readme, page = (
        (ROOT / file).read_text("utf-8") for file in ("README.md", "docs/guarantees.md")
    )
    rows = re.findall(r"^\| \d+ \| .*$", readme, re.MULTILINE)
    assert rows
    assert re.findall(r"^\| \d+ \| .*$", page, re.MULTILINE) == rows


def test_every_guarantee_is_explained_on_its_page() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    numbers = re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)
    assert re.findall(r"^\*\*(\d+)\. ", page, re.MULTILINE) == numbers


def test_every_key_of_a_udfs_context_is_explained() -> None:
    page = (ROOT / "docs" / "openeo.md").read_text("utf-8")
    table = page.split("## The context")[1].split("\n## ")[0]
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in row.split(", ")
    ]
    assert sorted(name.strip("`") for name in named) == sorted(KEYS)
