from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloudmask import registry as module
from cloudmask.errors import ModelError
from cloudmask.registry import FOLDER, HOME, Entry, find, home, known, local
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY, ModelSpec
from cloudmask_export.item import item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeFile = Callable[[str], Path]

SPEC = ModelSpec(
    name="net", bands=("B02", "B03"), classes=(0, 1, 3), tile=16, overlap=4, file="net.onnx"
)


def manifest(spec: ModelSpec = SPEC, content: bytes = b"") -> str:
    """Write a manifest that pins the content."""
    pinned = replace(spec, sha256=hashlib.sha256(content).hexdigest())
    made = item(pinned, architecture="none", source="https://example.org", size=len(content))
    if not content:
        del made["assets"]["model"]["file:checksum"]
    return json.dumps(made)


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Write a network, with a manifest inside if one is given."""

    def make(inside: str) -> Path:
        shape: list[Any] = ["n", 2, "y", "x"]
        weights = np.ones((3, 2, 1, 1), np.float32)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["input", "w"], ["output"])],
            "net",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "y", "x"])],
            [numpy_helper.from_array(weights, "w")],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if inside:
            helper.set_model_props(made, {METADATA_KEY: inside})
        path = tmp_path / "net.onnx"
        onnx.save(made, path)
        return path

    return make


def test_known_networks_are_listed_by_name() -> None:
    assert list(known()) == sorted(known())
    assert "ukis-4b-l1c" in known()
    assert all(entry.spec.name == name for name, entry in known().items())


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="unknown model 'ukis'; give the path") as caught:
        find("ukis")
    assert all(f"  {name}: " in str(caught.value) for name in known())


def test_an_unknown_network_tells_how_to_install_the_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = {name: replace(entry, path=None) for name, entry in known().items()}
    monkeypatch.setattr("cloudmask.registry.known", lambda: absent)
    with pytest.raises(ModelError, match=r"ukis-4b-l1c: pip install 'openeo-cloudmask\[ukis\]'"):
        find("none")


def test_a_known_network_that_is_absent_tells_how_to_install_it() -> None:
    entry = replace(known()["ukis-4b-l1c"], path=None)
    assert not entry.installed
    with pytest.raises(ModelError, match=r"pip install 'openeo-cloudmask\[ukis\]'"):
        entry.load()


def test_a_known_network_whose_file_is_gone_is_not_installed(tmp_path: Path) -> None:
    entry = Entry(SPEC, tmp_path / "gone.onnx", tmp_path)
    assert not entry.installed
    with pytest.raises(ModelError, match="known but not installed"):
        entry.load()


def test_a_known_network_is_found_without_importing_its_package(ukis_4b: Entry) -> None:
    assert find("ukis-4b-l1c") == ukis_4b
    assert ukis_4b.path is not None
    assert ukis_4b.path.name == "model_4b_l1c.onnx"


@pytest.mark.parametrize("name", ["net.json", "net.onnx.json"])
def test_a_manifest_beside_the_file_is_read(make_file: MakeFile, name: str) -> None:
    path = make_file("")
    path.with_name(name).write_text(manifest(content=path.read_bytes()), "utf-8")
    entry = find(path)
    assert entry.spec.name == "net"
    assert entry.load(Runtime(threads=1))(np.ones((1, 2, 16, 16), np.float32)).shape[1] == 3


def test_a_manifest_inside_the_file_is_read(make_file: MakeFile) -> None:
    assert find(str(make_file(manifest()))).spec == SPEC


def test_a_manifest_beside_the_file_goes_before_the_one_inside(make_file: MakeFile) -> None:
    path = make_file(manifest())
    path.with_suffix(".json").write_text(manifest(replace(SPEC, name="beside")), "utf-8")
    assert find(path).spec.name == "beside"


def test_a_relative_path_is_found(make_file: MakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_file(manifest())
    monkeypatch.chdir(path.parent)
    entry = find("net.onnx")
    assert entry.path == path


def test_a_file_without_a_manifest_is_refused(make_file: MakeFile) -> None:
    with pytest.raises(ModelError, match=r"no manifest beside it \(net.json, net.onnx.json\)"):
        local(make_file(""))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        find(tmp_path / "none.onnx")


def test_a_folder_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(ModelError, match="there is no such file"):
        find(tmp_path / "net.onnx")


def test_an_unreadable_manifest_beside_the_file_is_refused(make_file: MakeFile) -> None:
    path = make_file(manifest())
    path.with_suffix(".json").write_bytes(b"\xff{")
    with pytest.raises(ModelError, match="manifest: not a readable STAC MLM Item"):
        local(path)


def test_an_unreadable_manifest_inside_the_file_is_refused(make_file: MakeFile) -> None:
    with pytest.raises(ModelError, match="manifest: not a readable STAC MLM Item"):
        local(make_file("{"))


def test_a_manifest_for_another_file_is_refused(make_file: MakeFile) -> None:
    path = make_file("")
    path.with_suffix(".json").write_text(manifest(content=b"another"), "utf-8")
    with pytest.raises(ModelError, match="the manifest says"):
        local(path).load(Runtime(threads=1))


def test_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelError, match="not a usable ONNX network"):
        find(path)


@pytest.mark.parametrize(
    "name", ["", "UKIS-4B-L1C", "net.pt", "models/net.pth", "ukis-4b-l1c.json"]
)
def test_what_is_neither_a_name_nor_an_onnx_file_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        find(name)


@pytest.fixture
def archive(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeFile]:
    """Make a folder NAME/cloudmask_models with a network "net" and its manifest."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(name: str) -> Path:
        folder = tmp_path / name / FOLDER
        folder.mkdir(parents=True)
        path = make_file("").rename(folder / "net.onnx")
        spec = replace(SPEC, title=name)
        path.with_suffix(".json").write_text(manifest(spec, path.read_bytes()), "utf-8")
        return folder.parent

    yield make
    module._once.cache_clear()


def test_a_network_in_a_folder_on_the_path_is_known_by_name(archive: MakeFile) -> None:
    folder = archive("deps")
    assert "net" not in known()
    sys.path.append(str(folder))
    assert find("net").path == folder / FOLDER / "net.onnx"
    assert find("net").installed
    assert find("net").load(Runtime(threads=1)).spec.title == "deps"
    assert list(known()) == sorted(known())


def test_a_folder_that_left_the_path_is_forgotten(archive: MakeFile) -> None:
    folder = archive("deps")
    sys.path.append(str(folder))
    assert "net" in known()
    sys.path.remove(str(folder))
    assert "net" not in known()


def test_a_folder_that_comes_later_is_noticed(
    archive: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sys.path.append(str(tmp_path / "deps"))
    assert "net" not in known()
    archive("deps")
    assert "net" in known()


def test_a_network_that_comes_into_a_folder_later_is_noticed(archive: MakeFile) -> None:
    folder = archive("deps") / FOLDER
    (folder / "net.json").rename(folder.parent / "net.json")
    sys.path.append(str(folder.parent))
    assert "net" not in known()
    (folder.parent / "net.json").rename(folder / "net.json")
    assert "net" in known()


def test_a_relative_folder_on_the_path_is_found(
    archive: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive("deps")
    sys.path.append("deps")
    monkeypatch.chdir(tmp_path)
    assert find("net").path == tmp_path / "deps" / FOLDER / "net.onnx"
    monkeypatch.chdir("/")
    assert "net" not in known()


def test_the_first_folder_on_the_path_wins(archive: MakeFile) -> None:
    sys.path += [str(archive("first")), str(archive("second"))]
    assert find("net").spec.title == "first"


def test_a_network_in_a_folder_goes_before_the_package_s_own(archive: MakeFile) -> None:
    folder = archive("deps")
    own = find("ukis-4b-l1c")
    file = folder / FOLDER / "net.json"
    file.write_text(file.read_text("utf-8").replace('"net"', '"ukis-4b-l1c"'), "utf-8")
    sys.path.append(str(folder))
    assert find("ukis-4b-l1c").spec.bands == SPEC.bands
    sys.path.remove(str(folder))
    assert find("ukis-4b-l1c") == own


def test_a_package_that_comes_onto_the_path_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locate(name: str) -> object:
        return None if str(tmp_path) not in sys.path else find_spec("cloudmask")

    monkeypatch.setattr(module, "find_spec", locate)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "other")])
    assert known()["ukis-4b-l1c"].path is None
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert known()["ukis-4b-l1c"].path is not None


def test_a_network_that_was_never_opened_is_gone_with_its_folder(archive: MakeFile) -> None:
    folder = archive("deps")
    sys.path.append(str(folder))
    entry = find("net")
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="unknown model 'net'"):
        find("net")
    with pytest.raises(ModelError, match=r"not installed: put net\.onnx beside its manifest"):
        entry.load(Runtime(threads=1))


def test_an_archive_that_is_unpacked_anew_opens_no_second_session(
    archive: MakeFile, tmp_path: Path
) -> None:
    folder = archive("deps")
    sys.path.append(str(folder))
    opened = find("net").load(Runtime(threads=1))
    moved = folder.rename(tmp_path / "anew")
    sys.path[-1] = str(moved)
    entry = find("net")
    assert entry.path == moved / FOLDER / "net.onnx"
    assert entry.load(Runtime(threads=1)) is opened


def test_networks_that_are_not_pinned_are_told_apart_by_their_place(archive: MakeFile) -> None:
    first, second = archive("first"), archive("second")
    for folder in (first, second):
        (folder / FOLDER / "net.json").write_text(manifest(), "utf-8")
    sys.path.append(str(first))
    opened = find("net").load(Runtime(threads=1))
    sys.path[-1] = str(second)
    assert find("net").load(Runtime(threads=1)) is not opened


def test_an_unreadable_manifest_in_a_folder_is_refused_by_name(archive: MakeFile) -> None:
    folder = archive("deps")
    (folder / FOLDER / "net.json").write_text("{", "utf-8")
    sys.path.append(str(folder))
    with pytest.raises(ModelError, match=r"deps.cloudmask_models.net\.json: manifest: not a read"):
        known()


# -- the user's own folder ------------------------------------------------------------------


def test_a_users_own_folder_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "networks"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "networks"


def test_a_users_own_folder_is_by_default_where_a_users_data_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home() == tmp_path / "openeo-cloudmask" / "models"


@pytest.mark.parametrize("data", ["", None])
def test_a_users_data_are_by_default_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str | None
) -> None:
    monkeypatch.delenv(HOME)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert home() == tmp_path / ".local" / "share" / "openeo-cloudmask" / "models"


def test_a_users_own_folder_may_be_named_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(HOME, "~/networks")
    assert home() == tmp_path / "networks"


def test_a_relative_folder_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME, "networks")
    assert home() == tmp_path / "networks"


def test_an_empty_name_means_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, "")
    assert home() is None
    assert known()


def test_a_user_without_a_home_has_no_networks_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(HOME)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert known()


def test_a_network_in_the_users_own_folder_is_known_by_name(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive("own") / FOLDER
    assert "net" not in known()
    monkeypatch.setenv(HOME, str(folder))
    assert find("net").path == folder / "net.onnx"
    assert find("net").load(Runtime(threads=1)).spec.title == "own"
    monkeypatch.setenv(HOME, "")
    assert "net" not in known()


def test_a_folder_on_the_path_goes_before_the_users_own(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(archive("own") / FOLDER))
    sys.path.append(str(archive("deps")))
    assert find("net").spec.title == "deps"


def test_the_users_own_network_goes_before_the_package_s(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive("own") / FOLDER
    file = folder / "net.json"
    file.write_text(file.read_text("utf-8").replace('"net"', '"ukis-4b-l1c"'), "utf-8")
    monkeypatch.setenv(HOME, str(folder))
    assert find("ukis-4b-l1c").spec.bands == SPEC.bands


def test_a_users_own_network_that_is_replaced_is_opened_anew(
    archive: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (archive("own") / FOLDER).rename(tmp_path / "networks")
    monkeypatch.setenv(HOME, str(own))
    opened = find("net").load(Runtime(threads=1))
    shutil.copy(archive("other") / FOLDER / "net.json", own / "net.json.new")
    (own / "net.json.new").replace(own / "net.json")
    assert find("net").spec.title == "other"
    assert find("net").load(Runtime(threads=1)) is not opened


def test_reports_beside_networks_are_no_manifests(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive("own") / FOLDER
    (folder / "net.report.json").write_text('{"name": "net"}')
    (folder / "weights.lock.json").write_text('{"files": {}}')
    monkeypatch.setenv(HOME, str(folder))
    assert find("net").installed


def test_a_damaged_manifest_among_the_users_own_is_left_out_with_a_warning(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive("own") / FOLDER
    (folder / "junk.json").write_text("junk")
    monkeypatch.setenv(HOME, str(folder))
    with pytest.warns(UserWarning, match=r"junk\.json: manifest: not a readable .*; left out"):
        assert find("net").installed


def test_a_users_own_network_is_not_left_out_for_want_of_an_open_file(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else another network of this name would answer in its place, and go on to do so.
    monkeypatch.setenv(HOME, str(archive("own") / FOLDER))

    def refusing(path: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as starved:
        starved.setattr("pathlib.Path.read_bytes", refusing)
        with pytest.raises(OSError, match="Too many open files"):
            known()
    assert known()["net"].installed


def test_weights_beside_networks_are_no_networks(
    archive: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive("own") / FOLDER
    (folder / "weights").mkdir()
    (folder / "weights" / "lock.json").write_text("{}")
    monkeypatch.setenv(HOME, str(folder))
    assert find("net").installed


@pytest.mark.parametrize("name", ["no such folder", "x" * 300, __file__, f"{__file__}/models"])
def test_a_users_own_folder_that_is_none_is_left_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, name)
    assert "ukis-4b-l1c" in known()


def test_a_users_own_folder_that_nobody_may_look_into_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.stat

    def refusing(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **options)

    monkeypatch.setenv(HOME, str(tmp_path / "networks"))
    monkeypatch.setattr(os, "stat", refusing)
    assert "ukis-4b-l1c" in known()


def test_what_is_wrong_with_a_manifest_beside_a_file_names_the_manifest(
    make_file: MakeFile,
) -> None:
    path = make_file(manifest())
    path.with_suffix(".json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match=r"net\.json: manifest: 'properties' is missing"):
        local(path)


def test_what_is_wrong_with_a_manifest_inside_a_file_names_the_file(make_file: MakeFile) -> None:
    with pytest.raises(ModelError, match=r"net\.onnx: manifest: 'properties' is missing"):
        local(make_file("{}"))


def test_metadata_that_are_no_text_are_refused(make_file: MakeFile) -> None:
    path = make_file(manifest())
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"Feature"', b'"Fea\xff\xfere"'))
    with pytest.raises(ModelError, match=r"net\.onnx: its metadata are no text"):
        local(path)
