from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("rasterio")

from cloudmask import Options, mask_clouds
from cloudmask.augment import TTA
from cloudmask.local.compare.schemes import CLOUDMASK, CLOUDMASK_ONE_CLOUD
from cloudmask.testing import (
    FakeModel,
    brightest_band,
    constant,
    fake_spec,
    identity,
    of_tile_mean,
)
from cloudmask_export.evaluation.predictors import How
from cloudmask_export.evaluation.predictors.networks import Networks, scheme_of
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask_export.evaluation.samples import Sample

NATIVE = How(resolution="native")


def stripes(edge: int = 24) -> Any:
    """(4, y, x): in column x, band x modulo 4 is the brightest."""
    columns = np.arange(edge) % 4
    one_hot = np.moveaxis(np.eye(4)[np.broadcast_to(columns, (edge, edge))], -1, 0)
    return (0.1 + 0.5 * one_hot).astype(np.float32)


def test_each_pixel_gets_the_class_that_the_network_says(sample: Callable[..., Sample]) -> None:
    mask = Networks.of("n", [brightest_band()], NATIVE).predict(sample(stripes()))
    assert (mask == np.arange(24) % 4).all()
    assert mask.shape == (24, 24)


def test_bands_are_found_by_name_in_any_order(sample: Callable[..., Sample]) -> None:
    turned = sample(stripes()[::-1], bands=("B08", "B04", "B03", "B02"))
    mask = Networks.of("n", [brightest_band()], NATIVE).predict(turned)
    assert (mask == np.arange(24) % 4).all()


def test_no_data_stays_no_data_and_touches_nothing_else(sample: Callable[..., Sample]) -> None:
    image = stripes()
    image[2, 5, 7] = np.nan
    mask = Networks.of("n", [brightest_band()], NATIVE).predict(sample(image))
    expected = np.broadcast_to(np.arange(24) % 4, (24, 24)).copy()
    expected[5, 7] = 255
    assert (mask == expected).all()


def test_no_data_of_single_pixels_survives_larger_ones(sample: Callable[..., Sample]) -> None:
    image = np.full((4, 32, 32), 0.1)
    image[2] = 0.6
    image[0, 5, 7] = np.nan
    image[:, 10:12, 20:22] = np.nan
    model = brightest_band(replace(fake_spec(), pixel_size=20.0))
    mask = Networks.of("n", [model]).predict(sample(image, pixel_size=10.0))
    assert (mask == np.where(np.isfinite(image).all(axis=0), 2, 255)).all()


def test_no_data_in_a_band_that_the_network_does_not_take_is_no_matter(
    sample: Callable[..., Sample],
) -> None:
    image = np.concatenate([stripes(), np.full((1, 24, 24), np.nan)])
    five = sample(image, bands=("B02", "B03", "B04", "B08", "B10"))
    assert (Networks.of("n", [brightest_band()], NATIVE).predict(five) != 255).all()


def test_the_mask_is_that_of_mask_clouds_with_the_same_options(
    sample: Callable[..., Sample],
) -> None:
    image = np.random.default_rng(3).uniform(0, 1, (4, 40, 52)).astype(np.float32)
    cube = xr.DataArray(image, {"bands": list(fake_spec().bands)}, ("bands", "y", "x"))
    for stitch in ("crop", "blend"):
        options = Options(stitch=stitch, overlap=6, tta=TTA(depth=2))
        own = mask_clouds(cube, of_tile_mean(), preset="reflectance", options=options)
        how = How(resolution="native", stitch=stitch, overlap=6, tta=TTA(depth=2))
        mask = Networks.of("n", [of_tile_mean()], how).predict(sample(image))
        assert (mask == own.sel(bands="class").values).all()


def test_the_overlap_and_the_augmentation_asked_for_reach_the_network(
    sample: Callable[..., Sample],
) -> None:
    image = np.random.default_rng(3).uniform(0, 1, (4, 40, 40))
    calls = []
    for overlap, depth in ((0, 0), (12, 0), (0, 3)):
        model = of_tile_mean()
        how = How(resolution="native", overlap=overlap, tta=TTA(depth=depth, adaptive=False))
        Networks.of("n", [model], how).predict(sample(image))
        calls.append(model.tiles)
    assert calls[1] > calls[0]
    assert calls[2] == 4 * calls[0]


def test_an_image_of_finer_pixels_is_averaged_and_its_mask_brought_back(
    sample: Callable[..., Sample],
) -> None:
    # Columns of blocks: 0 0 | 1 1 | ..., one pixel of each block too bright, but not its mean.
    blocks = np.repeat(np.repeat(stripes(16), 2, axis=1), 2, axis=2)
    blocks[3, ::2, ::2] += 0.3
    model = brightest_band(replace(fake_spec(), pixel_size=20.0))
    mask = Networks.of("n", [model]).predict(sample(blocks, pixel_size=10.0))
    assert (mask == np.repeat(np.arange(16) % 4, 2)).all()


def test_native_runs_at_the_images_own_pixels(sample: Callable[..., Sample]) -> None:
    model = brightest_band(replace(fake_spec(), pixel_size=20.0))
    mask = Networks.of("n", [model], NATIVE).predict(sample(stripes(), pixel_size=10.0))
    assert (mask == np.arange(24) % 4).all()


@pytest.mark.parametrize(("how", "edge"), [("model", 24), ("native", 48), (40, 12), (10, 48)])
def test_the_network_sees_pixels_of_the_size_asked_for(
    sample: Callable[..., Sample], how: Any, edge: int
) -> None:
    seen = []
    spec = replace(fake_spec(tile=64, overlap=0), pixel_size=20.0)

    def look(tiles: Any) -> Any:
        # What the image does not fill is reflected; a step in its middle shows its size.
        seen.append(int((tiles[0, 0, 0] > 0.5).argmax()) * 2)
        return tiles

    image = np.zeros((4, 48, 48), np.float32)
    image[:, :, 24:] = 1
    Networks.of("n", [FakeModel(look, spec)], How(resolution=how)).predict(sample(image))
    assert seen == [edge]


def test_several_networks_answer_together(sample: Callable[..., Sample]) -> None:
    image = np.zeros((4, 16, 16), np.float32)
    image[0], image[3] = 0.6, 0.4
    # Alone, the first says 0 (0.6 against 0.4); with 1 for class 3 from the second, the mean is 3.
    first, second = identity(), constant(3)
    assert (Networks.of("n", [first], NATIVE).predict(sample(image)) == 0).all()
    assert (Networks.of("n", [first, second], NATIVE).predict(sample(image)) == 3).all()


def test_names_joined_by_a_plus_are_an_ensemble(
    sample: Callable[..., Sample], tiny_network: Path
) -> None:
    both = Networks.named(f"{tiny_network}+{tiny_network}", NATIVE)
    assert [model.spec.name for model in both.models] == ["tiny", "tiny"]
    alone = Networks.named(str(tiny_network), NATIVE)
    image = sample(np.random.default_rng(2).uniform(0, 1, (4, 40, 40)))
    assert (both.predict(image) == alone.predict(image)).all()


def test_missing_bands_are_named_with_sample_and_file(sample: Callable[..., Sample]) -> None:
    short = sample(np.zeros((2, 16, 16)), bands=("B02", "B08"))
    with pytest.raises(
        EvaluationError, match=r"data.a_1\.npy: sample a_1 has .*B02, B08.* mine needs B03, B04"
    ):
        Networks.of("mine", [brightest_band()]).predict(short)


@pytest.mark.parametrize(
    ("classes", "codes"),
    [
        ((0, 1), {0: (0, 3), 1: (1, 2), 255: ()}),
        ((0, 1, 2), {0: (0, 3), 1: (1,), 2: (2,), 255: ()}),
        ((0, 2, 3), {0: (0,), 2: (1, 2), 3: (3,), 255: ()}),
    ],
)
def test_a_class_that_a_network_lacks_is_within_another(
    classes: tuple[int, ...], codes: dict[int, tuple[int, ...]]
) -> None:
    assert scheme_of(classes).codes == codes


def test_networks_of_four_and_of_three_classes_have_the_schemes_that_compare_knows() -> None:
    assert scheme_of((0, 1, 2, 3)) is CLOUDMASK
    assert scheme_of((0, 1, 3)) is CLOUDMASK_ONE_CLOUD
    three = Networks.of("n", [constant(0, fake_spec(classes=(0, 1, 3)))])
    assert three.scheme is CLOUDMASK_ONE_CLOUD


def test_an_unknown_network_is_refused_by_its_name() -> None:
    with pytest.raises(EvaluationError, match=r"network nonesuch: unknown model 'nonesuch'"):
        Networks.named("nonesuch")


def test_networks_that_do_not_fit_together_are_refused(
    ukis_4b: Any, ukis_6b: Any, tiny_network: Path
) -> None:
    with pytest.raises(EvaluationError, match=r"network .*tiny\.onnx\+ukis-4b-l1c: "):
        Networks.named(f"{tiny_network}+ukis-4b-l1c")


def test_a_file_whose_name_has_a_plus_is_one_network(tiny_network: Path, tmp_path: Path) -> None:
    name = tmp_path / "a+b.onnx"
    name.write_bytes(tiny_network.read_bytes())
    manifest = tiny_network.with_suffix(".json").read_text("utf-8")
    name.with_suffix(".json").write_text(manifest.replace("tiny.onnx", "a+b.onnx"), "utf-8")
    assert len(Networks.named(str(name)).models) == 1
