"""What is promised stable, gathered from the code and compared with the committed snapshot.

`python -m tools.stability` tells what differs, `--update` takes in what is new, and what was
changed or removed only with `--break`, which docs/stability.md says when to use.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "tests" / "data" / "stability.json"

Promises = dict[str, dict[str, str]]
"""Section -> what is promised -> how it is."""

PLACES = ("cloudmask", "cloudmask_openeo", "cloudmask.errors")
"""Modules whose public names are promised."""


def gather() -> Promises:
    """Look at the code as it is."""
    return {
        "python": dict(_python()),
        "command": dict(_command()),
        "context": dict(_context()),
        "layouts": dict(_layouts()),
        "words": dict(_words()),
        "results": dict(_results()),
        "processes": dict(_processes()),
        "environment": dict(_environment()),
    }


def _python() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        module = import_module(place)
        for name in getattr(module, "__all__", None) or _own_names(module):
            yield from _described(f"{place}.{name}", getattr(module, name))
    accessor = import_module("cloudmask.accessor").CloudmaskAccessor
    for name, method in inspect.getmembers(accessor, inspect.isfunction):
        if not name.startswith("_"):
            yield from _signature(f"cube.cloudmask.{name}", method)


def _own_names(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def _described(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if inspect.isclass(value) and issubclass(value, Exception):
        # What is caught today must be caught tomorrow.
        yield name, "error"
        for base in value.__mro__[1:-3]:
            yield f"{name} is {base.__name__}", "yes"
    elif callable(value):
        yield name, "class" if inspect.isclass(value) else "function"
        yield from _signature(name, value)
        if is_dataclass(value):
            yield from ((f"{name}.{field.name}", "field") for field in fields(value))
    elif isinstance(value, dict):
        yield name, "mapping"
        yield from ((f"{name}[{key!r}]", "entry") for key in value)
    else:
        yield name, type(value).__name__


def _signature(name: str, function: Any) -> Iterator[tuple[str, str]]:
    parameters = [
        each for each in inspect.signature(function).parameters.values() if each.name != "self"
    ]
    for place, each in enumerate(parameters, start=1):
        by_name = each.kind in (each.KEYWORD_ONLY, each.VAR_KEYWORD)
        need = "required" if _is_required(each) else "optional"
        yield f"{name}({each.name})", f"{'by name' if by_name else f'place {place}'}, {need}"


def _is_required(parameter: inspect.Parameter) -> bool:
    variable = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    return parameter.default is parameter.empty and not variable


def _command() -> Iterator[tuple[str, str]]:
    import typer

    from cloudmask.local.cli import app

    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield name, "command"
        for each in command.params:
            words = [*each.opts, *each.secondary_opts]
            shown = words if each.param_type_name == "option" else [each.name]
            kind = "flag" if getattr(each, "is_flag", False) else "value"
            kind = kind if each.param_type_name == "option" else "argument"
            need = ", required" if each.required else ""
            for word in shown:
                yield f"{name} {word}", f"{kind}{need}"
            for choice in getattr(getattr(each, "type", None), "choices", ()):
                yield f"{name} {shown[0]} {getattr(choice, 'value', choice)}", "choice"


def _context() -> Iterator[tuple[str, str]]:
    from cloudmask.context import Context

    for field in fields(Context):
        yield field.name, json.dumps(field.default)


def _layouts() -> Iterator[tuple[str, str]]:
    from cloudmask.classes import CLASSES, NO_DATA
    from cloudmask.udf import LABELS

    for layout, labels in LABELS.items():
        yield layout, " ".join(labels)
    for each in CLASSES:
        yield f"class {each.name}", str(each.code)
    yield "class no data", str(NO_DATA)


def _words() -> Iterator[tuple[str, str]]:
    from cloudmask.engines import PROVIDERS
    from cloudmask.local.cli import StitchName

    yield from ((f"provider {name}", "word") for name in PROVIDERS)
    yield from ((f"stitch {name}", "word") for name in StitchName)


def _results() -> Iterator[tuple[str, str]]:
    from cloudmask.local.statistics import COLUMNS

    for name, kind in COLUMNS.items():
        yield f"statistics.csv {name}", kind


def _processes() -> Iterator[tuple[str, str]]:
    import cloudmask_openeo.specs

    for path in sorted(Path(cloudmask_openeo.specs.__path__[0]).glob("*.json")):
        process = json.loads(path.read_text("utf-8"))
        yield process["id"], "process"
        for each in process["parameters"]:
            need = "optional" if each.get("optional") else "required"
            yield f"{process['id']}({each['name']})", need


def _environment() -> Iterator[tuple[str, str]]:
    from cloudmask.context import DEFAULT_FOLDER
    from cloudmask.registry import FOLDER, HOME
    from cloudmask_export.evaluation.predictors.cloudless import PEER_PYTHON

    yield HOME, "folder of the user's own networks; empty for none"
    yield PEER_PYTHON, "interpreter that has the peers' packages"
    yield "XDG_DATA_HOME", "where openeo-cloudmask/models is, without CLOUDMASK_MODELS"
    yield "OMP_NUM_THREADS", "threads of a network"
    yield FOLDER, "folder on sys.path that holds networks"
    yield DEFAULT_FOLDER, "folder into which a dependency archive is unpacked"


def broken(promised: Promises, found: Promises) -> list[str]:
    """List what was promised and is so no more; what is new and optional breaks nothing."""
    lines = []
    for section, wanted in promised.items():
        there = found.get(section, {})
        lines += [f"{section}: {key} is gone" for key in wanted if key not in there]
        lines += [
            f"{section}: {key} was {was!r}, is {there[key]!r}"
            for key, was in wanted.items()
            if key in there and there[key] != was
        ]
        lines += [
            f"{section}: {key} is new and required"
            for key in _new(wanted, there)
            if "required" in there[key] and _owner(key) in wanted
        ]
    return lines


def _new(wanted: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [key for key in there if key not in wanted]


def _owner(key: str) -> str:
    """Name the function of a parameter, the command of an option."""
    return key.partition("(")[0] if "(" in key else key.partition(" ")[0]


def added(promised: Promises, found: Promises) -> list[str]:
    """List what is there and promised by nobody yet."""
    return [
        f"{section}: {key}"
        for section, there in found.items()
        for key in _new(promised.get(section, {}), there)
    ]


def read() -> Promises:
    """Read the committed snapshot."""
    found: Promises = json.loads(SNAPSHOT.read_text("utf-8"))
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Compare, and write the snapshot anew if asked to; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="promise what is new, too")
    parser.add_argument(
        "--break", action="store_true", dest="may_break", help="take back what is no more"
    )
    order = parser.parse_args(given)
    promised, found = read() if SNAPSHOT.is_file() else {}, gather()
    gone = broken(promised, found)
    for line in [*gone, *(f"new, {each}" for each in added(promised, found))]:
        print(line)
    if gone and not order.may_break:
        return 1
    if order.update:
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
