"""What is in a wheel and in a source archive, held against what is committed."""

from __future__ import annotations

import fnmatch
import subprocess
import tarfile
import tomllib
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tools.checks import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ROOMS = ("udf/", "openeo_process/", "export/")
"""Source roots: what lies in them is in the wheel, without this part of its path."""
VERSION_FILE = "udf/cloudmask/_version.py"
"""Made when the package is built, never committed."""
NEEDED = (
    "cloudmask/models/*.onnx", "cloudmask/models/*.json", "cloudmask/py.typed", "cloudmask/udf.py",
    "cloudmask/local/report/*.html", "cloudmask_export/skeletons/*.onnx",
    "cloudmask_export/families/*.toml", "cloudmask_export/families/*.json",
    "cloudmask_export/evaluation/page/*.html", "cloudmask_export/py.typed",
    "cloudmask_openeo/specs/*.json", "cloudmask_openeo/titiler/*.json",
    "cloudmask_openeo/processes/sentinel2_cloud_mask/*.json", "cloudmask_openeo/py.typed",
)  # fmt: skip
"""Package data, of which at least one file must be in the wheel, whatever is committed."""
STRANGE = (
    "*.pyc", "*__pycache__*", "*.tif", "*.SAFE*", "*.pth", "*.pkl", "*.safetensors", "*.nc",
    "*.zarr*", "*/.*", "*.log", "*.aux.xml",
)  # fmt: skip
"""Caches, images and weights, which are in no archive, even if they are committed."""
WHEEL_SIZE = (3 * 2**20, 8 * 2**20)
"""Least and most bytes of a wheel: with the package's networks, and nothing as large besides."""
SDIST_SIZE = (4 * 2**20, 16 * 2**20)

Files = dict[str, bytes]


def read_wheel(path: Path) -> Files:
    """Read the files of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_sdist(path: Path) -> Files:
    """Read the files of a source archive, without the folder that holds them all.

    Raises:
        CheckError: It holds something else than files in one folder.
    """
    found: Files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            top, _, inside = member.name.partition("/")
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is None or top != path.name.removesuffix(".tar.gz"):
                raise CheckError(f"{path.name}: {member.name}: only files in one folder belong")
            found[inside] = stream.read()
    return found


def tracked(root: Path) -> list[str]:
    """List the files of the working tree that git does not ignore."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    return sorted({name for name in done.stdout.split("\0") if name and (root / name).is_file()})


def check_wheel(files: Files, version: str, root: Path) -> str:
    """Hold a wheel's files against the source roots, byte by byte.

    Raises:
        CheckError: A file is missing, too many, or another one.
    """
    info = f"openeo_cloudmask-{version}.dist-info"
    wanted = {_in_wheel(name): root / name for name in tracked(root) if name.startswith(ROOMS)}
    made = {_in_wheel(VERSION_FILE)} | {
        f"{info}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    _same("the wheel", set(files), set(wanted) | made)
    _unlike("the wheel", files, wanted)
    lacking = [pattern for pattern in NEEDED if not fnmatch.filter(files, pattern)]
    if lacking:
        raise CheckError(f"the wheel has no {lacking}")
    return f"{len(files)} files, those of {', '.join(ROOMS)} and no others"


def check_sdist(files: Files, root: Path) -> str:
    """Hold a source archive's files against the tree.

    Raises:
        CheckError: A file is missing, too many, or another one.
    """
    included = tuple(_included(root))
    wanted = {
        name: root / name
        for name in tracked(root)
        if name.startswith(included) or name == "pyproject.toml"
    }
    # hatchling adds .gitignore, so that building from the archive leaves out the same.
    made = {"PKG-INFO", VERSION_FILE} | ({".gitignore"} & set(files))
    _same("the source archive", set(files), set(wanted) | made)
    _unlike("the source archive", files, wanted)
    return f"{len(files)} files, all of them of the tree"


def check_size(path: Path, bounds: tuple[int, int]) -> str:
    """Tell the size of an archive.

    Raises:
        CheckError: It is out of bounds.
    """
    least, most = bounds
    size = path.stat().st_size
    if not least <= size <= most:
        raise CheckError(f"{path.name}: {size} bytes, must be {least} to {most}")
    return f"{size / 2**20:.1f} MiB"


def check_twins(one: Path, other: Path) -> str:
    """Hold two archives against each other, byte by byte.

    Raises:
        CheckError: They differ.
    """
    digests = {path: sha256(path.read_bytes()).hexdigest() for path in (one, other)}
    if one.name != other.name or len(set(digests.values())) != 1:
        raise CheckError(f"{one} and {other} differ: {list(digests.values())}")
    return f"{one.name}: sha256 {digests[one]}"


def check_contents(one: Files, other: Files) -> str:
    """Hold the files of two archives against each other.

    Raises:
        CheckError: They differ.
    """
    _same("one", set(one), set(other))
    unlike = sorted(name for name in one if one[name] != other[name])
    if unlike:
        raise CheckError(f"differ: {unlike}")
    return f"{len(one)} files alike"


def _included(root: Path) -> list[str]:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    listed: list[str] = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    return [f"{name}/" if (root / name).is_dir() else name for name in listed]


def _in_wheel(name: str) -> str:
    return name.partition("/")[2]


def _same(what: str, there: Iterable[str], wanted: Iterable[str]) -> None:
    more, less = sorted(set(there) - set(wanted)), sorted(set(wanted) - set(there))
    strange = sorted(
        {
            name
            for pattern in STRANGE
            for name in fnmatch.filter(there, pattern)
            if name != ".gitignore" and not name.startswith("tests/")
        }
    )
    if more or less or strange:
        raise CheckError(f"{what}: too many {more}, missing {less}, not to be there {strange}")


def _unlike(what: str, files: Files, wanted: dict[str, Path]) -> None:
    unlike = sorted(name for name, path in wanted.items() if files[name] != path.read_bytes())
    if unlike:
        raise CheckError(f"{what}: {unlike} are not as in the tree")
