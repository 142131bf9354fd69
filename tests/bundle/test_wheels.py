from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudmask
from cloudmask.default import BUILT_IN
from cloudmask.errors import OptionError
from cloudmask_openeo.bundle.archive import ArchiveError, read_zip, write_zip
from cloudmask_openeo.bundle.contents import core_wheel
from cloudmask_openeo.bundle.runtime import needed, third_party
from cloudmask_openeo.bundle.target import Target
from cloudmask_openeo.bundle.wheels import (
    download,
    fits,
    installed_wheel,
    licence_texts,
    own_wheel,
    read_wheel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = "thing-1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Our own wheel as a file."""
    name, content = own_wheel()
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.fixture
def isolated(tmp_path: Path) -> Callable[[str], str]:
    """Run a line where our wheel and numpy are all there is."""

    def run(line: str) -> str:
        site = Path(np.__file__).parents[1]
        code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.path.append({str(site)!r})"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"{code}\n{line}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return run


def digest(content: bytes) -> str:
    plain = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha256={plain.rstrip('=')}"


def test_every_file_of_our_wheel_is_recorded_with_its_hash(wheel: Path) -> None:
    files = read_zip(wheel)
    (name,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    lines = files.pop(name).decode().splitlines()
    expected = {f"{each},{digest(content)},{len(content)}" for each, content in files.items()}
    assert set(lines) == expected | {f"{name},,"}


def test_our_wheel_holds_the_core_and_not_the_tools_of_a_person(wheel: Path) -> None:
    names = set(read_zip(wheel))
    core = Path(cloudmask.__file__).parent
    places = [*core.glob("*.py"), *core.glob("engines/*.py")]
    modules = {f"cloudmask/{file.relative_to(core).as_posix()}" for file in places}
    left_out = {"cloudmask/__main__.py", "cloudmask/testing.py"}
    assert modules - left_out == {
        name for name in names if name.endswith(".py") and name.startswith("cloudmask/")
    }
    assert "cloudmask/models/ukis-4b-l1c.json" in names
    assert f"openeo_cloudmask-{cloudmask.__version__}.dist-info/licenses/LICENSE" in names
    assert not any(part in name for name in names for part in (".npy", ".pyc", "__pycache__"))


def test_our_wheel_is_imported_as_it_is_with_its_manifests(
    wheel: Path, isolated: Callable[[str], str]
) -> None:
    line = (
        f"sys.path.insert(0, {str(wheel)!r})\n"
        "from cloudmask.registry import known, resources\n"
        "import cloudmask; print(cloudmask.__file__); print(*known())"
    )
    origin, names = isolated(line).splitlines()
    assert origin.startswith(str(wheel))
    assert "ukis-4b-l1c" in names


def test_our_wheel_finds_its_networks_where_it_was_unpacked_anew(
    wheel: Path, isolated: Callable[[str], str]
) -> None:
    # Some back-ends unpack the dependencies for each chunk and delete them after.
    moved = wheel.with_name("anew") / wheel.name
    code = f"""
import os
sys.path.insert(0, {str(wheel)!r})
import numpy as np, xarray as xr, cloudmask
cloudmask.find_model("cloudmask-s2-small").load()
os.makedirs({str(moved.parent)!r})
os.rename({str(wheel)!r}, {str(moved)!r})
print(cloudmask.models()["cloudmask-s2-small-4b"].installed)
sys.path.insert(0, {str(moved)!r})
print(cloudmask.models()["cloudmask-s2-small-4b"].installed)
cloudmask.find_model("cloudmask-s2-small-4b").load()
"""
    assert isolated(code).split() == ["False", "True"]


def test_pip_installs_our_wheel(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
            "--no-deps", "--no-index", "--no-compile", "--target", target, wheel,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    core = Path(cloudmask.__file__).parent
    assert (target / "cloudmask" / "udf.py").read_bytes() == (core / "udf.py").read_bytes()
    texts = [path.read_text() for path in target.glob("*.dist-info/METADATA")]
    assert len(texts) == 1
    assert f"\nVersion: {cloudmask.__version__}\n" in texts[0]
    assert "Requires-Dist: numpy" in texts[0]
    assert "extra" not in texts[0]


def test_a_compressed_wheel_holds_the_same_files_in_half_the_size(wheel: Path) -> None:
    small = own_wheel(compressed=True, networks=False)[1]
    large = own_wheel(networks=False)[1]
    assert len(small) < len(large) / 2
    with zipfile.ZipFile(BytesIO(small)) as file, zipfile.ZipFile(BytesIO(large)) as other:
        assert {name: file.read(name) for name in file.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


def test_the_wheel_that_stands_in_a_text_leaves_the_networks_out(wheel: Path) -> None:
    with zipfile.ZipFile(BytesIO(core_wheel())) as file:
        left_out = set(read_zip(wheel)) - set(file.namelist())
    assert left_out == {f"cloudmask/models/{name}.onnx" for name in BUILT_IN}


def test_our_wheel_masks_with_its_own_networks_while_it_is_a_zip(
    wheel: Path, isolated: Callable[[str], str]
) -> None:
    code = f"""
sys.path.insert(0, {str(wheel)!r})
import numpy as np, xarray as xr, cloudmask
sys.modules["ukis_csmask"] = None
bands = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()
numbers = np.random.default_rng(0).uniform(100, 6000, (13, 40, 40)).astype("f4")
cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={{"bands": bands}})
for part in (cube, cube[[1, 2, 3, 7]]):
    print(cloudmask.mask_clouds(part).attrs["cloudmask_model"], end=" ")
print(cloudmask.models()["cloudmask-s2-small"].installed, cloudmask.__file__)
"""
    *models, installed, origin = isolated(code).split()
    assert (models, installed) == (list(BUILT_IN), "True")
    assert origin.startswith(str(wheel))


def test_a_wheel_is_read_where_an_import_looks(tmp_path: Path) -> None:
    path = tmp_path / PLAIN
    files = {
        "thing/__init__.py": b"1",
        "thing-1.0.data/platlib/thing/part.py": b"2",
        "thing-1.0.data/purelib/other.py": b"3",
        "thing-1.0.data/scripts/command": b"4",
        "thing-1.0.data/headers/thing.h": b"5",
    }
    write_zip(path, files)
    name, found = read_wheel(path, Target())
    assert name == "thing 1.0"
    assert found == {"thing/__init__.py": b"1", "thing/part.py": b"2", "other.py": b"3"}


def test_a_wheel_for_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing-1.0-cp312-cp312-win_amd64.whl"
    write_zip(path, {})
    with pytest.raises(OptionError, match=r"is for cp312-cp312-win_amd64, not for Python 3\.11"):
        read_wheel(path, Target())


@pytest.mark.parametrize("name", ["thing.whl", "thing.zip", "thing-1.0.tar.gz"])
def test_a_file_that_is_not_named_as_a_wheel_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="give the file as pip download made it"):
        read_wheel(tmp_path / name, Target())


def install(folder: Path, files: dict[str, bytes], recorded: dict[str, bytes]) -> None:
    """Lay out an installed distribution."""
    info = "thing-1.0.dist-info"
    plain = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": b"free",
    }
    for name, content in {**plain, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    lines = [f"{name},{digest(content)},1" for name, content in {**plain, **recorded}.items()]
    lines += [f"{info}/RECORD,,", "thing/__pycache__/a.cpython-311.pyc,,"]
    (folder / f"{info}/RECORD").write_text("\n".join(lines))


def test_an_installed_distribution_gives_what_its_wheel_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "lib"
    made = {"thing/__pycache__/a.cpython-311.pyc": b"0", "thing-1.0.dist-info/INSTALLER": b"pip"}
    brought = {"thing/a.py": b"1", "thing-1.0.dist-info/INSTALLER": b"pip", "../bin/thing": b"2"}
    install(site, made | brought, brought)
    monkeypatch.syspath_prepend(str(site))
    name, files = installed_wheel("thing", Target())
    assert name == "thing 1.0"
    assert {each for each in files if ".dist-info" not in each} == {"thing/a.py"}
    assert not any("INSTALLER" in each for each in files)
    assert licence_texts("thing") == {"LICENSE": b"free"}


def test_an_installed_file_that_was_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"thing/a.py": b"changed"}, {"thing/a.py": b"1"})
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ArchiveError, match=r"thing/a\.py is not the file that was installed"):
        installed_wheel("thing", Target())


def test_what_is_not_installed_is_refused() -> None:
    assert not fits("no-such-thing", Target())
    with pytest.raises(OptionError, match="no-such-thing is not installed here"):
        installed_wheel("no-such-thing", Target())


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let pip look into a folder and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def toy(folder: Path, version: str, tags: str) -> None:
    info = f"onnxruntime-{version}.dist-info"
    files = {
        "onnxruntime/__init__.py": tags.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n"
        "Requires-Dist: numpy\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {tags}\n".encode(),
        f"{info}/RECORD": b"",
    }
    write_zip(folder / f"onnxruntime-{version}-{tags}.whl", files)


def test_the_wheel_of_the_target_is_fetched(index: Path) -> None:
    for tags in ("cp312-cp312-win_amd64", "cp312-cp312-manylinux_2_28_aarch64"):
        toy(index, "9.8", tags)
    toy(index, "9.9", "cp312-cp312-win_amd64")
    target = Target("3.12", "manylinux_2_34_aarch64")
    name, files = download("onnxruntime", "9.8", target)
    assert name == "onnxruntime 9.8"
    assert files["onnxruntime/__init__.py"] == b"cp312-cp312-manylinux_2_28_aarch64"
    assert third_party(target, version="9.8") == {name: needed(files)}


def test_a_wheel_that_is_nowhere_is_told_with_a_remedy(index: Path) -> None:
    with pytest.raises(
        OptionError, match=r"onnxruntime==9\.7 for Python 3\.11 .* cannot be fetched \(No matching"
    ):
        download("onnxruntime", "9.7", Target())


def test_without_a_version_the_installed_one_is_brought(here: Target) -> None:
    if not fits("onnxruntime", here):
        pytest.skip("the installed ONNX Runtime did not come as a wheel for this platform")
    import onnxruntime

    (name,) = third_party(here)
    assert name == f"onnxruntime {onnxruntime.__version__}"
    assert list(third_party(here, version="installed")) == [name]


def test_the_installed_one_is_not_brought_where_it_does_not_run() -> None:
    with pytest.raises(OptionError, match="the installed onnxruntime is for"):
        third_party(Target("3.99", "win_amd64"), version="installed")


def test_a_wheel_and_a_version_of_onnx_runtime_exclude_each_other(toy_wheel: Path) -> None:
    with pytest.raises(OptionError, match="leave one out"):
        third_party(Target(), [toy_wheel], "1.0")


def test_wheels_with_the_same_file_are_refused(tmp_path: Path, toy_wheel: Path) -> None:
    write_zip(tmp_path / PLAIN, {"onnxruntime/__init__.py": b""})
    with pytest.raises(ArchiveError, match=r"'onnxruntime/__init__\.py' comes from another"):
        third_party(Target(), [toy_wheel, tmp_path / PLAIN])


def test_other_wheels_are_brought_along(tmp_path: Path, toy_wheel: Path) -> None:
    write_zip(tmp_path / PLAIN, {"thing.py": b"1"})
    found = third_party(Target(), [tmp_path / PLAIN, toy_wheel])
    assert found["thing 1.0"] == {"thing.py": b"1"}
    assert "onnxruntime 9.9" in found


def test_what_inference_never_loads_is_left_out_and_licences_stay() -> None:
    kept = {
        "onnxruntime/__init__.py": b"",
        "onnxruntime/LICENSE": b"",
        "onnxruntime/ThirdPartyNotices.txt": b"",
        "onnxruntime/capi/onnxruntime_pybind11_state.so": b"\0libonnxruntime_providers.so\0",
        "onnxruntime-1.0.dist-info/METADATA": b"",
        "onnxruntime-1.0.dist-info/licenses/LICENSE": b"",
        "tools/onnxruntime/tools/a.py": b"",
    }
    left = {
        "onnxruntime/tools/a.py": b"",
        "onnxruntime/transformers/models/b.py": b"",
        "onnxruntime/quantization/c.py": b"",
        "onnxruntime/backend/__init__.py": b"",
        "onnxruntime/datasets/d.onnx": b"",
        "onnxruntime/capi/libonnxruntime.so.1.0": b"libonnxruntime.so.1",
        "onnxruntime-1.0.dist-info/RECORD": b"",
        "onnxruntime-1.0.dist-info/entry_points.txt": b"",
    }
    assert needed({**kept, **left}) == kept


def test_the_c_library_stays_where_another_one_loads_it() -> None:
    files = {
        "onnxruntime/capi/libonnxruntime.so.1.0": b"",
        "onnxruntime/capi/onnxruntime_pybind11_state.so": b"\0libonnxruntime.so.1\0",
    }
    assert needed(files) == files
