"""s2cloudless by subprocess; a stand-in under its name is run where the real one is not."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

from cloudmask.bands import SENTINEL2
from cloudmask_export.evaluation.predictors import How, cloudless, peer
from cloudmask_export.evaluation.predictors.cloudless import BANDS, PEER_PYTHON, SETTINGS
from cloudmask_export.evaluation.predictors.outside import s2cloudless_worker as worker
from cloudmask_export.evaluation.predictors.process import Outside
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.evaluation.samples import Sample

HERE = How(peer_python=sys.executable)

STANDIN = """
import sys
import numpy as np

print("what a library prints is no answer")
print("so does this", file=sys.stderr)


class S2PixelCloudDetector:
    def __init__(self, **settings):
        self.settings = settings

    def get_cloud_masks(self, data):
        assert data.ndim == 4 and data.shape[-1] == 10, data.shape
        assert data.dtype == np.float32, data.dtype
        assert np.isfinite(data).all()
        if (data == 7).any():
            raise RuntimeError("seven")
        how = self.settings
        assert how["all_bands"] is False
        if how["average_over"] is None:
            assert how["dilation_size"] is None
            return (data[..., 0] > how["threshold"]).astype(np.int8)
        assert (how["average_over"], how["dilation_size"]) == (4, 2)
        return (data[..., 9] > how["threshold"]).astype(np.uint8)
"""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a subprocess find a package s2cloudless, whose first or last band is the probability."""
    (tmp_path / "s2cloudless.py").write_text(STANDIN, "utf-8")
    about = tmp_path / "s2cloudless-9.8.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text("Name: s2cloudless\nVersion: 9.8\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PEER_PYTHON, raising=False)
    monkeypatch.setattr(cloudless, "find_spec", lambda _name: None)


def thirteen() -> Any:
    """(13, y, x): B01 counts up the rows, B12 up the columns, 0.0 to 0.9."""
    steps = np.arange(10, dtype=np.float32) / 10
    image = np.zeros((13, 10, 10), np.float32)
    image[0], image[12] = steps[:, None], steps[None, :]
    return image


def test_it_gets_its_ten_bands_in_its_order_and_settings(
    sample: Callable[..., Sample], standin: None
) -> None:
    image = sample(thirteen(), bands=tuple(SENTINEL2))
    above = np.arange(10) > 4
    made = peer("s2cloudless", HERE).predict(image)
    assert (made == np.broadcast_to(above[None, :], (10, 10))).all()
    raw = peer("s2cloudless-raw", HERE).predict(image)
    assert (raw == np.broadcast_to(above[:, None], (10, 10))).all()


def test_several_images_are_asked_of_one_process(
    sample: Callable[..., Sample], standin: None
) -> None:
    started = peer("s2cloudless", HERE)
    image = thirteen()
    for value in (0.1, 0.9, 0.1):
        image[12] = value
        assert (started.predict(sample(image, bands=tuple(SENTINEL2))) == (value > 0.4)).all()


def test_no_data_is_not_shown_to_it_and_stays_no_data(
    sample: Callable[..., Sample], standin: None
) -> None:
    image = thirteen()
    image[12] = 0.9
    image[3, 2, 5] = np.nan
    mask = peer("s2cloudless", HERE).predict(sample(image, bands=tuple(SENTINEL2)))
    assert mask[2, 5] == 255
    assert np.count_nonzero(mask != 1) == 1


def test_the_title_says_version_and_settings(standin: None) -> None:
    assert (
        peer("s2cloudless", HERE).title == "s2cloudless 9.8, average 4, dilation 2, threshold 0.4"
    )


def test_the_python_may_be_named_by_the_environment(
    standin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PEER_PYTHON, sys.executable)
    assert peer("s2cloudless").title.startswith("s2cloudless 9.8")


def test_the_program_ends_with_whoever_asked_it(standin: None) -> None:
    script = Path(worker.__file__)
    outside = Outside.started(sys.executable, script, SETTINGS["s2cloudless"].words)
    outside.heard()
    process = outside._process
    assert process.poll() is None
    del outside
    gc.collect()
    assert process.poll() == 0


def test_without_the_package_it_says_what_to_do(absent: None) -> None:
    with pytest.raises(
        EvaluationError, match=r"s2cloudless is not installed; pip install .*--peer"
    ):
        peer("s2cloudless")


def test_a_python_without_the_package_is_refused_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s2cloudless.py").write_text("raise ModuleNotFoundError('none here')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EvaluationError, match=r"status 1: .*none here; pip install s2cloudless"):
        peer("s2cloudless", HERE)


def test_a_python_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    how = How(peer_python=str(tmp_path / "python"))
    with pytest.raises(EvaluationError, match=r"cannot be run .*--peer-python"):
        peer("s2cloudless", how)


def test_what_goes_wrong_inside_is_said(sample: Callable[..., Sample], standin: None) -> None:
    image = thirteen()
    image[0, 0, 0] = 7
    started = peer("s2cloudless", HERE)
    with pytest.raises(EvaluationError, match=r"ended with status 1: RuntimeError: seven"):
        started.predict(sample(image, bands=tuple(SENTINEL2)))
    with pytest.raises(EvaluationError, match=r"ended with status 1"):
        started.predict(sample(image, bands=tuple(SENTINEL2)))


def test_missing_bands_and_l2a_are_refused(sample: Callable[..., Sample], standin: None) -> None:
    started = peer("s2cloudless", HERE)
    with pytest.raises(EvaluationError, match=r"s2cloudless needs B01, B05, B8A, B09, B10, B11"):
        started.predict(sample(np.zeros((4, 3, 3))))
    surface = sample(thirteen(), bands=tuple(SENTINEL2), level="L2A")
    with pytest.raises(EvaluationError, match=r"a_1 is of level L2A; s2cloudless needs level L1C"):
        started.predict(surface)


def test_its_bands_are_those_that_its_makers_name() -> None:
    # "bands 1, 2, 4, 5, 8, 8A, 9, 10, 11, 12", as S2PixelCloudDetector says.
    numbers = ["1", "2", "4", "5", "8", "8A", "9", "10", "11", "12"]
    assert list(BANDS) == ["B" + each.zfill(2) for each in numbers]
