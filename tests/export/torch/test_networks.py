"""Exported networks answer as the authors' own do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.families import families, family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.families import Family

# Whichever test asks first for a network waits for the authors' side to make and run it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOLERANCE = 1e-4
"""Of a probability."""
TIE = 1e-4
"""Where the authors' two best classes are nearer than this, rounding decides between them: each
may be off by half of it, and their own network in float64 differs from itself in float32 by as
much. Almost no pixel is."""


def fitting(architecture: str) -> Family:
    return next(each for each in families().values() if architecture in each.architectures)


def check(ours: NDArray[np.float32], theirs: NDArray[np.float32], what: str) -> None:
    assert np.abs(ours - theirs).max() <= TOLERANCE, what
    second, best = np.sort(theirs, axis=1)[:, -2:].swapaxes(0, 1)
    decided = best - second > TIE
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1))[decided].all(), what
    assert decided.mean() > 0.9998, what
    assert np.unique(theirs.argmax(axis=1)).size == theirs.shape[1], what


def test_probabilities_and_classes_are_those_of_the_authors(authors: Any, exported: Any) -> None:
    each = fitting(authors.architecture)
    network = exported(authors.weights, authors.architecture, each)
    for shape, image, theirs in _forwards(authors.folder):
        if all(size % each.multiple == 0 for size in image.shape[2:]):
            check(network(image), theirs, shape)
        else:  # such a tile is never asked for
            assert authors.architecture.startswith("slim-")


@pytest.mark.nightly
def test_a_network_of_three_classes_with_relu_is_the_authors(
    lab: Any, exported: Any, tmp_path: Path
) -> None:
    architecture, shape = "dynunet-regnety_006-13", "1x164x236"
    options = ["--classes", "3", "--activation", "ReLU", "--shapes", shape]
    lab("author.py", architecture, "--out", tmp_path, *options)
    network = exported(tmp_path / "weights.pkl", architecture, family("clouds2mask-20m-3c"))
    ((_, image, theirs),) = _forwards(tmp_path)
    check(network(image), theirs, shape)


def _forwards(folder: Path) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    for path in sorted(folder.glob("*x*x*.npz")):
        with np.load(path) as file:
            yield path.stem, file["image"], file["probabilities"]
