"""A scene that is cut or replaced while it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Run, WriteScene

MANY = ("cloudmask", "mask", "in/*.tif", "-o", "out/", "--threads", "1", "-m")


@pytest.fixture
def folder(write_scene: WriteScene, tmp_path: Path) -> Path:
    """A folder with two scenes."""
    for number in range(2):
        write_scene(tmp_path / "in" / f"{number}.tif", number, (300, 300))
    return tmp_path


def test_a_scene_that_is_cut_while_it_is_read_is_named_and_nothing_is_made_of_it(
    run: Run, folder: Path, tiny_network: Path, values: Any
) -> None:
    before = values.read(folder)
    scene = folder / "in" / "1.tif"
    harm = ("cut", str(scene))
    words = ("cloudmask", "mask", scene, "-o", "a.tif", "--threads", "1", "-m", tiny_network)
    end = run(folder, *words, fault=values.Fault(harm=harm, step=1))
    now = values.read(folder)
    assert end.status == 2
    assert "1.tif" in end.err
    assert "the file is damaged or incomplete" in end.err
    assert now.keys() == before.keys()


def test_a_scene_that_is_replaced_while_it_is_masked_is_masked_again_by_the_next_run(
    run: Run,
    folder: Path,
    write_scene: WriteScene,
    tiny_network: Path,
    values: Any,
    tmp_path: Path,
) -> None:
    other = write_scene(tmp_path / "other" / "0.tif", 9, (300, 310))
    harm = ("put", f"{other} {folder / 'in' / '0.tif'}")
    first = run(folder, *MANY, tiny_network, fault=values.Fault(harm=harm, step=12))
    again = run(folder, *MANY, tiny_network)
    assert first.status == 0, first.err
    assert "0: " in again.out
    assert "1 complete already" in again.out
