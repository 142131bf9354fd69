from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudmask.errors import ModelError
from cloudmask.families import members
from cloudmask.registry import Entry
from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from pathlib import Path


def entry(folder: Path, name: str, family: str, *, installed: bool = True) -> Entry:
    path = folder / f"{name}.onnx"
    if installed:
        path.touch()
    spec = ModelSpec(
        name=name, family=family, bands=("B02",), classes=(0, 1), tile=8, overlap=0, file=path.name
    )
    return Entry(spec, path, folder)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, Entry]:
    """Two of a family, one more of it that is not installed, one of 8 bits, and a stranger."""
    entries = [
        entry(tmp_path, "nets-b", "nets"),
        entry(tmp_path, "nets-a", "nets"),
        entry(tmp_path, "nets-c", "nets", installed=False),
        entry(tmp_path, "nets-a-int8", "nets-int8"),
        entry(tmp_path, "stranger", ""),
        entry(tmp_path, "far-a", "far", installed=False),
    ]
    return {each.spec.name: each for each in entries}


def names(name: str, known: dict[str, Entry]) -> list[str]:
    return [each.spec.name for each in members(name, known)]


def test_a_family_is_all_that_is_installed_of_it_by_name(known: dict[str, Entry]) -> None:
    assert names("nets", known) == ["nets-a", "nets-b"]


def test_networks_of_fewer_bits_come_by_a_name_that_says_so_only(known: dict[str, Entry]) -> None:
    assert names("nets-int8", known) == ["nets-a-int8"]


def test_a_networks_own_name_is_that_network_alone(known: dict[str, Entry]) -> None:
    assert names("nets-b", known) == ["nets-b"]


def test_a_networks_own_name_goes_before_a_familys(
    known: dict[str, Entry], tmp_path: Path
) -> None:
    known["nets"] = entry(tmp_path, "nets", "others")
    assert members("nets", known) == (known["nets"],)


def test_a_network_that_is_not_installed_is_found_by_its_own_name(known: dict[str, Entry]) -> None:
    assert names("nets-c", known) == ["nets-c"]


@pytest.mark.parametrize("name", ["", "net", "nets-fp16", "nets-a-"])
def test_nothing_else_is_meant(name: str, known: dict[str, Entry]) -> None:
    assert members(name, known) == ()


def test_a_family_of_which_nothing_is_installed_says_how_to_get_it(
    known: dict[str, Entry],
) -> None:
    with pytest.raises(
        ModelError, match=r"family 'far' nothing is installed: far-a: put far-a\.o"
    ):
        members("far", known)
