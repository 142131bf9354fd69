from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask import __version__
from cloudmask.default import BUILT_IN
from cloudmask.errors import CloudmaskError, OptionError
from cloudmask_openeo.bundle import ArchiveError, BundleWarning, Order, Target, make
from cloudmask_openeo.bundle.archive import read_zip, write_zip
from cloudmask_openeo.bundle.check import TrialError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeNetwork = Callable[..., Path]


@pytest.fixture
def order(make_network: MakeNetwork, toy_wheel: Path, tmp_path: Path) -> Order:
    """Ask for one small network and a wheel that only calls itself ONNX Runtime."""
    model = make_network(tmp_path / "models")
    (tmp_path / "out").mkdir()
    return Order(
        models=(str(model),), output=tmp_path / "out" / "deps.zip", wheels=(toy_wheel,),
        check=False,
    )  # fmt: skip


def changed(order: Order, **changes: Any) -> Order:
    fields = {
        name: getattr(order, name)
        for name in ("models", "output", "target", "onnxruntime", "wheels", "check")
    }
    return Order(**{**fields, **changes})


def test_an_archive_has_the_wheel_the_packages_and_the_networks(order: Order) -> None:
    names = set(read_zip(make(order).path))
    assert names == {
        "bundle.json",
        f"openeo_cloudmask-{__version__}-py3-none-any.whl",
        "onnxruntime/__init__.py",
        "onnxruntime-9.9.dist-info/METADATA",
        "cloudmask_models/net.onnx",
        "cloudmask_models/net.json",
        "cloudmask_models/net.LICENCE.txt",
    }


def test_it_says_what_is_inside(order: Order) -> None:
    files = read_zip(make(order).path)
    said = json.loads(files["bundle.json"])
    assert said["cloudmask"] == __version__
    assert said["target"] == {"python": "3.11", "platform": "manylinux_2_28_x86_64"}
    assert said["packages"] == {"onnxruntime": "9.9"}
    (model,) = said["models"]
    assert model["licence"] == "LicenseRef-net"
    assert model["sha256"] == hashlib.sha256(files[model["file"]]).hexdigest()


def test_the_bundle_tells_size_and_hash(order: Order) -> None:
    bundle = make(order)
    content = order.output.read_bytes()
    assert (bundle.size, bundle.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert bundle.contents.unpacked == sum(map(len, read_zip(order.output).values()))
    assert bundle.tried == ()


def test_the_same_order_elsewhere_and_later_gives_the_same_bytes(
    order: Order, tmp_path: Path
) -> None:
    first = make(order).path
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "models", elsewhere)
    for file in elsewhere.iterdir():
        os.utime(file, (1e9, 1e9))
        file.chmod(0o400)
    before = os.umask(0o077)
    try:
        second = make(
            changed(order, models=(str(elsewhere / "net.onnx"),), output=elsewhere / "b.zip")
        ).path
    finally:
        os.umask(before)
    assert first.read_bytes() == second.read_bytes()


def test_the_bytes_do_not_depend_on_the_process(order: Order, tmp_path: Path) -> None:
    first = make(order).path
    second = tmp_path / "again.zip"
    for seed in ("1", "2"):
        subprocess.run(
            [
                sys.executable, "-m", "cloudmask", "bundle", "--no-check", "-o", second,
                "-m", order.models[0], "--wheel", order.wheels[0],
            ],
            check=True, capture_output=True, cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Kathmandu"},
        )  # fmt: skip
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["../onnxruntime.py"], r"entry '\.\./onnxruntime\.py' may leave"),
        (["/tmp/evil.py"], "entry '/tmp/evil.py' may leave"),  # noqa: S108
        (["a.py", "a.py"], "entry 'a.py' is there twice"),
        (["cloudmask_models/net.onnx"], "'cloudmask_models/net.onnx' comes from another source"),
        (["bundle.json"], "'bundle.json' comes from another source"),
    ],
)
def test_a_hostile_wheel_is_refused_and_leaves_nothing(
    order: Order, tmp_path: Path, names: list[str], why: str
) -> None:
    hostile = tmp_path / "onnxruntime-6.6-py3-none-any.whl"
    with zipfile.ZipFile(hostile, "w") as file:
        for name in names:
            file.writestr(name, b"evil")
    with pytest.raises(ArchiveError, match=why):
        make(changed(order, wheels=(hostile,)))
    assert list(order.output.parent.iterdir()) == []


def test_an_archive_whose_udf_fails_is_not_handed_over(order: Order, here: Target) -> None:
    order.output.write_text("the one before")
    with pytest.raises(TrialError, match="the archive's UDF fails with model net"):
        make(changed(order, target=here, check=True))
    assert [file.name for file in order.output.parent.iterdir()] == ["deps.zip"]
    assert order.output.read_text() == "the one before"


def test_a_target_that_is_not_here_is_not_tried_but_told(order: Order) -> None:
    with pytest.warns(BundleWarning, match=r"for Python 3\.99 on manylinux_2_28_x86_64"):
        bundle = make(changed(order, target=Target("3.99"), check=True))
    assert bundle.tried == ()


def test_progress_is_told_in_order(order: Order) -> None:
    told: list[str] = []
    make(order, told.append)
    assert told == ["collecting networks and packages", "writing the archive"]


def test_a_network_given_twice_is_refused(order: Order) -> None:
    with pytest.raises(OptionError, match="model net is given twice"):
        make(changed(order, models=order.models * 2))


def test_without_a_network_an_archive_has_those_of_the_package(order: Order) -> None:
    files = read_zip(make(changed(order, models=())).path)
    (wheel,) = (name for name in files if name.endswith(".whl"))
    assert not any(name.startswith("cloudmask_models/") for name in files)
    assert json.loads(files["bundle.json"])["models"] == []
    with zipfile.ZipFile(BytesIO(files[wheel])) as package:
        held = {name for name in package.namelist() if name.endswith(".onnx")}
    assert held == {f"cloudmask/models/{name}.onnx" for name in BUILT_IN}


def test_another_ending_is_refused(order: Order, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"must end in \.zip"):
        changed(order, output=tmp_path / "deps.tar")


def test_a_wheel_is_not_written_over(order: Order, tmp_path: Path) -> None:
    wheel = tmp_path / "wheel.zip"
    with pytest.raises(OptionError, match="is a wheel to be read"):
        changed(order, output=wheel, wheels=(tmp_path / "out" / ".." / "wheel.zip",))


def test_a_folder_that_is_not_there_is_told_before_any_work(order: Order, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nowhere: there is no such folder, for deps\.zip"):
        changed(order, output=tmp_path / "nowhere" / "deps.zip")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_leaves_nothing(
    order: Order, tmp_path: Path, number: signal.Signals
) -> None:
    large = tmp_path / "filler-1.0-py3-none-any.whl"
    write_zip(large, {f"filler/{n}": os.urandom(2**20) for n in range(448)}, compressed=False)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "cloudmask", "bundle", "--no-check", "-o", order.output,
            "-m", order.models[0], "--wheel", order.wheels[0], "--wheel", large,
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not _partial(order.output) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "no file was left half written" in said
    assert list(order.output.parent.iterdir()) == []


def _partial(output: Path) -> bool:
    """Whether the archive is being written beside its place."""
    return any(file.stat().st_size > 0 for file in output.parent.iterdir())


def test_errors_are_those_of_the_package() -> None:
    assert issubclass(ArchiveError, CloudmaskError)
    assert issubclass(TrialError, CloudmaskError)
