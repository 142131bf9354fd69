"""Tables of TOML as frozen values, and back: types are those of the values' own fields."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from dataclasses import Field

T = TypeVar("T")

_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotation marks",
    Path: "a path in quotation marks",
}
"""How a person would call a type."""


def read(kind: type[T], table: Mapping[str, Any], where: str, base: Path, **given: Any) -> T:
    """Make a value of a table.

    Args:
        kind: A frozen dataclass, whose fields are the keys.
        table: What stands in the file.
        where: How a message names the table, "[sources]" or "" for the top.
        base: Folder that relative paths start from.
        **given: Fields that are read already.

    Raises:
        ExportError: A key is unknown, missing, or has a value of another type or out of range.
    """
    own = {each.name: each for each in fields(kind) if each.name not in given}  # type: ignore[arg-type]
    refuse_unknown(table, own, where)
    missing = [name for name, each in own.items() if name not in table and _needed(each)]
    if missing:
        raise ExportError(f"{_key(where, missing[0])} is missing")
    hints = get_type_hints(kind)
    found = {
        name: _value(_key(where, name), hints[name], value, base) for name, value in table.items()
    }
    return kind(**given, **found)


def refuse_unknown(table: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Refuse a key that means nothing, which may be a slip of the pen.

    Raises:
        ExportError: There is one; names the nearest known key.
    """
    for name in table:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ExportError(
                f"{_key(where, name)}: there is no such key; {hint}Keys here: {', '.join(known)}"
            )


def written(value: object, skip: frozenset[str] = frozenset()) -> Iterator[str]:
    """Write the fields of a value as lines of TOML, all of them but those to skip."""
    for each in fields(value):  # type: ignore[arg-type]
        if each.name not in skip:
            yield f"{each.name} = {_as_text(getattr(value, each.name))}"


def _needed(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _key(where: str, name: str) -> str:
    return f"{where} {name}" if where else name


def _value(key: str, kind: Any, given: Any, base: Path) -> Any:
    if get_origin(kind) is tuple:
        return _list(key, get_args(kind), given, base)
    if get_origin(kind) is Literal:
        return _choice(key, get_args(kind), given)
    if get_origin(kind) is UnionType:
        return _value(key, get_args(kind)[0], given, base)
    if kind is Path and isinstance(given, str):
        return (base / Path(given).expanduser()).resolve()
    if kind is float and type(given) is int:
        return float(given)
    # bool is an int to Python, not to a person.
    if type(given) is not kind or given in (float("inf"), -float("inf")) or given != given:  # noqa: PLR0124 - NaN
        raise ExportError(f"{key} = {_shown(given)}: {_WORDS[kind]} is needed")
    return given


def _list(key: str, kinds: tuple[Any, ...], given: Any, base: Path) -> tuple[Any, ...]:
    endless = kinds[-1] is Ellipsis
    if not isinstance(given, list):
        raise ExportError(f"{key} = {_shown(given)}: a list is needed, [...]")
    if not endless and len(given) != len(kinds):
        raise ExportError(f"{key} = {_shown(given)}: a list of {len(kinds)} is needed")
    each_kind = [kinds[0]] * len(given) if endless else kinds
    return tuple(
        _value(key, kind, each, base) for kind, each in zip(each_kind, given, strict=True)
    )


def _choice(key: str, allowed: tuple[Any, ...], given: Any) -> Any:
    if given not in allowed:
        raise ExportError(
            f"{key} = {_shown(given)}: choose one of {', '.join(map(_shown, allowed))}"
        )
    return given


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line is enough


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_text, value))}]"
    if isinstance(value, str | Path):
        # JSON's escapes are TOML's too; DEL alone may stand in JSON and not in TOML.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
