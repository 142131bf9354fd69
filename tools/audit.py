"""Look for known holes in what is installed, and at the licences of all that an extra brings.

`make audit` runs it. What cannot be checked here is told and is no failure; `--require` makes it
one, for a machine that must be able to.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.checks import CheckError, Checks
from tools.licences import ACCEPTED, Kind, Tree, tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
NOT_CHECKED = "not reachable here, not checked"
LICENCE_FILE = re.compile(r"(?:.*[./])?(?:LICEN[CS]E|COPYING|NOTICE)[^/]*", re.IGNORECASE)
PATIENCE = 600
"""Seconds that the look into the advisories may take."""


def vulnerabilities(found: str, *, require: bool) -> str:
    """Read what pip-audit found.

    Where its database cannot be reached pip-audit says that nothing was found: it counts only
    what it could look up.

    Args:
        found: Its JSON.
        require: Whether it is a failure that nothing could be looked up.

    Raises:
        CheckError: A package has a known hole, or nothing could be looked up and `require`.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(found)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    seen = [each for each in packages if "vulns" in each]
    if not seen:
        return _not_checked(require=require)
    bad = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for each in seen
        for hole in each["vulns"]
    ]
    if bad:
        raise CheckError("\n".join([f"{len(bad)} known holes; raise the lower bounds", *bad]))
    left_out = sorted(each["name"] for each in packages if "vulns" not in each)
    rest = f"; not looked up: {', '.join(left_out)}" if left_out else ""
    return f"{len(seen)} packages, no known hole{rest}"


def _not_checked(*, require: bool) -> str:
    if require:
        raise CheckError(f"the database of advisories is {NOT_CHECKED}; run it where it is")
    return NOT_CHECKED


def ask_pip_audit() -> str:
    """Run pip-audit over this environment; give its JSON, or nothing if it could not ask.

    Raises:
        CheckError: It is not installed.
    """
    if not any(each.name == "pip_audit" for each in metadata.distributions()):
        raise CheckError("pip-audit is not installed: pip install --group audit")
    place = str(Path(metadata.__file__).parent)
    paths = [each for each in sys.path if "site-packages" in each] or [place]
    words = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(
            [*words, *(f"--path={each}" for each in paths)],
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def licences(found: Tree, *, require: bool = False) -> str:
    """Judge the licences of what an extra brings.

    Raises:
        CheckError: One forbids to be used beside MIT, or is not known, or `require` and a package
            is not here.
    """
    bad = {
        Kind.COPYLEFT: "leave it out, or make it a program of its own",
        Kind.UNKNOWN: "read its licence and enter it in tools/licences.py, BY_HAND",
    }
    said = [
        f"{each.package}: {each.text} ({each.kind.name.lower()}); {bad[each.kind]}"
        for each in found.licences
        if each.kind in bad and (found.extra, each.package) not in ACCEPTED
    ]
    if found.absent and require:
        said.append(f"{', '.join(found.absent)}: not installed, so not checked; install the extra")
    if said:
        raise CheckError("\n".join(said))
    noted = [f"{each.package} {each.text}" for each in found.licences if each.kind is Kind.NOTED]
    parts = [f"{len(found.licences)} packages"]
    parts += [f"weak copyleft: {', '.join(noted)}"] if noted else []
    accepted = [each for each in found.licences if each.kind is Kind.COPYLEFT]
    parts += [f"COPYLEFT, accepted: {each.package} {each.text}" for each in accepted]
    parts += [f"not installed, not checked: {', '.join(found.absent)}"] if found.absent else []
    return "; ".join(parts)


def without_licence(files: Mapping[str, bytes]) -> list[str]:
    """Name what lies in an archive of `cloudmask bundle` without the text of its licence.

    Args:
        files: Of the archive, by name.
    """
    described = json.loads(files["bundle.json"])
    lacking = [
        package
        for package in described["packages"]
        if not any(
            name.split("/")[0].partition("-")[0] == package.replace("-", "_")
            and LICENCE_FILE.fullmatch(name)
            for name in files
        )
    ]
    lacking += [
        each["name"]
        for each in described["models"]
        if not each["licence"] or not set(each["licence_texts"]) & set(files)
    ]
    wheels = [name for name in files if name.endswith(".whl")]
    return lacking + [name for name in wheels if not _has_licence(files[name])]


def _has_licence(wheel: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(wheel)) as opened:
        return any(map(LICENCE_FILE.fullmatch, opened.namelist()))


def bundle() -> str:
    """Put an archive together as `cloudmask bundle` does, and look for its licences.

    Raises:
        CheckError: Something in it lacks the text of its licence.
    """
    from cloudmask.registry import known
    from cloudmask_openeo.bundle.contents import Order, collect

    models = tuple(name for name, entry in known().items() if entry.installed)
    order = Order(models=models, output=Path("deps.zip"), onnxruntime="installed")
    made = collect(order)
    lacking = without_licence(made.files)
    if lacking:
        raise CheckError(f"without the text of a licence: {', '.join(lacking)}")
    return f"{len(made.packages)} packages, {len(models)} networks and our wheel with their texts"


def main(given: Sequence[str] | None = None) -> int:
    """Check all; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--require", action="store_true", help="fail if something is not checked")
    require = parser.parse_args(given).require
    checks = Checks(tell=lambda line: print(line, flush=True))
    checks.run("known holes", lambda: vulnerabilities(ask_pip_audit(), require=require))
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    for extra in ("", *project["optional-dependencies"]):
        found = tree(project, extra)
        judge = partial(licences, found, require=require)
        checks.run(f"licences: {extra or 'core'}", judge)
    checks.run("licences: archive", bundle)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
