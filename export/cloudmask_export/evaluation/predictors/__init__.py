"""What makes masks to be scored: our networks, other people's programs, and files.

`predictor(name)` gives any of them behind one interface (`samples.Predictor`).
"""

from __future__ import annotations

from cloudmask_export.evaluation.predictors.choose import KINDS, network, peer, predictor
from cloudmask_export.evaluation.predictors.how import How
from cloudmask_export.evaluation.predictors.kept import Kept

__all__ = ["KINDS", "How", "Kept", "network", "peer", "predictor"]
