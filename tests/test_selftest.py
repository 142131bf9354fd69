"""A network's own test tells the network it was made with from any other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.classes import CLEAR, SHADOW, THICK
from cloudmask.classes import PROBABILITY_STEPS as STEPS
from cloudmask.engines import providers_here
from cloudmask.errors import ModelError
from cloudmask.registry import known
from cloudmask.runtime import Runtime
from cloudmask.selftest import answer, self_test
from cloudmask.testing import FakeModel, constant, fake_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.registry import Entry

NAMES = ["ukis-4b-l1c", "ukis-4b-l2a", "ukis-6b-l1c", "ukis-6b-l2a"]


def entry_of(name: str) -> Entry:
    entry = known()[name]
    if not entry.installed:
        pytest.skip("ukis-csmask is not installed")
    return entry


def moved(entry: Entry, folder: Path) -> Entry:
    """Copy the test's files to a folder where they may be changed."""
    test = entry.spec.test
    assert test
    for name in (test.input, test.output):
        shutil.copy(Path(str(entry.folder / name)), folder / name)
    return replace(entry, folder=folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_the_package_gives_the_answer_it_gave(name: str) -> None:
    found = self_test(entry_of(name))
    assert found
    assert found.good


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_answer_is_worth_comparing(name: str) -> None:
    test = known()[name].spec.test
    assert test
    kept = np.load(Path(str(known()[name].folder / test.output)))
    shares = np.bincount(kept.argmax(axis=0).ravel(), minlength=len(kept)) / kept[0].size
    assert (shares > 0.1).all()


def test_another_networks_answer_is_noticed(tmp_path: Path) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    other = known()["ukis-4b-l2a"].spec.test
    assert entry.spec.test
    assert other
    shutil.copy(Path(str(known()["ukis-4b-l2a"].folder / other.output)), tmp_path)
    (tmp_path / other.output).rename(tmp_path / entry.spec.test.output)
    found = self_test(entry)
    assert found
    assert not found.good


def test_an_answer_of_another_shape_is_refused(tmp_path: Path) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    np.save(tmp_path / entry.spec.test.output, np.zeros((4, 64, 64), np.uint8))
    with pytest.raises(ModelError, match=r"answer of shape \(4, 64, 64\)"):
        self_test(entry)


def test_a_test_file_with_python_objects_is_refused(tmp_path: Path) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    np.save(tmp_path / entry.spec.test.input, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ModelError, match="cannot be read"):
        self_test(entry)


def test_a_network_without_a_test_has_no_result() -> None:
    entry = known()["cloudmask-s2-small-4b"]
    assert self_test(replace(entry, spec=replace(entry.spec, test=None))) is None


def test_an_answer_is_kept_in_whole_steps() -> None:
    model = constant(THICK, fake_spec(classes=(CLEAR, THICK, SHADOW)))
    numbers = np.full((4, 20, 20), 1000, np.uint16)
    found = answer(model, numbers, ("B02", "B03", "B04", "B08"))
    assert found[1].tolist() == [[STEPS] * 20] * 20
    assert found[[0, 2]].max() == 0


# -- how it is run --------------------------------------------------------------------------


def test_a_test_is_run_as_it_is_asked_to_be() -> None:
    absent = next(name for name in ("directml", "coreml") if name not in providers_here())
    with pytest.raises(ModelError, match=f"provider '{absent}' .* is not installed"):
        self_test(entry_of("ukis-4b-l1c"), Runtime(provider=absent))


@pytest.mark.parametrize(
    ("changes", "shape", "edge"),
    [
        ({"tile": 1000, "overlap": 300}, (128, 128), 128),
        ({"tile": 1000, "overlap": 300}, (40, 100), 100),
        ({"tile": 1024, "overlap": 256, "multiple": 32}, (100, 70), 128),
        ({"tile": 1024, "overlap": 256, "multiple": 32}, (64, 64), 64),
        ({"tile": 16, "overlap": 4}, (40, 40), 40),
        ({"tile": 64, "overlap": 16, "fixed_tile": True}, (40, 40), 64),
        ({"tile": 16, "overlap": 4, "fixed_tile": True}, (40, 40), 16),
    ],
)
def test_a_network_of_free_tiles_is_asked_about_tiles_that_just_hold_the_image(
    changes: dict[str, Any], shape: tuple[int, int], edge: int
) -> None:
    seen = []

    def noted(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(tiles.shape[2:])
        return tiles.copy()

    model = FakeModel(noted, replace(fake_spec(), **changes))
    steps = np.random.default_rng(0).integers(1, STEPS, (4, *shape), np.uint16)
    found = answer(model, steps * (10000 // STEPS), ("B02", "B03", "B04", "B08"))
    assert set(seen) == {(edge, edge)}
    np.testing.assert_array_equal(found, steps)


def test_a_test_image_with_too_few_bands_is_refused(tmp_path: Path) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    np.save(tmp_path / entry.spec.test.input, np.ones((2, 64, 64), np.uint16))
    with pytest.raises(ModelError, match="its test image has 2 bands, the manifest names "):
        self_test(entry)


@pytest.mark.parametrize("shape", [(), (64, 64), (4, 0, 64), (1, 4, 64, 64)])
def test_a_test_image_that_is_none_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    np.save(tmp_path / entry.spec.test.input, np.ones(shape, np.uint16))
    with pytest.raises(ModelError, match=r"has shape .*must be \(band or channel, y, x\)"):
        self_test(entry)


def test_a_test_file_that_is_an_archive_is_refused(tmp_path: Path) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    with (tmp_path / entry.spec.test.input).open("wb") as file:
        np.savez(file, np.ones((4, 64, 64)))
    with pytest.raises(ModelError, match="cannot be read"):
        self_test(entry)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 8",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 10000000000, 80000), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 8L, 8), 'x': (",
        "(" * 5000,
    ],
    ids=["cut off", "larger than any memory", "of Python 2, cut off", "deep"],
)
def test_a_test_file_with_a_damaged_header_is_refused(tmp_path: Path, header: str) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)
    (tmp_path / entry.spec.test.input).write_bytes(content)
    with pytest.raises(ModelError, match=r"test file .*\.npy cannot be read"):
        self_test(entry)


@pytest.mark.parametrize("dtype", ["<c8", "<U3", "<M8[s]", [("a", "<u2")]])
def test_a_test_file_of_no_real_numbers_is_refused(tmp_path: Path, dtype: Any) -> None:
    entry = moved(entry_of("ukis-4b-l1c"), tmp_path)
    assert entry.spec.test
    np.save(tmp_path / entry.spec.test.input, np.zeros((4, 64, 64), dtype))
    with pytest.raises(ModelError, match=r"test file .*\.npy has the dtype .*real numbers"):
        self_test(entry)
