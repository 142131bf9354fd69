"""`cloudmask evaluate` as a user runs it, on a folder of pairs and a network made for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("jinja2")
rasterio = pytest.importorskip("rasterio")
typer = pytest.importorskip("typer")

from typer.testing import CliRunner  # noqa: E402

from cloudmask import mask_clouds  # noqa: E402
from cloudmask.errors import CloudmaskError, OptionError  # noqa: E402
from cloudmask.local import evaluating  # noqa: E402
from cloudmask.local.simulator import SceneSettings, simulate  # noqa: E402
from cloudmask_export.evaluation.results import Results  # noqa: E402
from cloudmask_export.evaluation.samples import EvaluationError  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

MADE = ["page.html", "results.json", "results.md"]

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def run(*words: object) -> Any:
    app = typer.Typer()
    app.command(epilog=evaluating.EXAMPLES)(evaluating.evaluate)
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """Give the words with which the command refuses."""
    done = run(*words)
    assert isinstance(done.exception, CloudmaskError), (done.output, done.exception)
    assert done.output == ""
    return str(done.exception)


def write(path: Path, bands: Any, scene: Any, names: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "count": len(bands), "height": bands.shape[1],
        "width": bands.shape[2], "dtype": bands.dtype, "crs": scene.crs,
        "transform": rasterio.Affine(*scene.transform),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        file.descriptions = names


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated scenes of two regions, NAME_image.tif and NAME_label.tif with our codes."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, name in enumerate(["north_p1", "north_p2", "south_p1"]):
        scene = simulate(SceneSettings(shape=(64, 72), seed=seed))
        write(folder / f"{name}_image.tif", scene.reflectance_dn, scene, tuple(scene.bands))
        write(folder / f"{name}_label.tif", scene.truth[None].astype(np.uint8), scene, ("class",))
    return folder


@pytest.fixture(scope="module")
def masks(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of masks by another maker: the labels themselves, shadows called clear."""
    folder = tmp_path_factory.mktemp("masks")
    table = np.zeros(256, np.uint8)
    table[:4] = [4, 9, 10, 4]
    for label in data.glob("*_label.tif"):
        with rasterio.open(label) as file:
            codes, profile = file.read(), file.profile
        with rasterio.open(folder / label.name.replace("_label", "_scl"), "w", **profile) as file:
            file.write(table[codes])
    return folder


def test_networks_and_peers_are_scored_and_three_files_are_made(
    data: Path, masks: Path, tiny_network: Path, tmp_path: Path
) -> None:
    done = run(
        "--data", data, "-m", tiny_network, "--peer", f"files:{masks}:scl", "-o", tmp_path / "out",
        "--resamples", 50,
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == MADE
    text = (tmp_path / "out" / "results.json").read_text("utf-8")
    results = Results.from_json(text)
    assert [each.mask.name for each in results.predictors] == [
        str(tiny_network), f"files:{masks}:scl",
    ]  # fmt: skip
    assert json.loads(text)["dataset"]["samples"] == 3
    assert results.resamples == 50


def test_the_scores_of_files_are_those_of_what_stands_in_them(
    data: Path, masks: Path, tmp_path: Path
) -> None:
    run("--data", data, "--peer", f"files:{masks}:scl", "-o", tmp_path)
    (found,) = Results.from_json((tmp_path / "results.json").read_text("utf-8")).predictors
    labels = []
    for path in sorted(data.glob("*_label.tif")):
        with rasterio.open(path) as file:
            labels.append(file.read())
    truth = np.concatenate(labels, axis=None)
    questions = found.by("pooled").questions
    assert questions["cloud"].f1 == 1
    assert questions["thin"].iou == 1
    # Every shadow was called clear.
    assert questions["shadow"].recall == 0
    assert questions["clear"].recall == 1
    assert questions["clear"].precision == pytest.approx(
        (truth == 0).sum() / ((truth == 0) | (truth == 3)).sum()
    )


def test_the_scores_of_a_network_are_those_of_the_mask_that_python_gives(
    data: Path, tiny_network: Path, tmp_path: Path
) -> None:
    import xarray as xr

    from cloudmask import Options

    run("--data", data, "-m", tiny_network, "--only", "south*", "-o", tmp_path)
    (found,) = Results.from_json((tmp_path / "results.json").read_text("utf-8")).predictors
    scene = simulate(SceneSettings(shape=(64, 72), seed=2))
    cube = xr.DataArray(scene.reflectance_dn, {"bands": list(scene.bands)}, ("bands", "y", "x"))
    mask = mask_clouds(cube, str(tiny_network), options=Options(stitch="blend"))
    classes = mask.sel(bands="class").values
    known = (classes != 255) & (scene.truth != 255)
    assert found.by("pooled").accuracy == pytest.approx((classes == scene.truth)[known].mean())


def test_tables_say_on_what_and_by_whom(data: Path, masks: Path) -> None:
    done = run("--data", data, "--peer", f"files:{masks}:scl")
    assert "(geotiff): 3 samples of 2 scenes or regions, labels DERIVED" in done.output
    assert "pooled: all pixels of all samples together" in done.output
    assert "patch medians" in done.output
    row = next(line for line in done.output.splitlines() if re.match(r"│ cloud +│", line))
    assert row.count("1.000") == 7  # five measures and both ends of an interval


def test_quiet_says_nothing(data: Path, masks: Path) -> None:
    assert run("--data", data, "--peer", f"files:{masks}:scl", "-q").output == ""


def test_options_reach_the_page_and_the_markdown(
    data: Path, tiny_network: Path, tmp_path: Path
) -> None:
    done = run(
        "--data", data, "-m", tiny_network, "-o", tmp_path, "--title", "June & July", "--worst", 1,
        "--resolution", "20", "--stitch", "crop", "--tta", 1, "--overlap", 4, "--seed", 7,
        "--protocol", "patch medians",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>June &amp; July</title>" in page
    assert page.count("<article") == 1
    assert "Scores, pooled" not in page
    words = (tmp_path / "results.md").read_text("utf-8")
    assert words.startswith("# June & July\n")
    assert "resolution 20.0, TTA depth 1, stitch crop, overlap 4 px, samples all, seed 7" in words


def test_results_are_not_replaced_unless_asked(data: Path, masks: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--peer", f"files:{masks}:scl", "-o", tmp_path)
    assert run(*words).exit_code == 0
    before = (tmp_path / "results.json").stat().st_mtime_ns
    assert re.search(r"has results\.json, .* already; say --force", refused(*words))
    assert (tmp_path / "results.json").stat().st_mtime_ns == before
    assert run(*words, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing makes masks: name a network with -m or a peer with --peer"),
        (("-m", "nonesuch"), "network nonesuch: unknown model"),
        (("--peer", "nonesuch"), "peer 'nonesuch': choose among"),
        (("--peer", "files:nowhere"), "there is no such folder"),
        (("--resolution", "grid", "--peer", "x"), "resolution=grid: choose model, native"),
        (("--peer", "x", "--layout", "nonesuch"), "layout 'nonesuch': choose among"),
        (("--peer", "x", "--only", "zzz"), "no sample is called like 'zzz'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_masked(
    data: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    assert message in refused("--data", data, "-o", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_an_overlap_that_does_not_fit_the_network_is_refused(
    data: Path, tiny_network: Path
) -> None:
    assert "overlap" in refused("--data", data, "-m", tiny_network, "--overlap", 40)


def test_a_protocol_for_other_labels_is_refused(data: Path, masks: Path) -> None:
    done = run("--data", data, "--peer", f"files:{masks}:scl", "--protocol", "points")
    assert isinstance(done.exception, OptionError)


def test_data_that_are_not_there_and_a_file_for_a_folder_are_refused(
    data: Path, masks: Path, tmp_path: Path
) -> None:
    peer = ("--peer", f"files:{masks}:scl")
    assert "no such file" in refused("--data", tmp_path / "none", *peer)
    (tmp_path / "out").touch()
    assert "is a file" in refused("--data", data, *peer, "-o", tmp_path / "out")


def test_a_label_that_is_no_class_is_refused_before_anything_is_masked(
    data: Path, masks: Path, tmp_path: Path
) -> None:
    for path in data.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with rasterio.open(tmp_path / "south_p1_label.tif", "r+") as file:
        file.write(np.full((1, 1), 77, np.uint8), 1, window=((0, 1), (0, 1)))
    # Masks of other samples are missing, which is found when the first one is wanted.
    (tmp_path / "masks").mkdir()
    for path in masks.glob("south*"):
        (tmp_path / "masks" / path.name).write_bytes(path.read_bytes())
    peer = f"files:{tmp_path / 'masks'}:scl"
    words = refused("--data", tmp_path, "--peer", peer, "-o", tmp_path / "out")
    assert "south_p1" in words
    assert "77" in words
    assert not (tmp_path / "out").exists()


def test_one_mask_that_is_missing_ends_it_without_a_file(
    data: Path, masks: Path, tmp_path: Path
) -> None:
    for path in masks.glob("north*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "out"
    done = run("--data", data, "--peer", f"files:{tmp_path}:scl", "-o", out)
    assert isinstance(done.exception, EvaluationError)
    assert "no mask of it, sample south_p1" in str(done.exception)
    assert not out.exists()


def test_help_names_every_peer_and_each_file_that_is_made() -> None:
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", run("--help").output).split())
    for name in ("s2cloudless", "s2cloudless-raw", "ukis:4b_l1c", "files:FOLDER", *MADE):
        assert name in words.replace(" ", "") or name in words
