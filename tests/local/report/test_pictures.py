from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from cloudmask.bands import PRESETS
from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.errors import CubeError
from cloudmask.local.cubes import write_cube
from cloudmask.local.picture import thumbnail
from cloudmask.local.report.pictures import LONGEST, Picture, of_mask, of_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def pixels(picture: Picture) -> NDArray[np.uint8]:
    """Decode (y, x, 4)."""
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == picture.kind.upper()
        return np.asarray(image.convert("RGBA"))


@pytest.fixture
def mask(tmp_path: Path, sample: Any) -> Path:
    sample(name="a").write(tmp_path)
    return tmp_path / "a_mask.tif"


def test_each_class_has_its_colour_clear_ground_none_and_no_data_hides(
    mask: Path, sample: Any
) -> None:
    codes, painted = sample().codes, pixels(of_mask(mask))
    assert (painted[codes == 0][:, 3] == 0).all()
    for each in CLASSES[1:]:
        assert (painted[codes == each.code][:, :3] == each.colour).all()
        assert (
            (painted[codes == each.code][:, 3] > 0) & (painted[codes == each.code][:, 3] < 255)
        ).all()
    assert (painted[codes == 255] == (*NO_DATA_CLASS.colour, 255)).all()


def test_a_code_that_is_no_class_is_painted_as_no_data(tmp_path: Path, sample: Any) -> None:
    sample(name="odd", codes=np.full((4, 4), 17, np.uint8)).write(tmp_path)
    assert (pixels(of_mask(tmp_path / "odd_mask.tif")) == (*NO_DATA_CLASS.colour, 255)).all()


def test_a_large_mask_is_made_small_in_its_own_proportions(tmp_path: Path, sample: Any) -> None:
    codes = np.zeros((500, 2000), np.uint8)
    codes[:, 1000:] = 1
    sample(name="wide", codes=codes).write(tmp_path)
    picture = of_mask(tmp_path / "wide_mask.tif")
    assert (picture.width, picture.height) == (LONGEST, LONGEST // 4)
    assert (pixels(picture)[:, : LONGEST // 2 - 1, 3] == 0).all()
    assert (pixels(picture)[:, LONGEST // 2 + 1 :, 3] > 0).all()


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_mask_in_a_cube_gives_the_same_picture(mask: Path, suffix: str) -> None:
    for package in ("rioxarray", {".nc": "netCDF4", ".zarr": "zarr"}[suffix]):
        pytest.importorskip(package)
    cube = mask.with_suffix(suffix)
    write_cube(cube, mask)
    assert of_mask(cube) == of_mask(mask)


@pytest.mark.parametrize("name", ["broken.tif", "broken.nc", "broken.zarr"])
def test_a_mask_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"II*\0 nothing of the kind")
    with pytest.raises(CubeError, match=rf"{name}: cannot be read"):
        of_mask(tmp_path / name)


def test_a_truncated_mask_is_named(mask: Path) -> None:
    mask.write_bytes(mask.read_bytes()[:900])
    with pytest.raises(CubeError, match=r"a_mask\.tif: cannot be read"):
        of_mask(mask)


def test_the_scene_keeps_what_is_transparent(tmp_path: Path, mask: Path, sample: Any) -> None:
    alpha = pixels(of_scene(tmp_path / "a_thumbnail.png"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, sample().codes == 255)


def test_the_scene_is_no_larger_than_a_card_and_light(tmp_path: Path, numbers: Any) -> None:
    from cloudmask.local.simulator import SceneSettings, simulate

    scene = simulate(SceneSettings(shape=(700, 700)))
    colours = scene.reflectance_dn[[3, 2, 1]]
    thumbnail(tmp_path / "a.png", numbers(colours), PRESETS["dn"])
    picture = of_scene(tmp_path / "a.png")
    assert max(picture.width, picture.height) == LONGEST
    assert len(picture.data) < 40_000


@pytest.mark.parametrize("keep", [0, 20, 100])
def test_a_thumbnail_that_cannot_be_read_is_named(tmp_path: Path, mask: Path, keep: int) -> None:
    path = tmp_path / "a_thumbnail.png"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CubeError, match=r"a_thumbnail\.png: cannot be read as a PNG"):
        of_scene(path)


def test_a_picture_holds_itself_as_an_address(mask: Path) -> None:
    picture = of_mask(mask)
    head, data = picture.uri.split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == picture.data
