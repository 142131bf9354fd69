"""The bank of a training, kept beside its results."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.training import cache
from cloudmask_export.training.recipe import Augment, Sources, Stage

if TYPE_CHECKING:
    from cloudmask_export.training.bank import Bank
    from cloudmask_export.training.recipe import Recipe


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, random_bank: Bank, make_bank: Any) -> list[str]:
    """Count how often a bank is built, without building one."""
    names: list[str] = []

    def build(recipe: Recipe, tell: Any) -> tuple[Bank, Bank]:
        names.append(recipe.name)
        tell("building")
        return random_bank, make_bank(np.empty((0, 4, 256, 256)), np.empty((0, 256, 256)))

    monkeypatch.setattr(cache, "build", build)
    return names


def test_a_bank_is_built_once_and_comes_back_as_it_was(
    recipe: Recipe, built: list[str], random_bank: Bank, tmp_path: Path
) -> None:
    told: list[str] = []
    cache.cached(recipe, tmp_path / "new", told.append)
    train, held = cache.cached(recipe, tmp_path / "new", told.append)
    assert (built, told) == (["small"], ["building"])
    for part in cache.PARTS:
        expected = getattr(random_bank, part)
        np.testing.assert_array_equal(getattr(train, part), expected, strict=True)
    assert len(held.images) == 0


def test_a_bank_of_which_a_file_is_gone_is_built_again(
    recipe: Recipe, built: list[str], tmp_path: Path
) -> None:
    cache.cached(recipe, tmp_path)
    next(tmp_path.glob("bank-*/held-sets.npy")).unlink()
    cache.cached(recipe, tmp_path)
    assert len(built) == 2


def test_an_older_bank_makes_room_and_nothing_half_made_stays(
    recipe: Recipe, built: list[str], tmp_path: Path
) -> None:
    cache.cached(recipe, tmp_path)
    cache.cached(replace(recipe, seed=1), tmp_path)
    assert len(built) == 2
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["bank-"]


def test_nothing_stays_of_a_bank_that_cannot_be_built(
    recipe: Recipe, built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        cache.cached(recipe, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": (Stage(classes=4, steps=1),)},
        {"augment": Augment(noise=0)},
        {"batch": 2},
        {"name": "other"},
        {"sources": Sources(simulated=2, shares=(0, 1, 0))},
    ],
)
def test_what_only_training_depends_on_leaves_the_bank(
    recipe: Recipe, changes: dict[str, Any]
) -> None:
    assert cache.fingerprint(replace(recipe, **changes)) == cache.fingerprint(recipe)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"bands": ("B03", "B02", "B04", "B08")},
        {"sources": Sources(simulated=3)},
    ],
)
def test_what_the_images_depend_on_tells_banks_apart(
    recipe: Recipe, changes: dict[str, Any]
) -> None:
    assert cache.fingerprint(replace(recipe, **changes)) != cache.fingerprint(recipe)


@pytest.fixture
def with_files(recipe: Recipe, tmp_path: Path) -> Recipe:
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "a_cloudy.tif").write_bytes(b"abc")
    os.utime(folder / "a_cloudy.tif", (1, 1))
    return replace(recipe, sources=Sources(pairs=(folder,)))


def change_size(path: Path) -> None:
    path.write_bytes(b"abcd")
    os.utime(path, (1, 1))


def change_content(path: Path) -> None:
    path.write_bytes(b"abd")


def change_neighbours(path: Path) -> None:
    path.with_name("b_cloudy.tif").touch()


@pytest.mark.parametrize("change", [change_size, change_content, change_neighbours])
def test_a_source_that_changes_tells_banks_apart(with_files: Recipe, change: Any) -> None:
    before = cache.fingerprint(with_files)
    change(with_files.sources.pairs[0] / "a_cloudy.tif")
    assert cache.fingerprint(with_files) != before


def test_sources_may_move(with_files: Recipe, tmp_path: Path) -> None:
    before = cache.fingerprint(with_files)
    moved = with_files.sources.pairs[0].rename(tmp_path / "x").rename(tmp_path / "y-parent")
    (tmp_path / "elsewhere").mkdir()
    there = moved.rename(tmp_path / "elsewhere" / "pairs")
    assert cache.fingerprint(replace(with_files, sources=Sources(pairs=(there,)))) == before


def test_other_code_makes_other_banks(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.fingerprint(recipe)
    original = Path.read_bytes

    def edited(path: Path) -> bytes:
        return original(path) + b"#" * (path.name == "clouds.py")

    monkeypatch.setattr(Path, "read_bytes", edited)
    assert cache.fingerprint(recipe) != before
