"""The opcodes of a pickle, as values: which occur, how many, how long.

`pickletools.genops` of the standard library splits the stream and executes nothing. What torch
writes (protocol 2; 3 to 5 if asked to) is on the list below; all else is refused before it could
mean anything: text opcodes of protocol 0, extension codes, INST and OBJ, persistent ids as text.
"""

from __future__ import annotations

from pickletools import genops
from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PICKLE = 16 * 1024**2
"""Bytes of `data.pkl`. Structure only, as the values lie beside it: 0.16 MB for CloudS2Mask."""
MAX_OPCODES = 1_000_000
"""CloudS2Mask has 67,000. Each can cost some 200 bytes of memory and a microsecond."""
OPCODES = frozenset(
    {
        "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE",
        "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE",
        "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
        "EMPTY_SET", "ADDITEMS",
        "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET",
        "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID",
    }
)  # fmt: skip

_NEWEST = 5


def operations(pickle: bytes) -> Iterator[tuple[str, Any]]:
    """Split a pickle into the names of its opcodes and their arguments, executing nothing.

    Raises:
        WeightsError: at the first opcode that torch does not write, or if the pickle is cut off,
            too long, or goes on after its end.
    """
    if len(pickle) > MAX_PICKLE:
        raise WeightsError(
            f"data.pkl has {len(pickle)} bytes, at most {MAX_PICKLE} are read: it should hold the "
            "network's structure only"
        )
    position = -1
    try:
        for count, (opcode, argument, at) in enumerate(genops(pickle), start=1):
            _check(opcode.name, argument, count)
            position = at or 0
            yield opcode.name, argument
    except WeightsError:
        raise
    except ValueError as error:
        raise WeightsError(
            f"data.pkl breaks off or is damaged behind byte {position}: download the file again"
        ) from error
    if position + 1 != len(pickle):
        raise WeightsError(f"data.pkl ends at byte {position} and goes on: it is no pickle's end")


def _check(name: str, argument: Any, count: int) -> None:
    if name not in OPCODES or (name == "PROTO" and argument > _NEWEST):
        shown = f"{name} {argument}" if name == "PROTO" else name
        raise WeightsError(
            f"data.pkl has the pickle opcode {shown}, which torch does not write: nothing of it "
            "was executed; take the file from its authors, or resave it with torch.save"
        )
    if count > MAX_OPCODES:
        raise WeightsError(f"data.pkl has more than {MAX_OPCODES} opcodes: it is no network")
