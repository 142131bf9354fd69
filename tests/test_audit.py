from __future__ import annotations

import io
import json
import tomllib
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from tools import audit
from tools.audit import NOT_CHECKED, PROJECT, licences, vulnerabilities, without_licence
from tools.checks import CheckError
from tools.licences import ACCEPTED, Kind, Licence, Tree, kind_of, licence_of, tree

if TYPE_CHECKING:
    from pathlib import Path

# -- known holes ----------------------------------------------------------------------------

HOLE = {"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": "Bad."}


def said(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


def looked_up(name: str, *holes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "2.0", "vulns": list(holes)}


SKIPPED = {"name": "absent", "skip_reason": "Dependency not found on PyPI"}


def test_a_package_with_a_known_hole_fails_with_the_version_that_mends_it() -> None:
    with pytest.raises(CheckError, match=r"bad 2\.0: PYSEC-1, mended in 2\.1"):
        vulnerabilities(said(looked_up("good"), looked_up("bad", HOLE)), require=False)


def test_packages_that_were_not_looked_up_are_named() -> None:
    words = vulnerabilities(said(looked_up("good"), SKIPPED), require=False)
    assert words == "1 packages, no known hole; not looked up: absent"


# pip-audit itself says "No known vulnerabilities found" where it could look nothing up.
@pytest.mark.parametrize("found", [said(SKIPPED, SKIPPED), said(), "", "no JSON", "[]", "{}"])
def test_what_could_not_be_looked_up_is_not_called_good(found: str) -> None:
    assert vulnerabilities(found, require=False) == NOT_CHECKED
    with pytest.raises(CheckError, match=NOT_CHECKED):
        vulnerabilities(found, require=True)


# -- licences -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MIT", Kind.FREE),
        ("BSD-3-Clause", Kind.FREE),
        ("3-Clause BSD License", Kind.FREE),
        ("Apache Software License", Kind.FREE),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", Kind.FREE),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", Kind.FREE),
        ("MPL-2.0 AND MIT", Kind.NOTED),
        ("GNU Lesser General Public License v3 (LGPLv3)", Kind.NOTED),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", Kind.NOTED),
        ("GPL-2.0-only OR MIT", Kind.FREE),
        ("GPL-2.0-only AND MIT", Kind.COPYLEFT),
        ("GNU General Public License v3 (GPLv3)", Kind.COPYLEFT),
        ("AGPL-3.0-or-later", Kind.COPYLEFT),
        ("CC-BY-SA-4.0", Kind.COPYLEFT),
        ("CC-BY-NC-4.0", Kind.COPYLEFT),
        ("Other/Proprietary License", Kind.COPYLEFT),
        ("none", Kind.UNKNOWN),
        ("UNKNOWN", Kind.UNKNOWN),
        ("Do as you like", Kind.UNKNOWN),
    ],
)
def test_a_licence_is_of_a_kind(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


@pytest.mark.parametrize(
    ("kind", "remedy"), [(Kind.COPYLEFT, "leave it out"), (Kind.UNKNOWN, "BY_HAND")]
)
def test_a_licence_that_must_not_be_there_fails_with_the_remedy(kind: Kind, remedy: str) -> None:
    found = Tree("local", (Licence("fine", "MIT", Kind.FREE), Licence("bad", "X", kind)), ())
    with pytest.raises(CheckError, match=f"bad: X .*{remedy}"):
        licences(found)


def test_weak_copyleft_and_what_is_not_installed_are_named() -> None:
    found = Tree("", (Licence("weak", "MPL-2.0", Kind.NOTED),), ("absent",))
    words = licences(found)
    assert words == "1 packages; weak copyleft: weak MPL-2.0; not installed, not checked: absent"
    with pytest.raises(CheckError, match="absent: not installed, so not checked"):
        licences(found, require=True)


def test_what_is_accepted_in_one_extra_is_accepted_in_no_other() -> None:
    ((extra, package),) = ACCEPTED
    bad = (Licence(package, "GPL-3.0-only", Kind.COPYLEFT),)
    assert f"COPYLEFT, accepted: {package}" in licences(Tree(extra, bad, ()))
    with pytest.raises(CheckError, match=package):
        licences(Tree("local", bad, ()))


def installed(folder: Path, name: str, *lines: str) -> None:
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir(parents=True)
    text = "\n".join(("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines))
    (place / "METADATA").write_text(text + "\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install packages that need each other."""
    installed(tmp_path, "one", "License-Expression: MIT", "Requires-Dist: two[more]>=1")
    installed(tmp_path, "two", "Classifier: License :: OSI Approved :: BSD License",
              "Provides-Extra: more", "Requires-Dist: three; extra == 'more'",
              "Requires-Dist: one")  # fmt: skip
    installed(tmp_path, "three", "License: GPL-3.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("packages")
def test_the_tree_is_followed_through_extras_and_circles() -> None:
    project = {
        "name": "openeo-cloudmask",
        "dependencies": [],
        "optional-dependencies": {
            "a": ["openeo-cloudmask[b]"],
            "b": ["one", "no-such-package; python_version >= '3'", "never; python_version < '3'"],
        },
    }
    assert tree(project) == Tree("", (), ())
    found = tree(project, "a")
    assert {each.package: each.kind for each in found.licences} == {
        "one": Kind.FREE, "two": Kind.FREE, "three": Kind.COPYLEFT,
    }  # fmt: skip
    assert found.absent == ("no-such-package",)


def test_of_two_classifiers_the_worse_counts(packages: Path) -> None:
    from importlib import metadata

    line = "Classifier: License :: OSI Approved :: {}"
    installed(
        packages, "both", line.format("MIT License"), line.format("GNU General Public License v2")
    )
    assert licence_of(metadata.distribution("both")).kind is Kind.COPYLEFT


def test_nothing_that_a_worker_needs_asks_for_more_than_its_text() -> None:
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    found = tree(project)
    assert {"numpy", "scipy", "xarray", "onnxruntime"} <= {each.package for each in found.licences}
    assert {each.kind for each in found.licences} == {Kind.FREE}


# -- archives -------------------------------------------------------------------------------


def bundled(**changes: bytes | None) -> dict[str, bytes]:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as opened:
        opened.writestr("ours-1.dist-info/licenses/LICENSE", "MIT")
    model = {"name": "net", "licence": "MIT", "licence_texts": ["m/net.LICENCE.txt"]}
    described = {"packages": {"some-engine": "1"}, "models": [model]}
    files: dict[str, bytes | None] = {
        "bundle.json": json.dumps(described).encode(),
        "ours.whl": wheel.getvalue(),
        "some_engine/LICENSE": b"Apache",
        "m/net.onnx": b"",
        "m/net.LICENCE.txt": b"MIT",
        **changes,
    }
    return {name: content for name, content in files.items() if content is not None}


def test_an_archive_with_all_texts_lacks_none() -> None:
    assert without_licence(bundled()) == []


def test_a_licence_may_lie_with_the_metadata() -> None:
    files = bundled(
        **{"some_engine/LICENSE": None, "some_engine-1.dist-info/licenses/COPYING": b"Apache"}
    )
    assert without_licence(files) == []


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"some_engine/LICENSE": None}, "some-engine"),
        ({"m/net.LICENCE.txt": None}, "net"),
        ({"ours.whl": b"PK\x05\x06" + bytes(18)}, "ours.whl"),
    ],
)
def test_what_lies_in_an_archive_without_its_licence_is_named(
    changes: dict[str, bytes | None], lacking: str
) -> None:
    assert without_licence(bundled(**changes)) == [lacking]


# -- the command ----------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "status"), [([], 0), (["--require"], 1)])
def test_what_cannot_be_checked_is_told_and_fails_only_if_it_must_be(
    words: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(audit, "ask_pip_audit", lambda: said(SKIPPED))
    monkeypatch.setattr(audit, "tree", lambda _project, extra: Tree(extra, (), ()))
    monkeypatch.setattr(audit, "bundle", lambda: "good")
    assert audit.main(words) == status
    assert NOT_CHECKED in capsys.readouterr().out
