"""Which checkpoints a training goes on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.training.checkpoint import VERSION, Facts, facts, refuse_other
from cloudmask_export.training.config import Card, Config, as_text
from cloudmask_export.training.recipe import Augment, Sources, Stage

if TYPE_CHECKING:
    from cloudmask_export.training.recipe import Recipe

PATH = Path("folder/checkpoint.pt")


def state(recipe: Recipe, **other: Any) -> dict[str, Any]:
    return {
        "version": VERSION, "config": as_text(Config(recipe)), "data": "d1", "stage": 1, "step": 3,
        "losses": [0.5], "seconds": 1.5, **other,
    }  # fmt: skip


def refuse(recipe: Recipe, data: str = "d1", **changes: Any) -> None:
    before = facts(PATH, state(recipe))
    refuse_other(PATH, before, Config(replace(recipe, **changes)), data)


def test_what_it_says_is_read(recipe: Recipe) -> None:
    found = facts(PATH, state(recipe))
    assert found == Facts(
        config=Config(recipe), data="d1", stage=1, step=3, losses=(0.5,), seconds=1.5
    )


@pytest.mark.parametrize("other", [None, [], {}, {"version": VERSION}, {"net": 1}])
def test_something_else_is_refused(other: object) -> None:
    with pytest.raises(
        ExportError, match=r"checkpoint\.pt: is no checkpoint of `cloudmask train`"
    ):
        facts(PATH, other)


def test_one_of_another_version_is_refused(recipe: Recipe) -> None:
    with pytest.raises(ExportError, match="has the format 99"):
        facts(PATH, state(recipe, version=99))


def test_one_of_the_same_recipe_and_data_will_do(recipe: Recipe) -> None:
    refuse(recipe)


def test_how_often_it_is_saved_and_what_is_said_of_it_may_change(recipe: Recipe) -> None:
    refuse(recipe, every=7, name="other")
    found = facts(PATH, state(recipe))
    refuse_other(PATH, found, Config(recipe, Card(title="New", licence="MIT")), "d1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "smp-regnety_004-4"}, "architecture = slim-regnety_002-4, .* smp-"),
        ({"architecture": "smp-regnety_004-4", "batch": 3}, "architecture = slim-"),
        ({"batch": 3}, "made with batch = 16, the config now says 3"),
        ({"seed": 5}, "made with seed = 0"),
        ({"bands": ("B02", "B03", "B04", "B8A")}, "made with bands"),
        ({"augment": Augment(noise=0)}, "made with augment"),
        ({"stages": (Stage(classes=4, steps=7),)}, "made with stages"),
        ({"sources": Sources(simulated=9)}, "made with sources"),
    ],
)
def test_one_of_another_recipe_is_refused_by_what_differs(
    recipe: Recipe, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        refuse(recipe, **changes)


def test_one_of_other_data_is_refused(recipe: Recipe) -> None:
    with pytest.raises(ExportError, match=r"was made of other data: files of the sources"):
        refuse(recipe, data="d2")


def test_the_folders_of_the_data_may_have_moved(recipe: Recipe) -> None:
    there, here = (
        replace(recipe, sources=Sources(pairs=(Path(folder) / "pairs",)))
        for folder in ("/there", "/here")
    )
    refuse_other(PATH, facts(PATH, state(there)), Config(here), "d1")
