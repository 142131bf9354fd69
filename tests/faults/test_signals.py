"""Ctrl-C and SIGTERM, wherever they come: one sentence, the usual status, no litter."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Run, WriteScene

SAID = {
    "SIGINT": "cloudmask: stopped; no file was left half written\n",
    "SIGTERM": "cloudmask: terminated; no file was left half written\n",
}


@pytest.fixture(params=SAID)
def name(request: pytest.FixtureRequest) -> str:
    """Name a signal."""
    found: str = request.param
    return found


WORKS = {
    "mask": ("cloudmask", "mask", "scene.tif", "-o", "a.tif", "-m", "NETWORK", "--threads", "1"),
    "batch": ("cloudmask", "mask", "in/*.tif", "-o", "out/", "-m", "NETWORK", "--threads", "1"),
    "report": ("cloudmask", "report", "out"),
    "export": ("export", ".", "new"),
    "bundle": ("bundle", "deps.zip"),
}


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("work", WORKS)
def test_a_signal_ends_work_with_a_sentence_and_no_litter(  # noqa: PLR0913, PLR0917
    run: Run, write_scene: WriteScene, tiny_network: Path, tmp_path: Path, values: Any,
    work: str, share: float, name: str,
) -> None:  # fmt: skip
    words = [tiny_network if each == "NETWORK" else each for each in WORKS[work]]
    ended = tmp_path / "ended"
    write_scene(ended / "scene.tif", 1)
    for number in range(2):
        write_scene(ended / "in" / f"{number}.tif", number)
    if work == "report":
        run(ended, *WORKS["batch"][:-3], tiny_network)
    whole = shutil.copytree(ended, tmp_path / "whole")
    before = values.read(ended)
    undisturbed = run(whole, *words)
    step = max(1, int(share * undisturbed.steps))
    end = run(ended, *words, fault=values.Fault(harm=("send", name), step=step))
    now = values.read(ended)
    assert (end.status, end.err) == (128 + signal.Signals[name], SAID[name])
    assert [each for each in now if values.hidden(each)] == []
    assert values.Promise(before, values.read(whole)).broken(now) == set()
