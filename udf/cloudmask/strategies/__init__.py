"""Made-up inputs for property tests: of this package, and of pipelines that use it.

Hypothesis strategies that draw what a user may have: cubes with awkward dimensions, dtypes, gaps,
coordinates and chunks, cubes that must be refused, tilings, options, manifests. docs/testing.md
shows a test that uses them. Needs hypothesis: `pip install 'openeo-cloudmask[testing]'`; nothing
else of this package imports it.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401 - asked for here, so that its absence is explained
except ImportError as error:
    raise ImportError(
        "cloudmask.strategies needs hypothesis: pip install 'openeo-cloudmask[testing]'"
    ) from error

from cloudmask.strategies.cubes import broken_cubes, cubes, recipes
from cloudmask.strategies.faults import FAULTS, Fault, faults
from cloudmask.strategies.manifests import damaged_manifests, manifests
from cloudmask.strategies.options import options
from cloudmask.strategies.recipe import Recipe
from cloudmask.strategies.specs import specs
from cloudmask.strategies.tilings import tilings

__all__ = [
    "FAULTS",
    "Fault",
    "Recipe",
    "broken_cubes",
    "cubes",
    "damaged_manifests",
    "faults",
    "manifests",
    "options",
    "recipes",
    "specs",
    "tilings",
]
