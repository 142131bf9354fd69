"""Holding the conda recipe against pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from packaging.requirements import Requirement

from tools.checks import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OTHERWISE = {"matplotlib": "matplotlib-base"}
"""Names that conda-forge has for the packages of the index."""


def check(text: str, pyproject: Mapping[str, Any]) -> str:
    """Hold the recipe's requirements, command and texts against the project's.

    Raises:
        CheckError: They differ.
    """
    recipe, project = yaml.safe_load(text), pyproject["project"]
    needs = recipe["requirements"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    _same("run", needs["run"], [*map(conda, wanted), _PYTHON])
    build = pyproject["build-system"]["requires"]
    _same("host", needs["host"], [*map(conda, build), _PYTHON_MIN, "pip"])
    commands = [f"{name} = {place}" for name, place in project["scripts"].items()]
    _same("entry_points", recipe["build"]["python"]["entry_points"], commands)
    _same("license", [recipe["about"]["license"]], [project["license"]])
    _same("summary", [f"{recipe['about']['summary']}:"], [_start(project["description"])])
    return f"{len(wanted)} requirements as in pyproject.toml"


_PYTHON, _PYTHON_MIN = "python >=${{ python_min }}", "python ${{ python_min }}.*"


def conda(requirement: str) -> str:
    """Write a requirement as conda does: "numpy >=2.0"."""
    found = Requirement(requirement)
    name = OTHERWISE.get(found.name, found.name).lower()
    return f"{name} {found.specifier}".strip()


def _start(text: str) -> str:
    return text.partition(":")[0] + ":"


def _same(what: str, there: Iterable[str], wanted: Iterable[str]) -> None:
    more, less = sorted(set(there) - set(wanted)), sorted(set(wanted) - set(there))
    if more or less:
        raise CheckError(f"conda/recipe.yaml: {what}: too many {more}, missing {less}")
