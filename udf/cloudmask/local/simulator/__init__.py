"""Simulated Sentinel-2 scenes with exact truth, for demos, tests and training.

Spectra of materials lie under a single-scattering atmosphere and two-stream clouds, whose
shadows are cast along the sun's rays. The modules name the sources, and say where a number is
only a round value. `add_clouds` puts drawn clouds (`clouds.make_clouds`) over real scenes.
"""

from cloudmask.local.simulator.compose import add_clouds
from cloudmask.local.simulator.scene import Scene, simulate
from cloudmask.local.simulator.settings import SceneSettings

__all__ = ["Scene", "SceneSettings", "add_clouds", "simulate"]
