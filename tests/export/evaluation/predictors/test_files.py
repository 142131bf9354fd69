from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")

from cloudmask.local.compare.recognise import SchemeWarning  # noqa: E402
from cloudmask.local.compare.schemes import SCHEMES  # noqa: E402
from cloudmask_export.evaluation.labels import LABELS  # noqa: E402
from cloudmask_export.evaluation.predictors import peer  # noqa: E402
from cloudmask_export.evaluation.predictors.files import with_no_data  # noqa: E402
from cloudmask_export.evaluation.samples import EvaluationError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask_export.evaluation.samples import Sample

PLACE = (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_000_000.0)
CODES = np.array([[0, 1, 2, 3], [4, 255, 0, 0]], np.uint8)


def write(path: Path, codes: Any, **kwargs: Any) -> Path:
    """Write a raster; keywords: crs, transform, nodata, tags, descriptions."""
    bands = np.asarray(codes) if np.ndim(codes) == 3 else np.asarray(codes)[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = kwargs.get("transform")
    profile = {
        "driver": "GTiff", "count": len(bands), "height": bands.shape[1],
        "width": bands.shape[2], "dtype": bands.dtype, "crs": kwargs.get("crs"),
        "nodata": kwargs.get("nodata"),
        "transform": None if transform is None else rasterio.Affine(*transform),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(bands)
            file.update_tags(**kwargs.get("tags", {}))
            if "descriptions" in kwargs:
                file.descriptions = kwargs["descriptions"]
    return path


@pytest.fixture
def one(sample: Callable[..., Sample]) -> Sample:
    return sample(np.zeros((4, 2, 4)))


def test_the_mask_of_a_sample_is_found_by_its_name(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1.tif", CODES)
    write(tmp_path / "a_2.tif", CODES * 0)
    masks = peer(f"files:{tmp_path}:fmask")
    assert (masks.predict(one) == CODES).all()
    assert masks.scheme is SCHEMES["fmask"]


@pytest.mark.parametrize("name", ["a_1.TIF", "a_1_fmask.tif", "Fmask_a_1.tif", "deep/a_1.tif"])
def test_what_a_maker_adds_to_the_name_is_no_matter(
    tmp_path: Path, one: Sample, name: str
) -> None:
    write(tmp_path / name, CODES)
    # Longer names that begin or end alike are of others.
    write(tmp_path / "a_12.tif", CODES * 0)
    write(tmp_path / "ba_1.tif", CODES * 0)
    assert (peer(f"files:{tmp_path}:fmask").predict(one) == CODES).all()


def test_the_exact_name_goes_before_longer_ones(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1.tif", CODES)
    write(tmp_path / "a_1_old.tif", CODES * 0)
    assert (peer(f"files:{tmp_path}:fmask").predict(one) == CODES).all()


def test_a_sample_in_a_folder_of_its_dataset_is_found_by_the_last_part(
    tmp_path: Path, sample: Callable[..., Sample]
) -> None:
    write(tmp_path / "a_1.tif", CODES)
    inner = sample(np.zeros((4, 2, 4)), name="ROI_7/a_1")
    assert (peer(f"files:{tmp_path}:fmask").predict(inner) == CODES).all()


def test_no_mask_and_several_are_refused_by_the_samples_name(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "b.tif", CODES)
    with pytest.raises(
        EvaluationError, match=r"holds no mask of it, sample a_1; one file a_1\.tif"
    ):
        peer(f"files:{tmp_path}:fmask").predict(one)
    write(tmp_path / "a_1_x.tif", CODES)
    write(tmp_path / "a_1_y.tif", CODES)
    with pytest.raises(EvaluationError, match=r"several masks of it \(a_1_x\.tif, a_1_y\.tif\)"):
        peer(f"files:{tmp_path}:fmask").predict(one)


def test_a_scheme_that_the_files_say_need_not_be_said(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1_SCL.tif", CODES[:1].repeat(2, axis=0))
    assert peer(f"files:{tmp_path}").scheme is SCHEMES["scl"]


def test_a_file_that_does_not_say_it_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a_1.tif", CODES)
    with pytest.raises(EvaluationError, match=r"does not say what its codes mean.*:SCHEME"):
        peer(f"files:{tmp_path}")


def test_codes_of_another_scheme_are_refused_with_the_file(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1.tif", CODES + 7)
    with pytest.raises(EvaluationError, match=r"a_1\.tif: has the codes 6, 7, 8, but fmask"):
        peer(f"files:{tmp_path}:fmask").predict(one)


def test_probabilities_are_no_codes(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1.tif", CODES.astype(np.float32) / 10)
    with pytest.raises(EvaluationError, match=r"has the codes 0\.1, 0\.2, 0\.3"):
        peer(f"files:{tmp_path}:fmask").predict(one)


def test_codes_may_be_whole_numbers_as_floats_with_nan(tmp_path: Path, one: Sample) -> None:
    numbers = CODES.astype(np.float32)
    numbers[0, 0] = np.nan
    write(tmp_path / "a_1.tif", numbers)
    mask = peer(f"files:{tmp_path}:fmask").predict(one)
    assert mask[0, 0] == 255
    assert (mask.ravel()[1:] == CODES.ravel()[1:]).all()


def test_the_files_own_no_data_is_heeded_even_where_the_scheme_has_none(
    tmp_path: Path, one: Sample
) -> None:
    write(tmp_path / "a_1.tif", np.array([[0, 1, 2, 3], [9, 9, 0, 0]], np.uint8), nodata=9)
    masks = peer(f"files:{tmp_path}:omnicloudmask")
    assert masks.scheme.codes[255] == ()
    assert masks.predict(one).tolist() == [[0, 1, 2, 3], [255, 255, 0, 0]]


def test_a_scheme_with_a_code_for_no_data_keeps_it() -> None:
    assert with_no_data(SCHEMES["kappamask"]) == (SCHEMES["kappamask"], 0)


def test_schemes_of_labels_may_be_said_too(tmp_path: Path) -> None:
    write(tmp_path / "a_1.tif", CODES)
    name = next(iter(LABELS))
    assert peer(f"files:{tmp_path}:{name}").scheme.source == LABELS[name].source


def test_coarser_masks_are_spread_over_the_samples_pixels(
    tmp_path: Path, sample: Callable[..., Sample]
) -> None:
    write(tmp_path / "a_1.tif", CODES)
    mask = peer(f"files:{tmp_path}:fmask").predict(sample(np.zeros((4, 6, 12))))
    assert (mask == np.kron(CODES, np.ones((3, 3)))).all()


def test_a_mask_of_another_size_is_refused(tmp_path: Path, sample: Callable[..., Sample]) -> None:
    write(tmp_path / "a_1.tif", CODES)
    with pytest.raises(EvaluationError, match=r"is 2 x 4 pixels, but sample a_1 has 3 x 4"):
        peer(f"files:{tmp_path}:fmask").predict(sample(np.zeros((4, 3, 4))))
    with pytest.raises(EvaluationError, match=r"is 2 x 4 pixels, but sample a_1 has 4 x 4"):
        peer(f"files:{tmp_path}:fmask").predict(sample(np.zeros((4, 4, 4))))


def test_a_mask_of_a_larger_place_is_cut_out_where_the_sample_is(
    tmp_path: Path, sample: Callable[..., Sample]
) -> None:
    scene = np.arange(48, dtype=np.uint8).reshape(6, 8) % 5
    write(tmp_path / "masks" / "a_1.tif", scene, crs="EPSG:32631", transform=PLACE)
    # Two rows down, three columns to the right.
    inside = (10.0, 0.0, 600_030.0, 0.0, -10.0, 4_999_980.0)
    own = write(
        tmp_path / "a_1.tif", np.zeros((2, 4), np.uint8), crs="EPSG:32631", transform=inside
    )
    mask = peer(f"files:{tmp_path / 'masks'}:fmask").predict(sample(np.zeros((4, 2, 4)), path=own))
    assert (mask == scene[2:4, 3:7]).all()


def test_a_mask_of_another_place_is_refused(tmp_path: Path, sample: Callable[..., Sample]) -> None:
    write(tmp_path / "masks" / "a_1.tif", CODES, crs="EPSG:32631", transform=PLACE)
    away = (10.0, 0.0, 700_000.0, 0.0, -10.0, 5_000_000.0)
    own = write(tmp_path / "a_1.tif", np.zeros((2, 4), np.uint8), crs="EPSG:32631", transform=away)
    with pytest.raises(EvaluationError, match=r"a_1\.tif"):
        peer(f"files:{tmp_path / 'masks'}:fmask").predict(sample(np.zeros((4, 2, 4)), path=own))


def test_the_band_is_found_among_several(tmp_path: Path, one: Sample) -> None:
    stack = np.stack([CODES * 0, CODES * 0 + 3]).astype(np.uint8)
    write(tmp_path / "a_1.tif", stack, descriptions=["mask", "class"])
    assert (peer(f"files:{tmp_path}").predict(one) == 3).all()


def test_bands_without_names_are_refused(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "a_1.tif", np.stack([CODES, CODES]))
    with pytest.raises(EvaluationError, match="has 2 bands"):
        peer(f"files:{tmp_path}:fmask").predict(one)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("files:{}/none", "there is no such folder; the form is files:FOLDER"),
        ("files:{}:nonesuch", "scheme 'nonesuch': choose among cloudmask, "),
        ("files:{}/none:fmask", "there is no such folder"),
        ("files:{}:fmask", "holds no mask"),
        ("files:", "there is no such folder"),
    ],
)
def test_folders_and_schemes_that_are_not_there_are_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        peer(name.format(tmp_path))


def test_a_colon_in_the_folders_name_is_part_of_it(tmp_path: Path, one: Sample) -> None:
    write(tmp_path / "S2:masks" / "a_1.tif", CODES)
    assert (peer(f"files:{tmp_path / 'S2:masks'}:fmask").predict(one) == CODES).all()


def test_a_damaged_file_is_named(tmp_path: Path, one: Sample) -> None:
    (tmp_path / "a_1.tif").write_bytes(b"II*\x00 and nothing more")
    with pytest.raises(EvaluationError, match=r"a_1\.tif: cannot be read"):
        peer(f"files:{tmp_path}:fmask").predict(one)


def test_a_file_that_says_another_scheme_than_the_one_asked_for_is_told(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a_1.tif", CODES % 4, descriptions=["SCL"])
    with pytest.warns(SchemeWarning, match=r"a_1\.tif: says that its codes are scl"):
        peer(f"files:{tmp_path}:fmask")
