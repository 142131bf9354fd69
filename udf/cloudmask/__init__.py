"""Cloud and cloud-shadow masks for Sentinel-2, the same wherever they are made.

`mask_clouds` masks an xarray cube; `Options` and its parts say how; `models` lists the networks;
`cloud_free`, `composite`, `clear_share` and others use the mask.
"""

from cloudmask.augment import TTA
from cloudmask.bands import PRESETS, Preset
from cloudmask.classes import CLASSES, Output
from cloudmask.cube import mask_clouds
from cloudmask.errors import CloudmaskError, PresetWarning
from cloudmask.options import Options
from cloudmask.registry import find as find_model
from cloudmask.registry import known as models
from cloudmask.runtime import Runtime
from cloudmask.uses import clear_share, cloud_free, composite, only_clear, valid_share

try:
    from cloudmask._version import __version__ as _built
except ModuleNotFoundError:
    # A source tree that was neither built nor installed: any number would be a guess.
    _built = "0.0.0+unknown"

__version__ = _built

__all__ = [
    "CLASSES",
    "PRESETS",
    "TTA",
    "CloudmaskError",
    "Options",
    "Output",
    "Preset",
    "PresetWarning",
    "Runtime",
    "clear_share",
    "cloud_free",
    "composite",
    "find_model",
    "mask_clouds",
    "models",
    "only_clear",
    "valid_share",
]
