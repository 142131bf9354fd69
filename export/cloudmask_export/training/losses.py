"""What a network's answer costs where the truth is a set of classes. Torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from cloudmask_export.training.recipe import Loss


def cost(logits: Tensor, allowed: Tensor, kind: Loss) -> Tensor:
    """Score logits against sets.

    Cross-entropy of a set is minus the logarithm of the probability of all its classes together:
    for a set of one the usual, for the set of all nothing. Dice (Milletari et al. 2016) compares
    with the classes' shares within the set, as the network sees them now.

    Args:
        logits: (n, class, y, x).
        allowed: (n, class, y, x), True where the pixel may be the class.
        kind: Which.
    """
    log_p = logits.log_softmax(dim=1)
    inside = log_p.masked_fill(~allowed, -torch.inf).logsumexp(dim=1)
    # A pixel that may be anything says nothing.
    counts = ~allowed.all(dim=1)
    entropy = -(inside * counts).sum() / counts.sum().clamp(min=1)
    if kind == "cross-entropy":
        return entropy
    dice = _dice(log_p.exp(), allowed, counts)
    return dice if kind == "dice" else entropy + dice


def _dice(p: Tensor, allowed: Tensor, counts: Tensor) -> Tensor:
    within = p.detach() * allowed
    target = within / within.sum(dim=1, keepdim=True).clamp(min=1e-6)
    weight = counts[:, None]
    axes = (0, 2, 3)
    both = (p * target * weight).sum(axes)
    all_of = ((p + target) * weight).sum(axes)
    there = (target * weight).sum(axes) > 1
    score = (2 * both + 1) / (all_of + 1)
    return ((1 - score) * there).sum() / there.sum().clamp(min=1)
