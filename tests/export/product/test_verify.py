from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.engines import providers_here
from cloudmask_export.errors import ExportError
from cloudmask_export.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NAME = "omnicloudmask-v4-regnety_004"


def change_manifest(folder: Path, path: str, value: Any) -> None:
    """Replace what stands at a path like `assets/model/href`; remove it if the value is None."""
    file = folder / f"{NAME}.json"
    whole = json.loads(file.read_text("utf-8"))
    *way, last = path.split("/")
    inner: Any = whole
    for key in way:
        inner = inner[int(key) if key.isdigit() else key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    file.write_text(json.dumps(whole), "utf-8")


def faults(folder: Path) -> str:
    """Give what is said of the only network, which must be bad with every provider."""
    found = list(verify(folder))
    assert found
    assert not any(verdict.good for verdict in found)
    return "\n".join(dict.fromkeys(verdict.words for verdict in found))


def test_a_good_export_is_good_with_every_provider_that_runs_here(folder: Path) -> None:
    found = list(verify(folder))
    assert [(verdict.name, verdict.provider, verdict.good) for verdict in found] == [
        (NAME, provider, True) for provider in providers_here()
    ]
    assert found[0].words == "hash and graph good; 0.00 % of its test's pixels differ"


def test_each_provider_gets_its_own_verdict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = next(name for name in ("directml", "coreml") if name not in providers_here())
    monkeypatch.setattr("cloudmask_export.verify.providers_here", lambda: (absent, "cpu"))
    found = list(verify(folder))
    assert [(verdict.provider, verdict.good) for verdict in found] == [
        (absent, False), ("cpu", True),
    ]  # fmt: skip
    assert f"provider '{absent}' " in found[0].words


def test_one_file_may_be_named_instead_of_its_folder(folder: Path) -> None:
    assert all(verdict.good for verdict in verify(folder / f"{NAME}.onnx"))


def test_a_damaged_file_is_noticed(folder: Path) -> None:
    path = folder / f"{NAME}.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "sha256 is" in faults(folder)


def test_a_file_cut_short_is_noticed_without_a_manifest_beside_it(folder: Path) -> None:
    path = folder / f"{NAME}.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    path.with_suffix(".json").unlink()
    assert "not a usable ONNX network" in faults(folder)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("properties/mlm:input/0/bands", ["B04", "B03"], "input has 3 bands, manifest has 2"),
        ("properties/mlm:input/0/name", "input", "inputs ['reflectance'], manifest has 'input'"),
        ("assets/model/file:checksum", "1220" + "00" * 32, "the manifest says 0000"),
        ("assets/model/file:checksum", "1220", "is no sha256 multihash"),
        ("properties/mlm:hyperparameters/inference/overlap", 1001, "overlap=1001"),
        ("properties/mlm:input", None, "'mlm:input' is missing"),
    ],
)
def test_a_manifest_that_contradicts_the_file_is_noticed(
    folder: Path, path: str, value: Any, words: str
) -> None:
    change_manifest(folder, path, value)
    assert words in faults(folder)


def test_a_manifest_with_too_few_classes_is_noticed(folder: Path) -> None:
    found = json.loads((folder / f"{NAME}.json").read_text("utf-8"))
    classes = found["properties"]["mlm:output"][0]["classification:classes"]
    change_manifest(folder, "properties/mlm:output/0/classification:classes", classes[:3])
    assert "output has 4 classes, manifest has 3" in faults(folder)


def test_a_manifest_that_does_not_pin_its_file_is_bad(folder: Path) -> None:
    change_manifest(folder, "assets/model/file:checksum", None)
    assert faults(folder) == "the manifest does not pin the file's hash"


def test_a_file_without_its_manifest_beside_it_is_not_pinned(
    exported: Any, tmp_path: Path
) -> None:
    shutil.copy(exported.made.path, tmp_path)
    assert faults(tmp_path) == "the manifest does not pin the file's hash"


def test_a_file_without_any_manifest_is_bad(tiny_network: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_network, tmp_path)
    assert "no manifest beside it" in faults(tmp_path)


def test_a_manifest_that_is_no_json_is_bad(folder: Path) -> None:
    (folder / f"{NAME}.json").write_text("{")
    assert "not a readable STAC MLM Item" in faults(folder)


def test_another_answer_than_the_kept_one_is_noticed(folder: Path) -> None:
    path = folder / f"{NAME}.test-output.npy"
    kept = np.load(path)
    kept[:, :2] = np.roll(kept[:, :2], 1, axis=0)  # 2 of 128 rows, 0.5 % is allowed
    np.save(path, kept)
    assert faults(folder) == "hash and graph good; 1.56 % of its test's pixels differ"


def test_another_image_than_the_kept_one_is_noticed(folder: Path) -> None:
    path = folder / f"{NAME}.test-input.npy"
    np.save(path, np.load(path)[:, ::-1])
    assert "pixels differ" in faults(folder)


@pytest.mark.parametrize("ending", ["test-input.npy", "test-output.npy"])
def test_a_missing_test_file_is_noticed(folder: Path, ending: str) -> None:
    (folder / f"{NAME}.{ending}").unlink()
    assert f"{ending} cannot be read" in faults(folder)


@pytest.mark.parametrize("ending", ["test-input.npy", "test-output.npy"])
@pytest.mark.parametrize("shape", [(128, 128), (3, 0, 128), (2, 128, 128), ()])
def test_a_test_file_of_another_shape_is_noticed(
    folder: Path, ending: str, shape: tuple[int, ...]
) -> None:
    np.save(folder / f"{NAME}.{ending}", np.zeros(shape, np.uint16))
    assert "shape" in faults(folder) or "image has 2 bands" in faults(folder)


def test_a_test_without_a_band_of_the_network_is_noticed(folder: Path) -> None:
    change_manifest(folder, "assets/test-input/bands/0/name", "B12")
    assert "B04" in faults(folder)


def test_a_network_without_a_test_of_its_own_is_good_and_says_so(folder: Path) -> None:
    change_manifest(folder, "assets/test-input", None)
    assert [(verdict.good, verdict.words) for verdict in verify(folder)] == [
        (True, "hash and graph good, no own test")
    ] * len(providers_here())


def test_a_bad_network_does_not_hide_the_good_one_after_it(folder: Path) -> None:
    (folder / "a.onnx").write_bytes(b"")
    found = list(verify(folder))
    assert [(verdict.name, verdict.good) for verdict in found] == [
        ("a", False), *[(NAME, True)] * len(providers_here()),
    ]  # fmt: skip


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no \.onnx file in it; `cloudmask export` makes"):
        list(verify(tmp_path))


def test_a_folder_that_is_not_there_is_bad(tmp_path: Path) -> None:
    assert "there is no such file" in faults(tmp_path / "none")
