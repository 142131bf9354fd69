"""Weights that say themselves what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.training import weights as module
from cloudmask_export.training.config import Card, Config
from cloudmask_export.training.recipe import Sources
from cloudmask_export.training.weights import describe, described, write_weights
from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.training.recipe import Recipe

MEAN = np.array([0.1, 0.2, 0.3, 0.123], np.float32)
STD = np.array([0.05, 0.06, 0.07, 0.08], np.float32)


@pytest.fixture
def arrays() -> dict[str, Any]:
    draw = np.random.default_rng(1)
    return {
        "b.weight": draw.normal(size=(3, 2, 1)).astype(np.float32),
        "a.bias": draw.normal(size=5).astype(np.float32),
        "norm.num_batches_tracked": np.array(7, np.int64),
        "turned": draw.normal(size=(4, 3)).astype(np.float32).T,
    }


def test_every_tensor_is_read_as_it_was(arrays: dict[str, Any], tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", arrays, {"format": "pt"})
    found = read_weights(tmp_path / "w.safetensors").arrays
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_same_tensors_give_the_same_bytes_in_any_order(
    arrays: dict[str, Any], tmp_path: Path
) -> None:
    write_weights(tmp_path / "a", arrays, {"x": "1"})
    write_weights(tmp_path / "b", dict(reversed(arrays.items())), {"x": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_tensor_begins_at_a_multiple_of_its_element(
    arrays: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "w"
    write_weights(path, arrays, {})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    for name, array in arrays.items():
        assert header[name]["data_offsets"][0] % array.dtype.itemsize == 0


def test_the_weights_say_what_the_network_takes_and_gives(
    recipe: Recipe, arrays: dict[str, Any], tmp_path: Path
) -> None:
    card = Card(title="Mine", licence="CC0-1.0", level="L2A", tile=128, overlap=32)
    path = tmp_path / "w.safetensors"
    write_weights(path, arrays, describe(Config(recipe, card), MEAN, STD))
    family = described(path)
    assert family is not None
    assert (family.name, family.title, family.licence) == ("small", "Mine", "CC0-1.0")
    assert (family.bands, family.classes) == (recipe.bands, (0, 1, 2, 3))
    assert (family.level, family.tile, family.overlap, family.multiple) == ("L2A", 128, 32, 16)
    assert (family.pixel_size, family.architectures) == (20.0, ("slim-regnety_002-4",))
    normal: Any = family.normalisation
    assert normal.divisor == 10_000
    np.testing.assert_array_equal(np.float32(normal.mean), MEAN)
    np.testing.assert_array_equal(np.float32(normal.std), STD)


def test_three_classes_are_clear_cloud_and_shadow(
    recipe: Recipe, arrays: dict[str, Any], tmp_path: Path
) -> None:
    three = replace(recipe, stages=recipe.stages[:1])
    write_weights(tmp_path / "w", arrays, describe(Config(three), MEAN, STD))
    family = described(tmp_path / "w")
    assert family is not None
    assert family.classes == (0, 1, 3)


def test_without_words_of_its_own_the_sources_are_named(recipe: Recipe, tmp_path: Path) -> None:
    mixed = replace(recipe, sources=Sources(pairs=(tmp_path / "mine",), composed=5, simulated=6))
    family = module.family(Config(mixed), (0.1,) * 4, (0.1,) * 4)
    assert family.training_data == (
        "mine, 5 cloud-free images under simulated clouds, 6 simulated scenes"
    )


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04....", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 40]
)
def test_other_files_say_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(content)
    assert described(tmp_path / "w") is None


def test_weights_of_a_later_version_are_refused(arrays: dict[str, Any], tmp_path: Path) -> None:
    write_weights(tmp_path / "w", arrays, {module.MARK: "2"})
    with pytest.raises(ExportError, match="w: was written by a later version"):
        described(tmp_path / "w")


@pytest.mark.parametrize(
    "told", [{}, {"config": "name = 1"}, {"normalisation": "{}"}, {"normalisation": "[1"}]
)
def test_what_cannot_be_read_is_refused(
    told: dict[str, str], recipe: Recipe, arrays: dict[str, Any], tmp_path: Path
) -> None:
    good = describe(Config(recipe), MEAN, STD) if told else {module.MARK: module.VERSION}
    write_weights(tmp_path / "w", arrays, good | told)
    with pytest.raises(ExportError, match="w: what it says of itself cannot be read"):
        described(tmp_path / "w")
