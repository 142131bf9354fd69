"""A network is made, run beside the one that its authors wrote, and judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from cloudmask_export.build import VARIANTS, in_precision, with_manifest
from cloudmask_export.errors import ExportError
from cloudmask_export.parity import Parity, answers, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.build import Builder
    from cloudmask_export.tiles import Tiles

THRESHOLD = 99.0
"""Per cent of pixels that must have the class of the network in float32, if nothing else is said;
a way to make it smaller that falls short of it is followed by the next."""
EXACT = 1e-4
"""Greatest difference of a probability that a rewritten graph may make."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that has been tried."""

    content: bytes
    """The ONNX file."""
    rewrites: Parity
    """In float32, against the network as its authors wrote it."""
    precision: Parity | None
    """As shipped, against float32; None if it is float32."""
    seconds: float
    """Per megapixel."""
    imagery: str
    variant: str = ""
    """Which way it was made smaller, if it was."""

    @property
    def agreement(self) -> float:
        """Per cent of pixels that have the class of the network in float32."""
        return 100 * self.precision.equal if self.precision else 100.0

    def judge(self, threshold: float) -> None:
        """Refuse a network that is not what its weights are.

        Args:
            threshold: Per cent of pixels that must have the class of the network in float32.

        Raises:
            ExportError: Fewer have, or the rewrites changed a probability.
        """
        if self.rewrites.largest > EXACT:
            raise ExportError(
                f"the rewritten network's probabilities differ by {self.rewrites.largest:.1e} "
                f"from those of the network as its authors wrote it; {EXACT:g} is allowed. Its "
                "weights may be no trained ones"
            )
        if self.agreement < threshold:
            raise ExportError(
                f"{self.agreement:.2f} % of pixels have the class that the network gives in "
                f"float32, {threshold:g} % is asked for; keep fp32 or fp16, calibrate with "
                "--imagery of your own, or allow less with --threshold"
            )


def try_out(
    builder: Builder, precision: str, tiles: Tiles, manifest: dict[str, object],
    say: Callable[[str], None],
) -> Trial:  # fmt: skip
    """Make a network and compare it with the original.

    Args:
        builder: Of the weight file.
        precision: fp32, fp16 or int8.
        tiles: To calibrate and to compare on.
        manifest: To be put inside the file.
        say: Called with a few words before each step.
    """
    say("running the network as its authors wrote it")
    truth = answers(builder.as_written(), tiles.held_out)
    say("running it rewritten")
    text = json.dumps(manifest)
    content = with_manifest(builder.exact(), text)
    exact = answers(content, tiles.held_out)
    rewrites = compare(exact, truth)
    if precision == "fp32":
        return Trial(content, rewrites, None, exact.seconds, tiles.source)
    best: Trial | None = None
    for variant in VARIANTS[precision]:
        say(f"making it {variant}")
        model = in_precision(onnx.load_from_string(content), variant, tiles.calibration)
        smaller = with_manifest(model, text)
        shipped = answers(smaller, tiles.held_out)
        cost = compare(shipped, exact)
        found = Trial(smaller, rewrites, cost, shipped.seconds, tiles.source, variant)
        if best is None or found.agreement > best.agreement:
            best = found
        if best.agreement >= THRESHOLD:
            break
    assert best
    return best
