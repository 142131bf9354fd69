"""`cloudmask export`, `fetch` and `verify` as a user runs them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("pooch")
pytest.importorskip("rasterio")
pytest.importorskip("typer")

from cloudmask.engines import providers_here
from cloudmask.local.cli import main
from cloudmask.local.demo import write_scene
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.registry import find
from cloudmask_export import fetch as fetching
from cloudmask_export import tiles
from cloudmask_export.families import families, family
from cloudmask_export.fetch import Policy

# rasterio itself multiplies transforms in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*no lock file knows its hash:UserWarning"),
]

NAMES = ["omnicloudmask-v4-regnety_004", "omnicloudmask-v4-edgenext_small"]
FILES = [each.file for each in family("omnicloudmask-v4").members]
ENDINGS = [
    ".json", ".onnx", ".report.json", ".report.md", ".test-input.npy", ".test-output.npy",
]  # fmt: skip
Command = Any


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


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run the command in an empty folder; networks are tried on two small tiles."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("EDGE", 64), ("HELD_OUT", 2), ("CALIBRATION", 2)):
        monkeypatch.setattr(tiles, name, value)

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


@pytest.fixture(scope="module")
def published(
    weight_files: Any, random_weights: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with both files of a family."""
    folder = tmp_path_factory.mktemp("published")
    for each in family("omnicloudmask-v4").members:
        weight_files.write_safetensors(folder / each.file, random_weights(each.architecture))
    return folder


@pytest.fixture
def weights(published: Path) -> Path:
    return published / FILES[0]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be reached but a port on which nobody listens, and ask once."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    once = partial(fetching.fetch, policy=Policy(attempts=1, connect_timeout=1))
    monkeypatch.setattr(fetching, "fetch", once)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- export ---------------------------------------------------------------------------------


def test_one_command_makes_a_network_that_another_one_finds_good(
    command: Command, weights: Path
) -> None:
    done = command("export", weights, "-o", "networks")
    assert (done.status, done.err) == (0, "")
    assert listed(Path("networks")) == [NAMES[0] + ending for ending in ENDINGS]
    line, check, use = done.out.splitlines()
    assert line.startswith(f"networks/{NAMES[0]}.onnx: 26.9 MB, fp32, ")
    assert shlex.split(check.partition(": ")[2]) == ["cloudmask", "verify", "networks"]
    assert f"-m networks/{NAMES[0]}.onnx" in use
    done = command("verify", "networks")
    words = "hash and graph good; 0.00 % of its test's pixels differ"
    lines = done.out.splitlines()
    assert (done.status, done.err, len(lines)) == (0, "", len(providers_here()))
    assert lines[0] == f"good   {NAMES[0]} on cpu: {words}"


def test_the_network_masks_a_scene(command: Command, weights: Path) -> None:
    command("export", weights, "-o", "networks")
    write_scene(Path("scene.tif"), simulate(SceneSettings(shape=(100, 120))))
    network = f"networks/{NAMES[0]}.onnx"
    done = command("mask", "scene.tif", "-o", "mask.tif", "-m", network, "--tile", 128)
    assert (done.status, done.err) == (0, "")
    assert Path("mask.tif").exists()


def test_all_files_of_a_family_are_exported_in_the_order_of_its_ensemble(
    command: Command, published: Path
) -> None:
    done = command(
        "export", published, "--all", "--family", "omnicloudmask-v4", "-o", "networks",
        "--precision", "fp16",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    assert [line.split(":")[0] for line in done.out.splitlines()[:2]] == [
        f"networks/{name}-fp16.onnx" for name in NAMES
    ]
    assert len(listed(Path("networks"))) == 12


def test_quiet_says_nothing(command: Command, weights: Path) -> None:
    assert command("export", weights, "-o", "networks", "-q") == Done(0, "", "")


def test_a_network_is_judged_on_ones_own_imagery(command: Command, weights: Path) -> None:
    scene = simulate(SceneSettings(shape=(100, 150), no_data_edge=False))
    write_scene(Path("mine.tif"), scene)
    done = command("export", weights, "-o", "out", "--imagery", "mine.tif", "--check")
    assert (done.status, done.err) == (0, "")
    report = json.loads(Path(f"out/{NAMES[0]}.report.json").read_text())
    assert (report["imagery"], report["rewrites"]["tiles"]) == ("mine.tif", 1)


def test_an_order_reaches_the_work_whole(
    command: Command, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []

    def noted(_path: Path, order: Any, _tell: Any) -> Any:
        orders.append(order)
        raise OSError("enough")

    monkeypatch.setattr("cloudmask_export.commands.make", noted)
    command(
        "export", weights, "-o", "out", "--family", "omnicloudmask-v4", "--precision", "int8",
        "--imagery", "a.tif", "--imagery", "b.tif", "--preset", "cdse", "--check",
        "--threshold", "97.5", "--force",
    )  # fmt: skip
    command("export", weights, "-o", "out")
    full, plain = orders
    assert (full.folder, full.family, full.precision) == (Path("out"), "omnicloudmask-v4", "int8")
    assert (full.imagery, full.preset) == ((Path("a.tif"), Path("b.tif")), "cdse")
    assert (full.threshold, full.force) == (97.5, True)
    assert (plain.family, plain.precision, plain.imagery, plain.preset) == (None, "fp32", (), "dn")
    assert (plain.threshold, plain.force) == (None, False)


@pytest.mark.parametrize(
    ("asked", "threshold"),
    [
        ([], None),
        (["--check"], 99.0),
        (["--threshold", "98"], 98.0),
        (["--threshold", "0"], 0.0),
        (["--check", "--threshold", "98"], 98.0),
    ],
)
@pytest.mark.parametrize("name", ["export", "fetch"])
def test_agreement_is_asked_for_by_either_option_99_per_cent_if_none_is_said(
    command: Command, published: Path, name: str, asked: list[str], threshold: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    orders = []

    def noted(_path: Path, order: Any, _tell: Any) -> Any:
        orders.append(order)
        raise OSError("enough")

    monkeypatch.setattr("cloudmask_export.commands.make", noted)
    monkeypatch.setattr(fetching, "fetch", lambda *_, **__: [published / FILES[0]])
    given = published / FILES[0] if name == "export" else "omnicloudmask-v4"
    command(name, given, "-o", "out", *asked)
    assert [order.threshold for order in orders] == [threshold]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.pth"], "none.pth: there is no such file"),
        (["."], "is a folder; name the files, or say --all"),
        (["text.pth"], "text.pth: is no weight file that can be read"),
        (["{weights}", "--family", "clouds2mask-20m"], "it lacks "),
        (["{weights}", "--family", "omnicloud"], "unknown family 'omnicloud'"),
        (["{weights}", "--all"], "--all: say which family"),
        (["{weights}", "--all", "--family", "omnicloudmask-v4"], f"missing: {FILES[1]}"),
        (["{weights}", "--imagery", "none.tif"], "none.tif"),
        (["{weights}", "--imagery", "text.pth"], "cannot be read as a raster"),
        (["{weights}", "--precision", "fp64"], "fp64"),
        (["{weights}", "--threshold", "101"], "equal to 100"),
        (["{weights}", "--preset", "raw"], "raw"),
    ],
)
def test_what_cannot_work_is_refused_with_one_message_and_no_file(
    command: Command, weights: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "text.pth").write_text("weights")
    given = [each.format(weights=weights) for each in arguments]
    done = command("export", *given, "-o", "out")
    assert words in done.complaint
    assert done.status == 2
    assert listed(tmp_path) == ["text.pth"]


def test_what_cannot_work_is_said_in_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("weights")
    assert len(command("export", "text.pth", "-o", "out").complaint.splitlines()) == 1


def test_an_existing_network_is_kept_but_under_force(command: Command, weights: Path) -> None:
    Path("out").mkdir()
    network = Path("out", f"{NAMES[0]}.onnx")
    network.write_text("mine")
    assert "exists already; say --force" in command("export", weights, "-o", "out").complaint
    assert network.read_text() == "mine"
    assert command("export", weights, "-o", "out", "--force").status == 0
    assert network.stat().st_size > 1e6


def test_a_stopped_run_says_so_and_leaves_nothing(
    command: Command, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cloudmask_export.make.golden", stopped)
    done = command("export", weights, "-o", "out")
    assert (done.status, done.err) == (
        130, "cloudmask: stopped; no file was left half written\n",
    )  # fmt: skip
    assert listed(Path("out")) == []


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["export", "a.pth", "-o", "out"], "cloudmask_export.commands"),
        (["fetch"], "cloudmask_export.commands"),
        (["verify", "out"], "cloudmask_export.verify"),
    ],
)
def test_without_its_packages_a_command_says_what_to_install(
    command: Command, arguments: list[str], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = command(*arguments)
    assert "pip install 'openeo-cloudmask[local,export]'" in done.complaint
    assert done.status == 1


# -- verify ---------------------------------------------------------------------------------


def test_a_bad_network_is_named_and_ends_with_status_1(
    command: Command, tiny_network: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_network.parent, tmp_path / "networks")
    (tmp_path / "networks" / "a.onnx").write_bytes(b"")
    done = command("verify", "networks")
    assert (done.status, done.err) == (1, "")
    first, second, *_ = done.out.splitlines()
    assert first.startswith("FAILED a: model 'a.onnx': not a usable ONNX network")
    assert second == "FAILED tiny on cpu: the manifest does not pin the file's hash"


def test_a_folder_without_a_network_is_refused(command: Command, tmp_path: Path) -> None:
    done = command("verify", tmp_path)
    assert "no .onnx file in it" in done.complaint
    assert done.status == 2


# -- fetch ----------------------------------------------------------------------------------


@pytest.fixture
def held(published: Path, tmp_path: Path) -> Path:
    """A folder of networks whose weights were put there by hand."""
    shutil.copytree(published, tmp_path / "mine" / "weights")
    return tmp_path / "mine"


def test_fetch_alone_lists_all_families(command: Command) -> None:
    done = command("fetch")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[: len(families())]] == list(families())
    assert "CC BY-NC" in done.out


@pytest.mark.usefixtures("offline")
def test_weights_that_are_there_are_exported_without_a_connection(
    command: Command, held: Path
) -> None:
    done = command("fetch", "omnicloudmask-v4", "-o", "mine")
    assert done.status == 0
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == [f"mine/{name}.onnx" for name in NAMES]
    assert len(listed(held)) == 13
    assert listed(held / "weights") == sorted(FILES)


@pytest.mark.usefixtures("offline")
def test_offline_a_person_is_told_what_to_get_from_where_and_where_to_put_it(
    command: Command, held: Path
) -> None:
    (held / "weights" / FILES[1]).unlink()
    done = command("fetch", "omnicloudmask-v4", "-o", "mine")
    assert done.status == 2
    told = done.complaint
    missing = family("omnicloudmask-v4").members[1]
    assert f"1 of 2 files of omnicloudmask-v4 could not be fetched\n{missing.file}:" in told
    assert all(f"    {url}\n" in told for url in missing.urls)
    assert f"  {held / 'weights'}\n" in told
    assert told.endswith("and run again\n  cloudmask fetch omnicloudmask-v4 -o mine\n")
    assert FILES[0] not in told
    assert listed(held) == ["weights"]


@pytest.mark.usefixtures("offline")
def test_what_a_person_is_told_to_do_works(
    command: Command, published: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "my networks"
    told = command("fetch", "omnicloudmask-v4", "-o", folder).complaint
    *_, place, _, again = told.splitlines()
    for name in FILES:
        shutil.copy(published / name, place.strip())
    assert shlex.split(again)[0] == "cloudmask"
    assert command(*shlex.split(again)[1:]).status == 0
    assert (folder / f"{NAMES[1]}.onnx").is_file()


@pytest.mark.usefixtures("offline")
def test_networks_go_where_they_are_known_by_name(
    command: Command, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDMASK_MODELS", str(tmp_path / "own"))
    shutil.copytree(published, tmp_path / "own" / "weights")
    assert command("fetch", "omnicloudmask-v4", "-q").status == 0
    assert find(NAMES[0]).path == tmp_path / "own" / f"{NAMES[0]}.onnx"
    table = command("models").out
    assert all(name in "".join(table.split()) for name in NAMES)


@pytest.mark.usefixtures("offline")
def test_an_order_to_fetch_reaches_the_work_whole_in_the_folder_that_is_named(
    command: Command, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []

    def noted(_path: Path, order: Any, _tell: Any) -> Any:
        orders.append(order)
        raise OSError("enough")

    monkeypatch.setattr("cloudmask_export.commands.make", noted)
    monkeypatch.setenv("CLOUDMASK_MODELS", str(held.parent / "own"))
    command(
        "fetch", "omnicloudmask-v4", "-o", "mine", "--precision", "int8", "--imagery", "a.tif",
        "--preset", "cdse", "--check", "--threshold", "97.5", "--force",
    )  # fmt: skip
    command("fetch", "omnicloudmask-v4", "-o", "mine")
    full, plain = orders
    assert (full.folder, full.family, full.precision) == (Path("mine"), "omnicloudmask-v4", "int8")
    assert (full.imagery, full.preset) == ((Path("a.tif"),), "cdse")
    assert (full.threshold, full.force) == (97.5, True)
    assert (plain.precision, plain.imagery, plain.threshold, plain.force) == (
        "fp32", (), None, False,
    )  # fmt: skip


@pytest.mark.usefixtures("offline")
def test_by_default_networks_go_where_programs_keep_a_users_data(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDMASK_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    told = command("fetch", "omnicloudmask-v4").complaint
    place = tmp_path / "data" / "openeo-cloudmask" / "models"
    assert f"  {place / 'weights'}\n" in told
    assert f"cloudmask fetch omnicloudmask-v4 -o {place}\n" in told


def test_without_a_folder_of_ones_own_one_must_be_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDMASK_MODELS", "")
    done = command("fetch", "omnicloudmask-v4")
    assert "CLOUDMASK_MODELS is empty" in done.complaint
    assert "--output DIR" in done.complaint
    assert done.status == 2


@pytest.mark.usefixtures("offline")
def test_networks_that_are_there_are_kept(command: Command, held: Path) -> None:
    (held / f"{NAMES[0]}.json").write_text("mine")
    told = command("fetch", "omnicloudmask-v4", "-o", "mine").complaint
    assert f"{NAMES[0]}.json: exists already" in told
    assert listed(held) == [f"{NAMES[0]}.json", "weights"]


@pytest.mark.usefixtures("offline")
def test_pin_writes_the_hashes_of_what_is_there(command: Command, held: Path) -> None:
    command("fetch", "omnicloudmask-v4", "-o", "mine", "--lock", "lock.json", "--pin")
    found = json.loads(Path("lock.json").read_text())["files"]
    assert {name: facts["sha256"] for name, facts in found.items()} == {
        name: hashlib.sha256((held / "weights" / name).read_bytes()).hexdigest() for name in FILES
    }


def test_pin_without_a_lock_file_is_refused(command: Command, tmp_path: Path) -> None:
    done = command("fetch", "omnicloudmask-v4", "-o", "mine", "--pin")
    assert "--pin: say which file with --lock FILE" in done.complaint
    assert done.status == 2
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["omni"], "unknown family 'omni'"),
        (["clouds2mask-20m-3c"], "cloudmask export FILE --family clouds2mask-20m-3c"),
        (["omnicloudmask-v4", "--lock", "none.json"], "none.json: cannot be read"),
    ],
)
def test_what_cannot_be_fetched_is_refused_in_one_line(
    command: Command, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = command("fetch", *arguments, "-o", "mine")
    assert words in done.complaint
    assert len(done.err.splitlines()) == 1
    assert done.status == 2
    assert listed(tmp_path) == []


def test_files_that_nobody_pinned_are_warned_of_once(held: Path, tmp_path: Path) -> None:
    for name in NAMES:  # so that nothing need be exported
        (held / f"{name}.json").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "cloudmask", "fetch", "omnicloudmask-v4", "-o", "mine"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9"},
    )  # fmt: skip
    warned = re.findall(r"^cloudmask: warning: (\S+): no lock file", done.stderr, re.MULTILINE)
    assert warned == FILES
    assert done.returncode == 2
