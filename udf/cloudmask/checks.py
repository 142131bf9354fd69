"""Checks of single option values, so that a wrong one is named where it is given."""

from __future__ import annotations

import math
import re
from operator import index

from cloudmask.errors import OptionError


def whole(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """Return a whole number as a Python integer, which cannot overflow as a numpy one can.

    Raises:
        OptionError: It is none (2.0 and True are none either), less than `least`, or more than
            `most`.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise OptionError(f"{name}={value!r}: must be a whole number")
    number = index(value)
    if number < least:
        raise OptionError(f"{name}={value!r}: must be {least} or more")
    if most is not None and number > most:
        raise OptionError(f"{name}={value!r}: must be {most} or less")
    return number


def finite(name: str, value: object) -> float:
    """Return a real number as a Python float.

    Raises:
        OptionError: It is none, NaN or infinite.
    """
    if isinstance(value, (str, bytes, bool)) or not hasattr(value, "__float__"):
        raise OptionError(f"{name}={value!r}: must be a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond what a float holds
        number = math.inf
    if not math.isfinite(number):
        raise OptionError(f"{name}={value!r}: must be finite")
    return number


def choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return one of a few words.

    Raises:
        OptionError: It is another.
    """
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(f"{name}={value!r}: choose one of {', '.join(allowed)}")
    return value


UNITS = {"MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_memory(text: str) -> int:
    """Read an amount such as 512MiB, 1.5 GiB or 2GB as bytes.

    Raises:
        OptionError: It is none, or without a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip(), re.IGNORECASE | re.ASCII)
    if found is None or found[2].upper() not in UNITS:
        raise OptionError(
            f"memory={text!r}: write a number and MiB, GiB, MB or GB, such as 512MiB or 1.5GiB"
        )
    return int(float(found[1]) * UNITS[found[2].upper()])
