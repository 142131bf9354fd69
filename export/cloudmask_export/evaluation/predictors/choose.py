"""Names of predictors, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.evaluation.predictors.how import USUAL, How
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from cloudmask_export.evaluation.samples import Predictor

KINDS = {
    "NETWORK": "a network of ours by name, family or path of an .onnx file; several joined by + "
    "answer together",
    "s2cloudless": "s2cloudless: averaged over 4 pixels, grown by 2, threshold 0.4",
    "s2cloudless-raw": "s2cloudless: the threshold alone",
    "ukis:4b_l1c": "ukis-csmask's own code with one of its networks (4b or 6b, l1c or l2a); @30 "
    "behind runs it at 30 m",
    "files:FOLDER": "masks that are there, found by the sample's name; :SCHEME behind says what "
    "their codes mean",
}
"""Form of a name -> what it means."""


def predictor(name: str, how: How = USUAL) -> Predictor:
    """Get ready what makes masks.

    Args:
        name: One of the forms of `KINDS`.
        how: How to run it.

    Raises:
        EvaluationError: There is no such thing, or it is not installed.
    """
    return peer(name, how) if is_peer(name) else network(name, how)


def is_peer(name: str) -> bool:
    """Tell names of peers and files from those of networks."""
    return name.startswith(("s2cloudless", "ukis:", "files:"))


def network(name: str, how: How = USUAL) -> Predictor:
    """Open a network of ours, or several joined by "+".

    Raises:
        EvaluationError: One is unknown, absent or damaged, or they do not fit together.
    """
    from cloudmask_export.evaluation.predictors.networks import Networks

    return Networks.named(name, how)


def peer(name: str, how: How = USUAL) -> Predictor:
    """Start a peer, or look into a folder of masks.

    Raises:
        EvaluationError: There is none of that name, or it is not installed.
    """
    if name.startswith("files:"):
        from cloudmask.local.compare.schemes import SCHEMES
        from cloudmask_export.evaluation.labels import LABELS
        from cloudmask_export.evaluation.predictors.files import Files

        return Files.named(name, {**SCHEMES, **LABELS})
    if name.startswith("ukis:"):
        from cloudmask_export.evaluation.predictors.ukis import Ukis

        return Ukis.named(name)
    from cloudmask_export.evaluation.predictors.cloudless import SETTINGS, S2cloudless

    if name in SETTINGS:
        return S2cloudless.named(name, how)
    known = ", ".join(list(KINDS)[1:])
    raise EvaluationError(f"peer {name!r}: choose among {known}")
