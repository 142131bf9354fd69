"""All images of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_export.errors import ExportError
from cloudmask_export.training import bank as module
from cloudmask_export.training.bank import BANDS, EDGE, KINDS, Bank, build, read_pairs
from cloudmask_export.training.recipe import Sources
from cloudmask_export.training.sets import IS_CLEAR

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.training.recipe import Recipe

rasterio = pytest.importorskip("rasterio")


def write(path: Path, numbers: Any) -> None:
    profile = {
        "driver": "GTiff", "count": len(numbers), "height": numbers.shape[1],
        "width": numbers.shape[2], "dtype": "uint16",
    }  # fmt: skip
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", **profile, **place) as file:
        file.write(numbers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of two regions, one of which has two."""
    found = tmp_path_factory.mktemp("pairs")
    for number, name in enumerate(("here_p1", "here_p2", "there_p1")):
        common = {"shape": (EDGE, EDGE), "seed": number, "no_data_edge": False}
        clear = simulate(SceneSettings(**common, thick_cover=0.0, thin_cover=0.0))  # type: ignore[arg-type]
        cloudy = simulate(SceneSettings(**common, thick_cover=0.3))  # type: ignore[arg-type]
        write(found / f"{name}_clear.tif", clear.reflectance_dn)
        write(found / f"{name}_cloudy.tif", cloudy.reflectance_dn)
    return found


def real(recipe: Recipe, folder: Path, *hold_out: str, composed: int = 0) -> Recipe:
    return replace(recipe, sources=Sources(pairs=(folder,), hold_out=hold_out, composed=composed))


def test_regions_held_out_are_nowhere_in_what_is_trained_on(recipe: Recipe, folder: Path) -> None:
    train, held = build(real(recipe, folder, "there"))
    assert (len(train.images), len(held.images)) == (4, 2)
    positions = [BANDS.index(band) for band in recipe.bands]
    with rasterio.open(folder / "there_p1_cloudy.tif") as file:
        np.testing.assert_array_equal(held.images[0], file.read()[positions])
    for image in held.images:
        assert not any((image == other).all() for other in train.images)


def test_the_clear_image_of_a_pair_is_clear(recipe: Recipe, folder: Path) -> None:
    _, held = build(real(recipe, folder, "there"))
    assert (held.sets[1] == IS_CLEAR).all()
    assert (held.sets[0] != IS_CLEAR).any()


def test_a_group_that_is_not_there_is_refused(recipe: Recipe, folder: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere.*here.*there"):
        build(real(recipe, folder, "nowhere"))


def test_the_same_recipe_makes_the_same_images(recipe: Recipe, folder: Path) -> None:
    one, other = (build(real(recipe, folder, "there", composed=2))[0] for _ in range(2))
    for part in ("images", "sets", "kinds"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    assert [KINDS[kind] for kind in sorted(one.kinds)].count("composed") == 2


def test_another_seed_draws_other_skies(recipe: Recipe) -> None:
    one, _ = build(recipe)
    other, _ = build(replace(recipe, seed=1))
    assert (one.images != other.images).mean() > 0.5
    assert [KINDS[kind] for kind in one.kinds] == ["simulated"] * 2


def test_a_pair_without_its_partner_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a_p1_cloudy.tif", np.ones((13, EDGE, EDGE), np.uint16))
    with pytest.raises(ExportError, match=r"a_p1_cloudy\.tif: a_p1_clear\.tif is missing beside"):
        list(read_pairs(tmp_path))


@pytest.mark.parametrize("shape", [(12, EDGE, EDGE), (13, EDGE, 250)])
def test_a_pair_of_other_bands_or_size_is_refused_by_name(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    for end in ("cloudy", "clear"):
        write(tmp_path / f"a_p1_{end}.tif", np.ones(shape, np.uint16))
    with pytest.raises(ExportError, match=rf"a_p1_cloudy\.tif: {shape[0]} bands of 256 x"):
        list(read_pairs(tmp_path))


def test_kinds_are_drawn_as_often_as_asked(random_bank: Bank) -> None:
    kinds = np.array([0] * 5 + [1] * 95, np.uint8)
    weights = np.ones(100, np.float32)
    bank = Bank(
        np.empty((100, 0, 0, 0), np.uint16), np.empty((100, 0, 0), np.uint8), kinds, weights
    )
    drawn = bank.draw(4_000, (0.75, 0.25, 0.5), np.random.default_rng(0))
    # There is nothing real, so its share goes to the others.
    assert (kinds[drawn] == 0).mean() == pytest.approx(0.75, abs=0.03)


def test_labelled_data_sets_join_the_real_images(
    recipe: Recipe, folder: Path, tmp_path: Path
) -> None:
    label = np.zeros((1, EDGE, EDGE), np.uint16)
    label[0, :, 100:] = 2
    for name in ("test_a", "train_b"):
        write(tmp_path / f"{name}_image.tif", np.full((13, EDGE, EDGE), 1_500, np.uint16))
        write(tmp_path / f"{name}_label.tif", label)
    sources = Sources(pairs=(folder,), labelled=(tmp_path,), hold_out=("there", "test_*"))
    train, held = build(replace(recipe, sources=sources))
    assert (len(train.images), len(held.images)) == (5, 3)
    for bank in (train, held):
        (place,) = np.flatnonzero((bank.images == 1_500).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(bank.sets[place], 1 << label[0])
        assert module.KINDS[bank.kinds[place]] == "real"
