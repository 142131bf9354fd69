"""One name for the networks of an ensemble: `clouds2mask-20m` for all that are installed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask.registry import Entry


def members(name: str, known: Mapping[str, Entry]) -> tuple[Entry, ...]:
    """Find the networks that a name means.

    A network's own name goes first. A family's name means all its members that are installed,
    in float32; those of 16 or 8 bits are a family of their own (`clouds2mask-20m-int8`), so that
    nobody gets them who does not say so.

    Args:
        name: Of a network or a family.
        known: Networks by name, as `cloudmask.registry.known` gives them.

    Returns:
        One network, or a family's sorted by name; none if neither is called so.

    Raises:
        ModelError: There is such a family, but none of it is installed.
    """
    if name in known:
        return (known[name],)
    family = sorted(
        (each for each in known.values() if name and each.spec.family == name),
        key=lambda entry: entry.spec.name,
    )
    installed = tuple(each for each in family if each.installed)
    if family and not installed:
        ways = "; ".join(f"{each.spec.name}: {each.how_to_install}" for each in family)
        raise ModelError(f"of the family {name!r} nothing is installed: {ways}")
    return installed
