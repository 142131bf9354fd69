"""What is handed out: version, archives, changelog, citation, recipe, container file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tools import compat
from tools.checks import CheckError, Checks
from tools.release import archives, changelog, citation, container, recipe
from tools.release_check import check_papers

import cloudmask

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- More.\n"


# -- the version -----------------------------------------------------------------------------


def test_the_version_is_one_that_wheels_may_have() -> None:
    assert str(Version(cloudmask.__version__)) == cloudmask.__version__


def test_a_tree_without_its_version_file_says_that_it_knows_none(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("_version.py", "__pycache__", "*.onnx", "local")
    shutil.copytree(ROOT / "udf" / "cloudmask", tmp_path / "cloudmask", ignore=left_out)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import cloudmask; print(cloudmask.__version__, cloudmask.__file__)"
    )
    words = [sys.executable, "-I", "-c", code]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0.0.0+unknown", str(tmp_path / "cloudmask" / "__init__.py")]


def test_the_version_file_is_never_committed() -> None:
    assert archives.VERSION_FILE in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    if (ROOT / ".git").exists():
        assert archives.VERSION_FILE not in archives.tracked(ROOT)


def test_the_build_takes_the_version_from_git() -> None:
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert PYPROJECT["tool"]["hatch"]["version"]["source"] == "vcs"
    assert PYPROJECT["tool"]["hatch"]["build"]["hooks"]["vcs"]["version-file"] == (
        archives.VERSION_FILE
    )


# -- the list of checks -----------------------------------------------------------------------


def fails() -> str:
    raise CheckError("it is 3, must be 4")


def test_one_check_that_fails_makes_the_end_bad_and_stops_no_other() -> None:
    said: list[str] = []
    checks = Checks(tell=said.append)
    assert [checks.run("a", fails), checks.run("b", lambda: "fine")] == [False, True]
    assert checks.end() == 1
    assert re.search(r"FAILED +a .*it is 3, must be 4\nok +b .*fine", said[-1])


def test_no_check_at_all_is_not_good() -> None:
    assert Checks(tell=lambda _: None).end() == 1


def test_checks_that_all_hold_end_well() -> None:
    checks = Checks(tell=lambda _: None)
    checks.run("b", lambda: "fine")
    assert checks.end() == 0


# -- archives ---------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project in git, with what a wheel needs."""
    root = tmp_path / "tree"
    for pattern in archives.NEEDED:
        room = {"cloudmask": "udf", "cloudmask_openeo": "openeo_process"}.get(
            pattern.split("/")[0], "export"
        )
        path = root / room / pattern.replace("*", "one")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pattern, "utf-8")
    (root / "README.md").write_text("read", "utf-8")
    (root / ".gitignore").write_text("__pycache__/\n_version.py\n", "utf-8")
    (root / "pyproject.toml").write_text(
        "[tool.hatch.build.targets.sdist]\n"
        'include = ["udf", "openeo_process", "export", "README.md"]\n',
        "utf-8",
    )
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def wheel_of(root: Path) -> archives.Files:
    files = {
        name.partition("/")[2]: (root / name).read_bytes()
        for name in archives.tracked(root)
        if name.startswith(archives.ROOMS)
    }
    info = "openeo_cloudmask-1.0.dist-info"
    made = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    return files | {f"{info}/{name}": b"" for name in made} | {"cloudmask/_version.py": b""}


def test_a_wheel_of_just_what_is_in_the_source_roots_is_right(tree: Path) -> None:
    assert "no others" in archives.check_wheel(wheel_of(tree), "1.0", tree)


@pytest.mark.parametrize(
    "name", ["cloudmask/scene.tif", "cloudmask/__pycache__/a.pyc", "tests/test_a.py", "a.pth"]
)
def test_a_wheel_with_anything_else_is_refused(tree: Path, name: str) -> None:
    with pytest.raises(CheckError, match=rf"too many \['{re.escape(name)}'\]"):
        archives.check_wheel({**wheel_of(tree), name: b""}, "1.0", tree)


def test_a_wheel_that_lacks_a_file_is_refused(tree: Path) -> None:
    files = wheel_of(tree)
    del files["cloudmask/models/one.onnx"]
    with pytest.raises(CheckError, match=r"missing \['cloudmask/models/one.onnx'\]"):
        archives.check_wheel(files, "1.0", tree)


def test_a_wheel_of_a_tree_without_package_data_is_refused(tree: Path) -> None:
    (tree / "udf/cloudmask/models/one.onnx").unlink()
    with pytest.raises(CheckError, match=r"the wheel has no \['cloudmask/models/\*\.onnx'\]"):
        archives.check_wheel(wheel_of(tree), "1.0", tree)


def test_a_wheel_with_another_content_is_refused(tree: Path) -> None:
    files = {**wheel_of(tree), "cloudmask/udf.py": b"other"}
    with pytest.raises(CheckError, match=r"\['udf/cloudmask/udf.py'\] are not as in the tree|udf"):
        archives.check_wheel(files, "1.0", tree)


def test_a_committed_image_is_refused_all_the_same(tree: Path) -> None:
    (tree / "udf/cloudmask/scene.tif").write_bytes(b"II*")
    with pytest.raises(CheckError, match=r"not to be there \['cloudmask/scene.tif'\]"):
        archives.check_wheel(wheel_of(tree), "1.0", tree)


def test_a_wheel_of_another_version_is_refused(tree: Path) -> None:
    with pytest.raises(CheckError, match=r"openeo_cloudmask-1\.0\.dist-info"):
        archives.check_wheel(wheel_of(tree), "1.1", tree)


def sdist_of(root: Path) -> archives.Files:
    files = {name: (root / name).read_bytes() for name in archives.tracked(root)}
    return files | {"PKG-INFO": b"", archives.VERSION_FILE: b""}


def test_a_source_archive_of_the_tree_is_right(tree: Path) -> None:
    assert "of the tree" in archives.check_sdist(sdist_of(tree), tree)


@pytest.mark.parametrize("name", ["notes.txt", ".git/config", "udf/cloudmask/a.pyc"])
def test_a_source_archive_with_anything_else_is_refused(tree: Path, name: str) -> None:
    with pytest.raises(CheckError, match=rf"too many \['{re.escape(name)}'\]"):
        archives.check_sdist({**sdist_of(tree), name: b""}, tree)


def test_a_source_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("a-1/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(CheckError, match="a-1/link: only files in one folder belong"):
        archives.read_sdist(path)


def test_a_source_archive_is_read_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("a-1/b/c.py")
        member.size = 1
        archive.addfile(member, BytesIO(b"x"))
    assert archives.read_sdist(path) == {"b/c.py": b"x"}


@pytest.mark.parametrize("bounds", [(0, 9), (11, 20)])
def test_an_archive_of_an_unlikely_size_is_refused(
    tmp_path: Path, bounds: tuple[int, int]
) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(b"0123456789")
    with pytest.raises(CheckError, match="10 bytes, must be"):
        archives.check_size(path, bounds)


def test_archives_that_differ_in_a_byte_are_not_reproducible(tmp_path: Path) -> None:
    paths = [tmp_path / name / "a.whl" for name in ("one", "two")]
    for content, path in enumerate(paths):
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a", str(content))
    with pytest.raises(CheckError, match="differ"):
        archives.check_twins(*paths)
    assert "sha256" in archives.check_twins(paths[0], paths[0])


def test_two_wheels_with_other_contents_are_told_apart() -> None:
    assert archives.check_contents({"a": b"1"}, {"a": b"1"}) == "1 files alike"
    with pytest.raises(CheckError, match=r"differ: \['a'\]"):
        archives.check_contents({"a": b"1"}, {"a": b"2"})


# -- changelog and citation -------------------------------------------------------------------


def test_our_changelog_and_citation_agree_on_what_is_being_made() -> None:
    version = "0.1.0.dev1+g0"
    assert "Unreleased" in check_papers(ROOT, version)


def test_a_changelog_is_read_newest_first() -> None:
    entries = changelog.parse(CHANGELOG)
    assert [(each.version, each.day, each.kinds, each.lines) for each in entries] == [
        ("Unreleased", None, (), 0),
        ("0.2.0", date(2026, 12, 1), ("Added",), 1),
    ]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("# Changelog", "# Changes", "first line"),
        ("0.2.0 - 2026-12-01", "0.2.0", "0.2.0 - None"),
        ("2026-12-01", "2026-13-01", "month must be"),
        ("0.2.0 - ", "soon - ", "Invalid version"),
        ("## 0.2.0 - ", "## 0.2.0 of the ", "write '## X.Y.Z"),
        ("### Added", "### News", "at most once"),
        ("- More.", "More.", "says nothing"),
        ("## Unreleased\n\n", "## Unreleased\n\n## Unreleased\n\n", "Unreleased must stand first"),
        ("### Added", "- x\n\n## 0.3.0 - 2026-12-02\n\n### Added", "newest first"),
    ],
)
def test_a_changelog_of_another_format_is_refused(old: str, new: str, why: str) -> None:
    with pytest.raises(CheckError, match=why):
        changelog.parse(CHANGELOG.replace(old, new))


@pytest.mark.parametrize("version", ["0.3.0", "0.2.1"])
def test_a_release_must_have_an_entry_of_its_own(version: str) -> None:
    with pytest.raises(CheckError, match=rf"has no '## {version} - "):
        changelog.entry_for(changelog.parse(CHANGELOG), version)


def test_what_is_no_release_must_have_a_line_under_unreleased() -> None:
    with pytest.raises(CheckError, match="'## Unreleased' with a line"):
        changelog.entry_for(changelog.parse(CHANGELOG), "0.3.0.dev1+gabc")
    more = CHANGELOG.replace("Unreleased\n", "Unreleased\n\n### Fixed\n\n- A.\n")
    assert changelog.entry_for(changelog.parse(more), "0.3.0.dev1+gabc").lines == 1


CITATION = (ROOT / "CITATION.cff").read_text("utf-8")
RELEASED = CITATION + "version: 0.2.0\ndate-released: 2026-12-01\n"
LAST = changelog.parse(CHANGELOG)[1]


def test_the_citation_of_a_release_has_its_version_and_its_day() -> None:
    assert citation.check(RELEASED, PYPROJECT["project"], LAST) == "valid; 0.2.0 of 2026-12-01"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version: 0.2.0", "version: 0.1.0", "version: '0.1.0'"),
        ("2026-12-01", "2026-12-02", "date-released"),
        ("cff-version: 1.2.0", "cff-version: 1.1.0", "cff-version"),
        ("license: MIT", "license: GPL-3.0-only", "license"),
        ("license: MIT", "licence: MIT", r"unknown \['licence'\]"),
        ("title: ", "abstract2: ", r"missing \['title'\]"),
        ("- name: The openeo-cloudmask developers", "- nobody: x", "author"),
        ("  - UDF\n", "  - ONNX\n", "different words"),
    ],
)
def test_a_citation_that_contradicts_is_refused(old: str, new: str, why: str) -> None:
    assert old in RELEASED
    with pytest.raises(CheckError, match=why):
        citation.check(RELEASED.replace(old, new), PYPROJECT["project"], LAST)


def test_the_citation_says_no_version_between_releases() -> None:
    with pytest.raises(CheckError, match=r"\['version', 'date-released'\] is of a release"):
        citation.check(RELEASED, PYPROJECT["project"], changelog.parse(CHANGELOG)[0])


# -- recipe and container ---------------------------------------------------------------------

RECIPE = (ROOT / "conda" / "recipe.yaml").read_text("utf-8")


def test_the_recipe_needs_what_the_project_needs() -> None:
    assert "as in pyproject.toml" in recipe.check(RECIPE, PYPROJECT)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("numpy >=2.0", "numpy >=1.26", r"missing \['numpy >=2.0'\]"),
        ("    - rasterio >=1.4\n", "", "rasterio"),
        ("    - pip\n", "    - pip\n    - cython\n", "too many"),
        ("cli:main", "cli:app", "entry_points"),
        ("license: MIT", "license: BSD", "license"),
    ],
)
def test_a_recipe_that_needs_something_else_is_refused(old: str, new: str, why: str) -> None:
    assert old in RECIPE
    with pytest.raises(CheckError, match=why):
        recipe.check(RECIPE.replace(old, new), PYPROJECT)


CONTAINERFILE = (ROOT / "container" / "Containerfile").read_text("utf-8")


def test_the_container_file_keeps_the_rules() -> None:
    assert "keep the rules" in container.check(CONTAINERFILE, ROOT)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("python:3.11-slim-bookworm", "python:latest", "pin a tag"),
        ("python:3.11-slim-bookworm", "python", "pin a tag"),
        ("USER 10001", "USER root", "not root"),
        ("USER 10001\n", "", "not root"),
        ("HEALTHCHECK", "LABEL a=", "no HEALTHCHECK"),
        ("container/healthcheck.py /opt", "container/absent.py /opt", "is not there"),
        ("COPY container/healthcheck.py", "COPY .", "name what is copied"),
        ("COPY container/healthcheck.py", "ADD container/healthcheck.py", "ADD is not allowed"),
        ("PYTHONUNBUFFERED=1", "API_KEY=abc", "may hold a secret"),
        ('CMD ["python", "/opt/cloudmask/healthcheck.py"]\nEND', "CMD python", "as a list"),
        ("RUN useradd", "RUN curl https://example.org && useradd", "nothing is fetched"),
    ],
)
def test_a_container_file_that_breaks_a_rule_is_refused(old: str, new: str, why: str) -> None:
    text = f"{CONTAINERFILE}END"
    assert old in text
    with pytest.raises(CheckError, match=why):
        container.check(text.replace(old, new).removesuffix("END"), ROOT)


def test_the_image_of_the_container_is_sent_nothing_but_what_it_copies() -> None:
    ignored = (ROOT / "container" / "Containerfile.dockerignore").read_text("utf-8")
    sent = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    copied = {
        line.rest.split()[0]
        for line in container.parse(CONTAINERFILE)
        if line.word == "COPY" and "--from=" not in line.rest
    }
    assert "*" in ignored.splitlines()
    assert sent == copied


def test_the_health_check_masks() -> None:
    words = [sys.executable, "-W", "error", str(ROOT / "container" / "healthcheck.py")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"openeo-cloudmask {cloudmask.__version__} masks\n"


# -- sets of dependencies ---------------------------------------------------------------------


def pins(name: str) -> dict[str, Requirement]:
    lines = (compat.CONSTRAINTS / f"{name}.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {each.name: each for each in found}


def test_the_oldest_set_is_the_lower_bounds_of_the_project() -> None:
    held = pins("oldest")
    for text in PYPROJECT["project"]["dependencies"]:
        wanted = Requirement(text)
        bound = next(each.version for each in wanted.specifier if each.operator == ">=")
        (pin,) = held[wanted.name].specifier
        assert pin.operator == "=="
        assert Version(pin.version) == Version(bound), wanted.name


def test_every_test_file_at_the_top_is_run_on_the_sets_or_says_why_not() -> None:
    names = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    assert names - set(compat.CORE) - set(compat.ELSEWHERE) == set()
    assert set(compat.CORE) - names == set()


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (compat.Count(compat.FLOOR, ("a::b",), Counter()), "1 tests failed: a::b"),
        (compat.Count(compat.FLOOR, (), Counter({"no idea": 1})), "not foreseen"),
        (compat.Count(compat.FLOOR - 1, (), Counter()), "only .* tests ran"),
    ],
)
def test_tests_that_failed_or_were_skipped_in_silence_are_told(
    count: compat.Count, why: str
) -> None:
    with pytest.raises(CheckError, match=why):
        compat.judge(count)


def test_tests_are_counted_with_the_reasons_for_which_they_were_skipped() -> None:
    skipped = Counter({"dask is not installed": 2})
    said = compat.judge(compat.Count(compat.FLOOR, (), skipped))
    assert said == f"{compat.FLOOR} passed, 2 skipped\n   2 x dask is not installed"


def test_pytests_own_report_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 0\n"
        "def test_left_out(): pytest.skip('dask')\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError\n"
        "def test_of_it(broken): pass\n",
        "utf-8",
    )
    (tmp_path / "test_b.py").write_text("import pytest\npytest.importorskip('openvino_2')\n")
    report = tmp_path / "report.xml"
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=False, capture_output=True)
    count = compat.read_count(report)
    whole = "could not import 'openvino_2': No module named 'openvino_2'"
    assert (count.passed, count.skipped) == (1, Counter({"dask": 1, whole: 1}))
    assert count.failed == ("test_a::test_bad", "test_a::test_of_it")
