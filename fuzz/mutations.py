"""Damage to bytes and to values, the same for the same random numbers.

Bytes: anywhere (`mutated`) or in the headers of a zip (`mutated_headers`). Values, as JSON has
them: `mutated_value`, and `jsoned` for their text, which holds what `json.dumps` cannot write.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

EXTREME = (b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80")

# -- bytes ----------------------------------------------------------------------------------


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes in one to four places, or cut them off."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_MUTATIONS)(made, rng)
    return bytes(made)


def _flip(made: bytearray, rng: random.Random) -> None:
    if made:
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)


def _replace(made: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(made) + 1)
    made[at : at + 4] = rng.choice(EXTREME)


def _insert(made: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(made) + 1)
    made[at:at] = rng.randbytes(rng.randrange(1, 9))


def _remove(made: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(made) + 1)
    del made[at : at + rng.randrange(1, 9)]


def _swap(made: bytearray, rng: random.Random) -> None:
    size = rng.randrange(1, 17)
    a, b = (rng.randrange(len(made) + 1) for _ in range(2))
    made[a : a + size], made[b : b + size] = made[b : b + size], made[a : a + size]


def _repeat(made: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(made) + 1)
    made[at:at] = made[at : at + rng.randrange(1, 65)] * rng.randrange(1, 9)


def _truncate(made: bytearray, rng: random.Random) -> None:
    del made[rng.randrange(len(made) + 1) :]


_MUTATIONS = (_flip, _flip, _replace, _insert, _remove, _swap, _repeat, _truncate)

# -- zip headers ----------------------------------------------------------------------------

_SIGNATURES = {b"PK\x03\x04": 30, b"PK\x01\x02": 46, b"PK\x05\x06": 22}
"""What a local header, an entry of the table of contents and the end of it begin with, and how
long each is (APPNOTE.TXT of PKWARE, 4.3)."""
_FIELDS = (0, 1, 2, 8, 9, 12, 14, 20, 45, 63, 93, 99, 0x0800, 0x0809, 0xA1ED, 0xFFFF)
"""Methods, versions, flags and modes that mean something, and some that do not."""


def mutated_headers(data: bytes, rng: random.Random) -> bytes:
    """Change one to three fields of a zip's headers, and nothing else."""
    made = bytearray(data)
    places = list(_headers(data))
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, length = rng.choice(places)
        at = start + rng.randrange(4, length - 1)
        value = rng.choice((rng.choice(_FIELDS), rng.randrange(1 << 16)))
        made[at : at + 2] = value.to_bytes(2, "little")
    return bytes(made)


def _headers(data: bytes) -> Iterator[tuple[int, int]]:
    """Find each header: where, and how long."""
    for signature, length in _SIGNATURES.items():
        at = data.find(signature)
        while at >= 0:
            yield at, length
            at = data.find(signature, at + 1)


# -- values ---------------------------------------------------------------------------------

DEEP = "@deep"
"""Stands for a list in a list in a list ..., which `json.dumps` cannot write."""
LONG = "@long"
"""Stands for a whole number of more digits than Python reads."""
_DEPTH = 100_000
_DIGITS = 5000

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 2.0, 2.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"),
    float("-inf"), 2**31, 2**63, -(2**63), 10**30, 10**400,
    "", "x", " ", "\0", "\n", "\ud800", "\u202e\u0301é", "0", "NaN", "../../x", "/x", "C:\\x",
    "a.b", "x" * 10_000, DEEP, LONG,
    [], {}, [None], [[]], [0, 0], ["x", "x"], [1, "x", None], {"": None}, {"x": {"y": []}},
    [0] * 3000,
)  # fmt: skip
"""What may stand where something else should."""


def mutated_value(value: Any, rng: random.Random, odd: Sequence[Any] = ODD) -> Any:
    """Change one to four places of nested lists and dictionaries; `value` stays as it is."""
    made = {"": copy.deepcopy(value)}
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # The outermost holder may have lost what it held.
        made = made or {"": copy.deepcopy(rng.choice(odd))}
        holder, key = rng.choice(list(_places(made)))
        rng.choice(_CHANGES)(holder, key, rng, odd)
    return made.get("", copy.deepcopy(rng.choice(odd)))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give each place as its container and the key or index in it, outermost first."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(min(len(holder), 20))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


def _make_odd(holder: Any, key: Any, rng: random.Random, odd: Sequence[Any]) -> None:
    holder[key] = copy.deepcopy(rng.choice(odd))


def _drop(holder: Any, key: Any, _: random.Random, __: Sequence[Any]) -> None:
    del holder[key]


def _wrap(holder: Any, key: Any, rng: random.Random, _: Sequence[Any]) -> None:
    holder[key] = rng.choice(([holder[key]], {"x": holder[key]}, [holder[key]] * 2))


def _retype(holder: Any, key: Any, _: random.Random, __: Sequence[Any]) -> None:
    old = holder[key]
    if isinstance(old, str):
        holder[key] = int(old) if old.isdecimal() and len(old) < _DIGITS else list(old[:50])
    elif isinstance(old, dict):
        holder[key] = list(old.values())
    else:
        holder[key] = old[:1] if isinstance(old, list) else str(old)[:50]


def _move(holder: Any, key: Any, rng: random.Random, odd: Sequence[Any]) -> None:
    """Put what stands here in another place of the same container, too."""
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    holder[rng.choice(keys)] = copy.deepcopy(holder[key])
    if isinstance(holder, dict) and rng.random() < 0.5:
        holder[str(rng.choice(odd))[:40]] = holder.pop(key)


def _count(holder: Any, key: Any, rng: random.Random, _: Sequence[Any]) -> None:
    if isinstance(holder[key], int | float):
        holder[key] = rng.choice((-1, 2, 3, 10)) * holder[key] + rng.randrange(-1, 2)


_CHANGES: tuple[Callable[[Any, Any, random.Random, Sequence[Any]], None], ...] = (
    _make_odd, _make_odd, _make_odd, _drop, _wrap, _retype, _move, _count,
)  # fmt: skip


def jsoned(value: Any) -> bytes:
    """Write a value as JSON, with what `DEEP` and `LONG` stand for."""
    text = json.dumps(value)
    for word, meant in ((DEEP, "[" * _DEPTH + "]" * _DEPTH), (LONG, "9" * _DIGITS)):
        text = text.replace(f'"{word}"', meant)
    return text.encode()


def mutated_json(items: Sequence[Any], rng: random.Random, odd: Sequence[Any] = ODD) -> bytes:
    """Damage the JSON text of one of several values: what it says, or its bytes."""
    item = rng.choice(items)
    if rng.random() < 0.7:
        return jsoned(mutated_value(item, rng, odd))
    return mutated(json.dumps(item).encode(), rng)
