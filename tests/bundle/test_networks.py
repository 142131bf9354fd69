from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask.errors import ModelError
from cloudmask.registry import FOLDER, local
from cloudmask.runtime import Runtime
from cloudmask.selftest import self_test
from cloudmask.spec import parse_manifest
from cloudmask_openeo.bundle.archive import unpack
from cloudmask_openeo.bundle.networks import packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask.registry import Entry

    MakeNetwork = Callable[..., Path]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def test_a_known_network_travels_with_manifest_test_and_licence(
    ukis_4b: Entry, tmp_path: Path
) -> None:
    network = packed("ukis-4b-l1c")
    names = {name.removeprefix(f"{FOLDER}/ukis-4b-l1c.") for name in network.files}
    assert names == {"onnx", "json", "LICENCE.txt", "test-input.npy", "test-output.npy"}
    assert b"Apache License" in network.files[f"{FOLDER}/ukis-4b-l1c.LICENCE.txt"]
    unpack(network.files, tmp_path)
    entry = local(tmp_path / FOLDER / "ukis-4b-l1c.onnx")
    found = self_test(entry)
    assert found is not None
    assert found.good


def test_the_manifest_names_the_file_beside_it_and_no_package(ukis_4b: Entry) -> None:
    spec = parse_manifest(packed("ukis-4b-l1c").files[f"{FOLDER}/ukis-4b-l1c.json"])
    assert (spec.file, spec.package, spec.extra) == ("ukis-4b-l1c.onnx", "", "")
    assert spec.sha256 == ukis_4b.spec.sha256
    assert (spec.bands, spec.mean, spec.tile) == (
        ukis_4b.spec.bands, ukis_4b.spec.mean, ukis_4b.spec.tile,
    )  # fmt: skip


def test_the_description_says_hash_and_licence(make_network: MakeNetwork, tmp_path: Path) -> None:
    path = make_network(tmp_path)
    assert packed(str(path)).description == {
        "name": "net",
        "file": "cloudmask_models/net.onnx",
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "LicenseRef-net",
        "licence_texts": ["cloudmask_models/net.LICENCE.txt"],
    }


def test_a_network_goes_by_the_name_in_its_manifest(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    path = make_network(tmp_path)
    path.with_suffix(".json").rename(tmp_path / "file.onnx.json")
    network = packed(str(path.rename(tmp_path / "file.onnx")))
    assert set(network.files) == {
        f"{FOLDER}/net.{suffix}" for suffix in ("onnx", "json", "LICENCE.txt")
    }
    assert network.spec.file == "net.onnx"


def test_a_manifest_inside_the_file_comes_to_lie_beside_it(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    network = packed(str(make_network(tmp_path, inside=True)))
    assert parse_manifest(network.files[f"{FOLDER}/net.json"]) == network.spec


@pytest.mark.parametrize("kind", [{"pinned": False}, {"inside": True}])
def test_a_network_that_nobody_pinned_is_pinned(
    make_network: MakeNetwork, tmp_path: Path, kind: dict[str, bool]
) -> None:
    path = make_network(tmp_path, **kind)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert packed(str(path)).spec.sha256 == expected


def test_a_network_out_of_an_archive_is_packed_the_same(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    first = packed(str(make_network(tmp_path / "a")))
    unpack(first.files, tmp_path)
    again = packed(str(tmp_path / FOLDER / "net.onnx"))
    assert again.files == first.files
    assert local(tmp_path / FOLDER / "net.onnx").load(Runtime(threads=1)).spec == again.spec


def test_several_licence_texts_all_travel(make_network: MakeNetwork, tmp_path: Path) -> None:
    path = make_network(tmp_path)
    (tmp_path / "COPYING").write_text("And copy.")
    files = packed(str(path)).files
    texts = {name: text for name, text in files.items() if "LICENCE" in name}
    assert texts == {
        f"{FOLDER}/net.LICENCE.txt": b"Do as you like.\n",
        f"{FOLDER}/net.2.LICENCE.txt": b"And copy.",
    }


def test_a_network_of_our_own_travels_with_our_licence() -> None:
    files = packed("cloudmask-s2-small-4b").files
    assert b"MIT License" in files[f"{FOLDER}/cloudmask-s2-small-4b.LICENCE.txt"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a b", "-m", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(
    make_network: MakeNetwork, tmp_path: Path, name: str
) -> None:
    path = make_network(tmp_path)
    edit(path.with_suffix(".json"), lambda item: item["properties"].update({"mlm:name": name}))
    with pytest.raises(ModelError, match="to become a file the name must be of letters"):
        packed(str(path))


def test_a_network_that_is_not_the_pinned_one_is_refused(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    path = make_network(tmp_path)
    make_network(tmp_path / "b", "other").replace(path)
    with pytest.raises(ModelError, match=r"sha256 is .* the manifest says"):
        packed(str(path))


def test_a_network_that_contradicts_its_manifest_is_refused(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    path = make_network(tmp_path)
    edit(
        path.with_suffix(".json"),
        lambda item: item["properties"]["mlm:input"][0].update({"name": "other"}),
    )
    with pytest.raises(ModelError, match="contradicts its manifest"):
        packed(str(path))


def test_a_test_whose_files_are_gone_is_refused(make_network: MakeNetwork, tmp_path: Path) -> None:
    path = make_network(tmp_path)
    assets = {
        "test-input": {"href": "in.npy", "bands": ["B02", "B03"]},
        "test-output": {"href": "out.npy", "cloudmask:tolerance": 0.1},
    }
    edit(path.with_suffix(".json"), lambda item: item["assets"].update(assets))
    with pytest.raises(ModelError, match="file of its test cannot be read"):
        packed(str(path))


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown model 'none'"):
        packed("none")
