from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from cloudmask_export import trial as module
from cloudmask_export.build import VARIANTS
from cloudmask_export.errors import ExportError
from cloudmask_export.parity import Parity
from cloudmask_export.tiles import Tiles
from cloudmask_export.trial import Trial, try_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXACT = Parity(tiles=1, pixels=100, largest=1e-6, mean=1e-7, equal=1.0, worst=1.0)


@pytest.fixture
def trial() -> Callable[..., Trial]:
    def make(equal: float | None, largest: float = 1e-6) -> Trial:
        cost = None if equal is None else replace(EXACT, equal=equal, largest=0.5)
        return Trial(b"", replace(EXACT, largest=largest), cost, 1.0, "tiles")

    return make


@pytest.mark.parametrize("equal", [0.99, 0.995, 1.0, None])
def test_a_network_that_agrees_enough_is_taken(
    trial: Callable[..., Trial], equal: float | None
) -> None:
    trial(equal).judge(99.0)


def test_a_network_that_agrees_too_little_is_refused_with_both_figures_and_the_remedies(
    trial: Callable[..., Trial],
) -> None:
    with pytest.raises(ExportError, match=r"98\.90 % of pixels .* 99 % is asked for") as caught:
        trial(0.989).judge(99.0)
    for remedy in ("fp32", "fp16", "--imagery", "--threshold"):
        assert remedy in str(caught.value)


@pytest.mark.parametrize("largest", [1.01e-4, 0.9])
@pytest.mark.parametrize("equal", [None, 1.0])
def test_a_rewritten_network_that_is_another_is_refused_whatever_is_allowed(
    trial: Callable[..., Trial], largest: float, equal: float | None
) -> None:
    with pytest.raises(ExportError, match="from those of the network as its authors wrote it"):
        trial(equal, largest).judge(0.0)


def test_a_rewritten_network_may_differ_in_the_last_digits(trial: Callable[..., Trial]) -> None:
    trial(None, 1e-4).judge(100.0)


@dataclass(frozen=True)
class FakeBuilder:
    """Builds the same network whatever is asked for."""

    path: Path

    def as_written(self) -> bytes:
        """See `Builder`."""
        return self.path.read_bytes()

    def exact(self) -> onnx.ModelProto:
        """See `Builder`."""
        return onnx.load(self.path)


def test_a_network_is_never_judged_by_what_it_was_calibrated_with(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration, held_out = (
        tuple(np.random.default_rng(seed).random((number, 4, 32, 32), np.float32))
        for seed, number in ((0, 2), (1, 3))
    )
    judged, calibrated = [], []
    original = module.__dict__["answers"]

    def answers(network: bytes, tiles: Any) -> Any:
        judged.append(tiles)
        return original(network, tiles)

    def in_precision(model: Any, _precision: str, tiles: Any) -> Any:
        calibrated.append(tiles)
        return model

    monkeypatch.setattr(module, "answers", answers)
    monkeypatch.setattr(module, "in_precision", in_precision)
    tiles = Tiles(calibration, held_out, "scene.tif")
    builder: Any = FakeBuilder(tiny_network)
    found = try_out(builder, "int8", tiles, {}, lambda _: None)
    assert calibrated == [calibration]
    assert judged == [held_out] * 3
    assert (found.rewrites.tiles, found.imagery) == (3, "scene.tif")


@pytest.fixture
def tried(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Trial, list[str]]]:
    """Try int8 where each way to make it adds so much noise to the weights."""

    def at(noise: dict[str, float]) -> tuple[Trial, list[str]]:
        asked = []

        def in_precision(model: onnx.ModelProto, variant: str, _tiles: Any) -> onnx.ModelProto:
            asked.append(variant)
            (mix,) = model.graph.initializer
            values = onnx.numpy_helper.to_array(mix)
            draw = np.random.default_rng(0).normal(size=values.shape)
            changed = (values + noise[variant] * draw).astype(np.float32)
            mix.CopyFrom(onnx.numpy_helper.from_array(changed, mix.name))
            return model

        monkeypatch.setattr(module, "in_precision", in_precision)
        held_out = tuple(np.random.default_rng(1).random((2, 4, 32, 32), np.float32))
        builder: Any = FakeBuilder(tiny_network)
        return try_out(builder, "int8", Tiles((), held_out, ""), {}, lambda _: None), asked

    return at


ALL, DECODER = VARIANTS["int8"]


def test_a_network_that_agrees_is_made_small_in_one_way_only(tried: Any) -> None:
    found, asked = tried({ALL: 0.0, DECODER: 0.0})
    assert (found.variant, found.agreement, asked) == (ALL, 100.0, [ALL])


def test_one_that_agrees_too_little_is_made_small_in_the_decoder(tried: Any) -> None:
    found, asked = tried({ALL: 5.0, DECODER: 0.0})
    assert (found.variant, found.agreement, asked) == (DECODER, 100.0, [ALL, DECODER])


def test_the_better_of_two_bad_ones_is_kept(tried: Any) -> None:
    found, asked = tried({ALL: 1.0, DECODER: 20.0})
    assert (found.variant, asked) == (ALL, [ALL, DECODER])
    assert found.agreement < 99
