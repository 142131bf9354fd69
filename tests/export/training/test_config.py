"""The file that says what a training is to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.training.config import Card, Config, as_text, parse, read_config
from cloudmask_export.training.recipe import Augment, Recipe, Sources, Stage

TEXT = """\
name = "small"
architecture = "slim-regnety_002-4"
bands = ["B02", "B03", "B04", "B08"]
batch = 4
decay = 0
[sources]
simulated = 3
[augment]
rotate = false
[network]
title = "A \\"small\\" one, hé"
[[stage]]
classes = 3
steps = 5
[[stage]]
classes = 4
steps = 7
rate = 1e-3
"""


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_every_table_becomes_what_it_says() -> None:
    assert parse(TEXT, Path()) == Config(
        Recipe(
            name="small",
            architecture="slim-regnety_002-4",
            bands=("B02", "B03", "B04", "B08"),
            batch=4,
            decay=0.0,
            sources=Sources(simulated=3),
            augment=Augment(rotate=False),
            stages=(Stage(classes=3, steps=5), Stage(classes=4, steps=7, rate=1e-3)),
        ),
        Card(title='A "small" one, hé'),
    )


def test_a_whole_number_will_do_where_a_number_is_needed() -> None:
    found = parse(TEXT, Path()).recipe.decay
    assert (found, type(found)) == (0.0, float)


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    config = parse(TEXT, tmp_path)
    sources = Sources(
        pairs=(tmp_path / 'a "b"\\c',), hold_out=("x_1", "é"), composed=2, shares=(0.1, 0.0, 2e-7)
    )
    rich = replace(config, recipe=replace(config.recipe, sources=sources))
    assert parse(as_text(rich), Path("/elsewhere")) == rich


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a_p1_cloudy.tif").touch()
    path = tmp_path / "configs" / "mine.toml"
    path.parent.mkdir()
    path.write_text(changed("simulated = 3", 'pairs = ["../data"]'), "utf-8")
    assert read_config(path).recipe.sources.pairs == ((tmp_path / "data").resolve(),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 4", "bach = 4", r"bach: there is no such key; did you mean batch\? Keys here"),
        ("rotate =", "rotation =", r"\[augment\] rotation: there is .* did you mean rotate\?"),
        ("simulated = 3", "simulate = 3", r"\[sources\] simulate: .* did you mean simulated\?"),
        ("title =", "name =", r"\[network\] name: there is no such key"),
        ("rate = 1e-3", "lr = 1e-3", r"\[\[stage\]\] 2: lr: there is no such key"),
        ("[augment]", "[augmentation]", r"augmentation: .* did you mean augment\?"),
        ("[sources]\nsimulated = 3", "", r"\[sources\] is missing"),
        ('name = "small"\n', "", "name is missing"),
        ("[[stage]]\nclasses = 3\nsteps = 5", "[[stage]]\nclasses = 3", r"\[\[stage\]\] 1: steps"),
    ],
)
def test_a_key_that_is_unknown_or_missing_is_named(old: str, new: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        parse(changed(old, new), Path())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 4", 'batch = "4"', 'batch = "4": a whole number is needed'),
        ("batch = 4", "batch = 4.0", "batch = 4.0: a whole number is needed"),
        ("batch = 4", "batch = true", "batch = true: a whole number is needed"),
        ("rotate = false", "rotate = 0", r"\[augment\] rotate = 0: true or false is needed"),
        ("decay = 0", "decay = nan", "decay = NaN: a number is needed"),
        ("decay = 0", "decay = inf", "decay = Infinity: a number is needed"),
        ("[sources]", '[sources]\npairs = "data"', r'pairs = "data": a list is needed'),
        ("[sources]", "[sources]\nshares = [1, 2]", r"shares = \[1, 2\]: a list of 3 is needed"),
        ("decay = 0", 'loss = "mse"', 'loss = "mse": choose one of "dice", "cross-entropy"'),
        ("title =", 'level = "L3"\ntitle =', r'level = "L3": choose one of "L1C", "L2A", ""'),
        ("[network]", "[[network]]", r"network: write it as a table, \[network\]"),
    ],
)
def test_a_value_of_another_kind_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        parse(changed(old, new), Path())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"small"', '"Small One"', "lower-case words joined by hyphens"),
        ("classes = 3", "classes = 5", r"classes = 5; there are 3 \(clear, cloud, shadow\)"),
        ("steps = 5", "steps = 0", "steps = 0: 1 or more"),
        ("rate = 1e-3", "rate = -1", "rate = -1.0; above 0"),
        ("batch = 4", "batch = 0", "batch = 0: 1 or more"),
        ("batch = 4", "crop = 40", "crop = 40: a multiple of 16"),
        ("batch = 4", "crop = 144", "crop = 144: .* so 128 of 20 m at most"),
        ("batch = 4", "pixel_size = 30", "pixel_size = 30: one of 10, 20, 40 metres"),
        ("batch = 4", "smoothing = 1", "smoothing = 1.0: 0 or more, below 1"),
        ("batch = 4", "seed = -1", "seed = -1: 0 or more"),
        ('"B08"]', '"B88"]', "none of Sentinel-2's"),
        ('"B08"]', '"B02"]', "one is doubled"),
        ('"B08"]', '"B08", "B11"]', "is for 4 bands, and bands names 5"),
        ("slim-regnety_002-4", "unet-4", "a decoder .dynunet, smp, slim., the name of an encoder"),
        ("simulated = 3", "simulated = 0", "sources: no images"),
        ("simulated = 3", "simulated = -1", "sources.simulated = -1: 0 or more"),
        ("simulated = 3", "simulated = 3\ncomposed = 2", "composed = 2: .* pairs names none"),
        ("simulated = 3", "simulated = 3\nhold_out = ['a']", "there are no real images"),
        ("simulated = 3", "simulated = 3\nshares = [1, 0, 0]", "one must be above 0"),
        ("simulated = 3", "simulated = 3\nshares = [1, 1, -1]", "0 or more"),
        ("rotate = false", "dropout = 1.5", "augment.dropout = 1.5: a share, 0 to 1"),
        ("rotate = false", "noise = -1", "augment.noise = -1.0: 0 or more"),
        ("rotate = false", "scale = 0.5", "augment.scale = 0.5: a factor, 1 "),
        ("title =", "tile = 250\ntitle =", "tile = 250: a multiple of 16 pixels"),
        ("title =", "overlap = 256\ntitle =", "overlap = 256: 0 or more, below the tile's 256"),
        ("title =", 'licence = ""\ntitle =', "licence: an SPDX identifier"),
    ],
)
def test_a_value_out_of_range_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        parse(changed(old, new), Path())


def test_classes_are_not_united_again_in_a_later_stage() -> None:
    text = TEXT.replace("classes = 3", "classes = 5").replace("classes = 4", "classes = 3")
    with pytest.raises(ExportError, match="stage of 4 classes before one of 3"):
        parse(text.replace("classes = 5", "classes = 4"), Path())


def test_a_training_has_a_stage() -> None:
    with pytest.raises(ExportError, match="stages: there must be one"):
        parse(TEXT.partition("[[stage]]")[0], Path())


def test_a_stage_with_one_bracket_is_explained() -> None:
    text = TEXT.partition("[[stage]]")[0] + "[stage]\nclasses = 3\nsteps = 5\n"
    with pytest.raises(ExportError, match=r"write \[\[stage\]\] with two brackets"):
        parse(text, Path())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = \n", "is no TOML: .*line 1"),
        (changed("simulated = 3", 'pairs = ["gone"]'), "pairs: .*gone is not there"),
        (changed("simulated = 3", 'pairs = ["."]'), "has no NAME_cloudy.tif"),
        (changed("simulated = 3", 'labelled = ["gone"]'), "labelled: .*gone is not there"),
    ],
)
def test_a_refusal_names_the_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ExportError, match=f"mine.toml: .*{message}"):
        read_config(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"none\.toml: cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "examples" / "training").glob("*.toml"))
)
def test_the_keys_and_values_of_an_example_are_good(path: Path) -> None:
    config: Any = parse(path.read_text("utf-8"), path.parent)
    assert config.recipe.name == path.stem
