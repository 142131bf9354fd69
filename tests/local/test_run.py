from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("rich")

from rasterio.transform import from_origin  # noqa: E402

from cloudmask.bands import PRESETS  # noqa: E402
from cloudmask.classes import Output  # noqa: E402
from cloudmask.errors import ModelError, OptionError  # noqa: E402
from cloudmask.local.readers import find_scenes  # noqa: E402
from cloudmask.local.run import FileJob, estimate, mask_file  # noqa: E402
from cloudmask.options import Options  # noqa: E402
from cloudmask.testing import FakeModel, brightest_band, constant, fake_spec, identity  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B03", "B04", "B08")
SHAPE = (70, 90)


def numbers(shape: tuple[int, int] = SHAPE, dtype: str = "uint16") -> NDArray[Any]:
    return np.random.default_rng(8).integers(500, 4000, (4, *shape)).astype(dtype)


def write(
    path: Path, image: NDArray[Any], mask: NDArray[np.bool_] | None = None, **profile: Any
) -> Path:
    count, height, width = image.shape
    some = {
        "driver": "GTiff", "height": height, "width": width, "count": count,
        "dtype": image.dtype, "crs": "EPSG:32633",
        "transform": from_origin(6e5, 5e6, 10, 10),
    }  # fmt: skip
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **{**some, **profile}) as dataset,
    ):
        dataset.write(image)
        dataset.descriptions = BANDS
        if mask is not None:
            dataset.write_mask(mask)
    return path


def masked(source: Any, model: Any = None, **job: Any) -> NDArray[np.uint8]:
    """Mask a file with a fake network and read the mask."""
    output = Path(getattr(source, "place", source)).with_name("mask.tif")
    mask_file(
        FileJob(
            scene=source, output=output, models=(model or brightest_band(),), quiet=True, **job
        )
    )
    with rasterio.open(output) as dataset:
        classes: NDArray[np.uint8] = dataset.read(1)
    return classes


def of_pixels(metres: float, function: Callable[..., Any] | None = None) -> FakeModel:
    """Make a network for pixels of that size."""
    spec = replace(fake_spec(), pixel_size=metres)
    return FakeModel(function, spec) if function else brightest_band(spec)


class Watched:
    """A network that remembers the least and the greatest number it was given."""

    def __init__(self, metres: float) -> None:
        self.least, self.greatest = np.inf, -np.inf
        self.model = of_pixels(metres, self.answer)

    def answer(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look at the tiles."""
        self.least = min(self.least, float(tiles.min()))
        self.greatest = max(self.greatest, float(tiles.max()))
        return tiles.copy()


# -- the grid -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"crs": None},
        {"crs": "EPSG:4326", "transform": rasterio.Affine(1e-4, 0, 12, 0, -1e-4, 50)},
        {"transform": rasterio.Affine(7, 7, 6e5, 7, -7, 5e6)},
        {"transform": rasterio.Affine(10, 0, 6e5, 0, 10, 5e6)},
    ],
    ids=["north up", "no CRS", "degrees", "turned", "south up"],
)
@pytest.mark.parametrize("metres", [10.0, 20.0])
def test_the_mask_lies_on_the_files_grid(
    tmp_path: Path, grid: dict[str, Any], metres: float
) -> None:
    source = write(tmp_path / "scene.tif", numbers(), nodata=0, **grid)
    masked(source, of_pixels(metres))
    with rasterio.open(source) as scene, rasterio.open(tmp_path / "mask.tif") as mask:
        assert (mask.crs, mask.transform, mask.shape) == (scene.crs, scene.transform, scene.shape)


def test_each_pixel_has_the_class_of_its_own_spectrum(tmp_path: Path) -> None:
    image = numbers()
    classes = masked(write(tmp_path / "scene.tif", image))
    np.testing.assert_array_equal(classes, image.argmax(axis=0))


@pytest.mark.parametrize("stitch", ["blend", "crop"])
@pytest.mark.parametrize("factor", [2, 3])
def test_a_network_of_larger_pixels_sees_their_mean(
    tmp_path: Path, stitch: Any, factor: int
) -> None:
    image = numbers((72, 90), "float32")
    source = write(tmp_path / "scene.tif", image)
    classes = masked(source, of_pixels(10.0 * factor), options=Options(stitch=stitch))
    blocks = image.reshape(4, 72 // factor, factor, 90 // factor, factor).mean(axis=(2, 4))
    expected = np.kron(blocks.argmax(axis=0), np.ones((factor, factor), int))
    np.testing.assert_array_equal(classes, expected)


# -- no data --------------------------------------------------------------------------------


@pytest.mark.parametrize("metres", [3.0, 5.0, 7.0, 10.0, 13.0, 15.0, 20.0, 37.0])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_255_stands_exactly_where_a_band_is_missing(
    tmp_path: Path, metres: float, share: float
) -> None:
    image = numbers()
    random = np.random.default_rng(1)
    image[:, random.random(SHAPE) < share] = 0
    image[random.random(image.shape) < 0.01] = 0
    classes = masked(write(tmp_path / "scene.tif", image, nodata=0), of_pixels(metres))
    np.testing.assert_array_equal(classes == 255, (image == 0).any(axis=0))


@pytest.mark.parametrize("metres", [5.0, 10.0, 20.0])
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("uint16", 0), ("uint16", 65535), ("int16", -9999),
        ("float32", -9999), ("float32", np.nan), ("float32", -3.4028234663852886e38),
    ],
)  # fmt: skip
def test_the_files_no_data_value_never_reaches_the_network(
    tmp_path: Path, dtype: str, fill: float, metres: float
) -> None:
    image = numbers(dtype=dtype)
    gone = np.random.default_rng(1).random(SHAPE) < 0.3
    image[:, gone] = fill
    watched = Watched(metres)
    classes = masked(write(tmp_path / "scene.tif", image, nodata=fill), watched.model)
    np.testing.assert_array_equal(classes == 255, gone)
    assert watched.least >= 0.0499
    assert watched.greatest <= 0.4001


@pytest.mark.parametrize("metres", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_what_the_files_mask_hides_never_reaches_the_network(
    tmp_path: Path, dtype: str, metres: float
) -> None:
    image = numbers(dtype=dtype)
    there = np.random.default_rng(1).random(SHAPE) < 0.7
    image[:, ~there] = 9000
    watched = Watched(metres)
    classes = masked(write(tmp_path / "scene.tif", image, there), watched.model)
    np.testing.assert_array_equal(classes != 255, there)
    assert watched.greatest <= 0.4001


@pytest.mark.parametrize("metres", [5.0, 10.0, 20.0])
def test_zero_is_no_data_by_the_preset_though_the_file_names_another_value(
    tmp_path: Path, metres: float
) -> None:
    image = numbers()
    image[:, :, :31] = 0
    image[:, :, 31:45] = 65535
    watched = Watched(metres)
    classes = masked(write(tmp_path / "scene.tif", image, nodata=65535), watched.model)
    assert (classes[:, :45] == 255).all()
    assert (classes[:, 45:] != 255).all()
    assert watched.least >= 0.0499
    assert watched.greatest <= 0.4001


def test_a_file_of_no_data_costs_no_call(tmp_path: Path) -> None:
    model = identity()
    classes = masked(write(tmp_path / "scene.tif", numbers() * 0, nodata=0), model)
    assert (classes == 255).all()
    assert model.calls == 0


# -- growing --------------------------------------------------------------------------------


@pytest.mark.parametrize("metres", [10.0, 20.0])
def test_dilation_is_measured_in_metres_whatever_pixels_the_network_takes(
    tmp_path: Path, metres: float
) -> None:
    image = np.full((4, 60, 60), 1000, np.uint16)
    image[0] = 2000
    image[1, 30:32, 30:32] = 4000
    options = Options(output=Output(dilate=40))
    classes = masked(write(tmp_path / "scene.tif", image), of_pixels(metres), options=options)
    y, x = np.mgrid[:60, :60]
    distance = np.hypot(np.maximum(0, abs(y - 30.5) - 0.5), np.maximum(0, abs(x - 30.5) - 0.5))
    np.testing.assert_array_equal(classes == 1, distance <= 4)


# -- whole or absent ------------------------------------------------------------------------


def failing_after(calls: int, error: BaseException) -> FakeModel:
    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        if model.calls > calls:
            raise error
        return tiles.copy()

    model = FakeModel(answer)
    return model


@pytest.mark.parametrize("calls", [0, 10])
@pytest.mark.parametrize("error", [ModelError("broken"), KeyboardInterrupt("broken")])
def test_when_a_network_fails_the_old_files_stay_and_nothing_half_made(
    tmp_path: Path, calls: int, error: BaseException
) -> None:
    source = write(tmp_path / "scene.tif", numbers())
    masked(source, probabilities=tmp_path / "p.tif")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(type(error), match="broken"):
        masked(source, failing_after(calls, error), probabilities=tmp_path / "p.tif")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_old_mask_is_there_while_the_new_one_is_made(tmp_path: Path) -> None:
    source, output = write(tmp_path / "scene.tif", numbers()), tmp_path / "mask.tif"
    masked(source, constant(1))
    old = output.read_bytes()

    def answer(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        assert output.read_bytes() == old
        return tiles.copy()

    masked(source, FakeModel(answer))
    assert output.read_bytes() != old


# -- options --------------------------------------------------------------------------------


def test_a_resolution_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    """A file without a CRS has no metres; to run at its own pixels would be a silent guess."""
    source = write(tmp_path / "scene.tif", numbers(), crs=None)
    with pytest.raises(OptionError, match="resolution"):
        masked(source, resolution=30.0)


@pytest.mark.parametrize("name", ["./scene.tif", "folder/../scene.tif", "link.tif"])
def test_no_other_name_of_the_input_is_written_to(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "scene.tif", numbers())
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.tif").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(OptionError, match="is a file of the input too"):
        mask_file(FileJob(scene=source, output=tmp_path / name, models=(identity(),), quiet=True))
    assert source.read_bytes() == before


def test_probabilities_are_not_written_over_the_input(tmp_path: Path) -> None:
    source = write(tmp_path / "mask_probabilities.tif", numbers())
    before = source.read_bytes()
    with pytest.raises(OptionError, match="is a file of the input too"):
        masked(source, probabilities=source)
    assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["mask.tif", "deep/mask.tif"])
def test_nothing_is_written_into_a_scene_that_is_a_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "scene"
    (folder / "deep").mkdir(parents=True)
    for number, band in enumerate(BANDS):
        with rasterio.open(write(tmp_path / "all.tif", numbers())) as dataset:
            profile, image = dataset.profile, dataset.read(number + 1)
        with rasterio.open(folder / f"{band}.tif", "w", **{**profile, "count": 1}) as dataset:
            dataset.write(image, 1)
    with pytest.raises(OptionError, match=r"mask\.tif: lies inside the input"):
        FileJob(scene=folder, output=folder / name)


def test_a_path_of_several_scenes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = find_scenes(write(tmp_path / "scene.tif", numbers()))
    monkeypatch.setattr("cloudmask.local.filejob.find_scenes", lambda _source: one * 3)
    with pytest.raises(OptionError, match=r"one scene is wanted here, there are 3 \(scene, "):
        FileJob(scene="cube.zarr", output=tmp_path / "mask.tif")


@pytest.mark.parametrize("as_what", [str, Path, lambda path: find_scenes(path)[0]])
def test_a_scene_may_be_a_path(tmp_path: Path, as_what: Callable[[Path], Any]) -> None:
    source = write(tmp_path / "scene.tif", numbers())
    np.testing.assert_array_equal(masked(as_what(source)), numbers().argmax(axis=0))


# -- what the numbers mean ------------------------------------------------------------------


def test_without_a_preset_the_scenes_own_scale_and_offset_count(tmp_path: Path) -> None:
    image = numbers()
    source = write(tmp_path / "scene.tif", image, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 4, (-0.1,) * 4
    watched = Watched(10.0)
    masked(source, watched.model)
    assert watched.greatest == pytest.approx((image.max() - 1000.0) * 1e-4)
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert dataset.tags()["PRESET"] == "dn_n0400"


def test_a_preset_goes_before_what_the_scene_says(tmp_path: Path) -> None:
    image = numbers()
    source = write(tmp_path / "scene.tif", image, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 4, (-0.1,) * 4
    watched = Watched(10.0)
    masked(source, watched.model, preset="dn")
    assert watched.greatest == pytest.approx(image.max() * 1e-4)


def test_a_scene_that_says_nothing_is_taken_for_dn(tmp_path: Path) -> None:
    masked(write(tmp_path / "scene.tif", numbers()))
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert dataset.tags()["PRESET"] == "dn"


# -- how sure -------------------------------------------------------------------------------


def sure(source: Path, **job: Any) -> tuple[int, ...]:
    """Mask with a network whose answer is the spectrum, made to sum to 1."""
    spectrum = FakeModel(lambda tiles: tiles / tiles.sum(axis=1, keepdims=True))
    output = source.with_name("mask.tif")
    done = mask_file(FileJob(scene=source, output=output, models=(spectrum,), quiet=True, **job))
    return done.confidence


def test_pixels_are_counted_by_the_probability_of_their_class(tmp_path: Path) -> None:
    image = numbers()
    image[:, :, :9] = 0
    source = write(tmp_path / "scene.tif", image, nodata=0)
    valid = PRESETS["dn"].reflectance(image[:, :, 9:])
    shares = valid / valid.sum(axis=0)
    expected, _ = np.histogram(shares.max(axis=0), bins=20, range=(0, 1))
    assert sure(source) == tuple(expected.tolist())


@pytest.mark.parametrize(
    "more",
    [
        {"probabilities": "p.tif"},
        {"options": Options(output=Output(dilate=40))},
        {"probabilities": "p.tif", "options": Options(output=Output(dilate=40))},
    ],
    ids=["probabilities", "dilation", "both"],
)
@pytest.mark.parametrize("resolution", ["native", 20.0])
def test_how_sure_the_networks_were_does_not_depend_on_what_is_made_of_it(
    tmp_path: Path, more: dict[str, Any], resolution: Any
) -> None:
    source = write(tmp_path / "scene.tif", numbers(), nodata=0)
    asked = {key: tmp_path / value if key == "probabilities" else value
             for key, value in more.items()}  # fmt: skip
    found = sure(source, resolution=resolution, **asked)
    assert found == sure(source, resolution=resolution)


# -- the way to the network's pixels --------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3])
def test_a_network_trained_on_nearest_pixels_sees_them(tmp_path: Path, factor: int) -> None:
    image = numbers((72, 90))
    source = write(tmp_path / "scene.tif", image)
    spec = replace(fake_spec(), pixel_size=10.0 * factor, resampling="nearest")
    classes = masked(source, brightest_band(spec))
    picked = image[:, factor // 2 :: factor, factor // 2 :: factor].argmax(axis=0)
    np.testing.assert_array_equal(classes, np.kron(picked, np.ones((factor, factor), int)))


def test_no_data_at_the_nearest_pixel_is_no_data_for_all_it_stands_for(tmp_path: Path) -> None:
    image = numbers()
    image[:, np.random.default_rng(1).random(SHAPE) < 0.3] = 0
    source = write(tmp_path / "scene.tif", image, nodata=0)
    spec = replace(fake_spec(), pixel_size=20.0, resampling="nearest")
    classes = masked(source, brightest_band(spec))
    there = (image != 0).all(axis=0)
    picked = np.kron(there[1::2, 1::2], np.ones((2, 2), bool))
    np.testing.assert_array_equal(classes != 255, there & picked)


# -- memory ---------------------------------------------------------------------------------


def test_a_cap_that_is_too_small_is_refused_before_a_pixel_is_computed(tmp_path: Path) -> None:
    source, model = write(tmp_path / "scene.tif", numbers()), identity()
    with pytest.raises(OptionError, match="memory of 64 MiB is not enough"):
        masked(source, model, options=Options(memory=64 * 2**20))
    assert model.calls == 0
    assert not (tmp_path / "mask.tif").exists()


def test_a_cap_changes_no_mask(tmp_path: Path) -> None:
    source = write(tmp_path / "scene.tif", numbers())
    np.testing.assert_array_equal(
        masked(source, options=Options(memory=2**40)), masked(source, options=Options())
    )


def running(job: FileJob) -> int:
    """Give what is estimated for the run, less what the process and its networks hold."""
    needs = estimate(job)
    return needs.call + needs.tiles + needs.rows


@pytest.mark.parametrize(
    "more",
    [
        {"options": Options(stitch="blend", output=Output(dilate=200))},
        {"options": Options(stitch="blend", batch=8)},
        {"probabilities": "chances.tif"},
        {"quicklook": "look.png"},
    ],
    ids=["dilation", "batch", "probabilities", "quicklook"],
)
@pytest.mark.parametrize("metres", [10.0, 20.0])
def test_what_is_asked_for_besides_is_estimated(
    tmp_path: Path, metres: float, more: dict[str, Any]
) -> None:
    source = write(tmp_path / "scene.tif", numbers())
    places = {key: tmp_path / value for key, value in more.items() if key != "options"}
    plain = FileJob(
        scene=source, output=tmp_path / "mask.tif", models=(of_pixels(metres),),
        options=Options(stitch="blend"),
    )  # fmt: skip
    assert running(replace(plain, **more | places)) > running(plain)


@pytest.mark.parametrize("metres", [5.0, 10.0, 20.0])
def test_a_wider_file_is_estimated_to_take_more(tmp_path: Path, metres: float) -> None:
    found = []
    for width in (90, 180):
        source = write(tmp_path / f"{width}.tif", numbers((70, width)))
        job = FileJob(scene=source, output=tmp_path / "m.tif", models=(of_pixels(metres),))
        found.append(running(job))
    assert found[0] < found[1]
