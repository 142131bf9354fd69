"""Any function from reflectance to class probabilities can be a network.

Here a threshold on blue and on the near infrared, which is no good cloud mask, but shows all that
the rest of the package asks of one: a spec, and a call on (n, band, y, x).
"""

import numpy as np
import xarray as xr

from cloudmask import mask_clouds
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.spec import ModelSpec


class Thresholds:
    """Bright in the blue is cloud, dark in the near infrared is shadow."""

    spec = ModelSpec(
        name="thresholds", bands=("B02", "B08"), classes=(0, 1, 3), tile=128, overlap=32
    )

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Answer (n, 3, y, x) for (n, 2, y, x) reflectance."""
        cloud = tiles[:, 0] > 0.25
        shadow = (tiles[:, 1] < 0.12) & ~cloud
        return np.stack([~cloud & ~shadow, cloud, shadow], axis=1).astype(np.float32)


scene = simulate(SceneSettings(shape=(384, 384), seed=1))
cube = xr.DataArray(
    scene.reflectance_dn, dims=("band", "y", "x"), coords={"band": list(scene.bands)}
)
mask = mask_clouds(cube, Thresholds())

agree = (mask.sel(band="class").values == scene.truth)[scene.truth != 255].mean()
print(f"right in {100 * agree:.0f} % of the pixels")
