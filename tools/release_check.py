"""Look at a release before it is one: `make release-check`.

Builds both archives twice, holds them against the tree and against each other, installs each into
a bare virtual environment, and runs the demo and a smoke test there. Needs git, and a package
index. Each check goes on after one that failed; the exit status is 1 if one did.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from tools.checks import CheckError, Checks
from tools.release import archives, changelog, citation
from tools.venv import Venv, must

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
INSTALLED = {"both": ("wheel", "source"), "wheel": ("wheel",), "none": ()}
"""What to install, to the archives that are."""
HEAVY = ("rasterio", "dask", "torch", "openeo", "matplotlib", "typer")

SMOKE = f"""
import sys
import numpy as np, xarray as xr, cloudmask
from cloudmask.testing import fake_spec, identity
assert cloudmask.__file__.startswith(sys.prefix), cloudmask.__file__
cube = xr.DataArray(np.random.default_rng(0).random((4, 40, 40)), dims=("bands", "y", "x"),
                    coords={{"bands": ["B02", "B03", "B04", "B08"]}})
mask = cloudmask.mask_clouds(cube, identity(fake_spec()), preset="reflectance")
assert mask.shape == (2, 40, 40), mask.shape
own = cloudmask.mask_clouds(cube, preset="reflectance")
assert own.attrs["cloudmask_model"] == "cloudmask-s2-small-4b", own.attrs
loaded = set({HEAVY!r}) & set(sys.modules)
assert not loaded, loaded
print(cloudmask.__version__)
"""


class Release:
    """The archives of one tree, and where they are tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def wheel(self) -> Path:
        """The wheel that is to be handed out."""
        return _only(self.folder / "one", "*.whl")

    @property
    def sdist(self) -> Path:
        """The source archive that is to be handed out."""
        return _only(self.folder / "one", "*.tar.gz")

    @property
    def version(self) -> str:
        """As the wheel's name says it."""
        return self.wheel.name.split("-")[1]

    def build(self) -> str:
        """Build both archives, the wheel from the source archive, as an index would have it."""
        _build(ROOT, self.folder / "one")
        return f"{self.wheel.name}, {self.sdist.name}"

    def build_again(self) -> str:
        """Build both again, the same bytes."""
        _build(ROOT, self.folder / "two")
        for path in (self.wheel, self.sdist):
            archives.check_twins(path, self.folder / "two" / path.name)
        return "both archives are the same, byte by byte, when built again"

    def build_from_tree(self) -> str:
        """Build the wheel from the tree, with the contents of the one from the source archive."""
        _build(ROOT, self.folder / "direct", "--wheel")
        direct = _only(self.folder / "direct", "*.whl")
        one, other = (archives.read_wheel(path) for path in (self.wheel, direct))
        return archives.check_contents(one, other)

    def metadata(self) -> str:
        """Let twine look, as an index does."""
        words = ["-m", "twine", "check", "--strict", self.wheel, self.sdist]
        must([sys.executable, *map(str, words)], self.folder)
        return "twine finds nothing amiss"

    def version_is_known(self) -> str:
        """See that git said the version, and that a release has no changes beside it."""
        found = Version(self.version)
        if found.is_devrelease and not found.local:
            raise CheckError(f"{found}: git did not say the version; build in a clone with git")
        if found.local and ".d20" in f".{found.local}":
            return f"{found}, not a release: the tree is not as committed"
        return f"{found}{'' if not found.is_devrelease else ', not a release'}"

    def install(self, what: Path, name: str) -> str:
        """Install with the core's requirements alone, and mask."""
        venv = Venv(self.folder / name)
        venv.install(what)
        said = must([venv.python, "-W", "error", "-c", SMOKE], self.folder).strip()
        there = sorted(set(HEAVY) & set(venv.packages()))
        if said != self.version or there:
            raise CheckError(f"says version {said}, not {self.version}; has {there}")
        return f"{said} masks with the core alone"

    def demo(self, what: Path, name: str) -> str:
        """Add the extra `local`, and run the command."""
        venv = Venv(self.folder / f"{name}-local")
        venv.install(f"openeo-cloudmask[local] @ {what.as_uri()}")
        command, place = venv.command("cloudmask"), self.folder / f"{name}-demo"
        said = must([command, "--version"], self.folder).strip()
        if said != f"cloudmask {self.version}" or "mask" not in must(
            [command, "--help"], self.folder
        ):
            raise CheckError(f"--version says {said!r}; the version is {self.version}")
        must([command, "demo", "--output", place, "--size", "256"], self.folder)
        made = {path.name for path in place.iterdir()}
        lacking = {"scene.tif", "mask.tif", "mask.qml", "mask.tif.aux.xml", "demo.png"} - made
        if lacking:
            raise CheckError(f"cloudmask demo left no {sorted(lacking)}")
        shutil.rmtree(venv.folder)
        return f"{said}: --help, and the demo with {len(made)} files"


def _build(root: Path, to: Path, *how: str) -> None:
    """Build, dated by the last commit."""
    words = ["git", "log", "-1", "--format=%ct"]
    day = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout
    os.environ["SOURCE_DATE_EPOCH"] = day.strip()
    must([sys.executable, "-m", "build", *how, "--outdir", str(to), str(root)], root)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise CheckError(f"{folder.name}: {len(found)} files {pattern}, there must be one")
    return found[0]


def check_papers(root: Path, version: str) -> str:
    """Check changelog and citation, and that they agree.

    Raises:
        CheckError: See `changelog.parse`, `changelog.entry_for`, `citation.check`.
    """
    entries = changelog.parse((root / "CHANGELOG.md").read_text("utf-8"))
    entry = changelog.entry_for(entries, version)
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    text = (root / "CITATION.cff").read_text("utf-8")
    said = citation.check(text, project["project"], entry)
    return f"CHANGELOG.md: {entry.version}, {entry.lines} lines; CITATION.cff: {said}"


def check_archives(checks: Checks, release: Release) -> None:
    """Check what was built, without installing it."""
    checks.run("version", release.version_is_known)
    checks.run("metadata", release.metadata)
    checks.run(
        "wheel: contents",
        lambda: archives.check_wheel(archives.read_wheel(release.wheel), release.version, ROOT),
    )
    checks.run(
        "source archive: contents",
        lambda: archives.check_sdist(archives.read_sdist(release.sdist), ROOT),
    )
    checks.run("wheel: size", lambda: archives.check_size(release.wheel, archives.WHEEL_SIZE))
    checks.run(
        "source archive: size", lambda: archives.check_size(release.sdist, archives.SDIST_SIZE)
    )
    checks.run("changelog and citation", lambda: check_papers(ROOT, release.version))
    checks.run("reproducible", release.build_again)
    checks.run("wheel of the tree, of the source archive", release.build_from_tree)


def main(given: Sequence[str] | None = None) -> int:
    """Check all; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--install", choices=list(INSTALLED), default="both", help="what to try (default: both)"
    )
    order = parser.parse_args(given)
    checks = Checks(tell=lambda line: print(line, flush=True))
    with tempfile.TemporaryDirectory(prefix="release-") as scratch:
        release = Release(Path(scratch))
        if checks.run("build", release.build):
            check_archives(checks, release)
            archive = {"wheel": release.wheel, "source": release.sdist}
            for name in INSTALLED[order.install]:
                checks.run(f"{name}: core", partial(release.install, archive[name], name))
                checks.run(f"{name}: demo", partial(release.demo, archive[name], name))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
