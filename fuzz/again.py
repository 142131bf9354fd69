"""What a finding needs to be tried again: `python -c "from fuzz.again import *; ..."`."""

from cloudmask.augment import TTA
from cloudmask.bands import Preset
from cloudmask.classes import Output
from cloudmask.options import Options
from cloudmask.runtime import Runtime
from cloudmask.strategies import Recipe
from cloudmask.windows import Tiling
from fuzz.cubes import Case
from fuzz.cubes import judge as judge_cube
from fuzz.tilings import Cut
from fuzz.tilings import judge as judge_tiling

__all__ = [
    "TTA",
    "Case",
    "Cut",
    "Options",
    "Output",
    "Preset",
    "Recipe",
    "Runtime",
    "Tiling",
    "judge_cube",
    "judge_tiling",
]
