"""Two masks compared, whatever their class codes: `compare`."""

from cloudmask.local.compare.comparison import Comparison, compare
from cloudmask.local.compare.picture import draw
from cloudmask.local.compare.schemes import SCHEMES, Scheme

__all__ = ["SCHEMES", "Comparison", "Scheme", "compare", "draw"]
