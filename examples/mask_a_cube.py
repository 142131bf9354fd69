"""Mask a time series lazily, and take the mean of what is usable.

Three simulated dates of one place stand for a cube from odc-stac, rioxarray or Zarr.
"""

import numpy as np
import xarray as xr

from cloudmask import mask_clouds
from cloudmask.local.simulator import SceneSettings, simulate

dates = [
    simulate(SceneSettings(shape=(384, 384), pixel_size=20.0, seed=seed)) for seed in (1, 2, 3)
]
cube = xr.DataArray(
    np.stack([date.reflectance_dn for date in dates]),
    dims=("time", "band", "y", "x"),
    coords={
        "time": np.array(["2021-06-01", "2021-06-06", "2021-06-11"], "datetime64[ns]"),
        "band": list(dates[0].bands),
    },
).chunk({"time": 1, "y": 192, "x": 192})

mask = mask_clouds(cube, preset="dn").sel(band="mask")
print("lazy so far:", mask.chunks is not None)

usable = mask == 0
shares = usable.mean(("y", "x")).compute()
for date, share in zip(cube.time.values, shares.values, strict=True):
    print(f"{str(date)[:10]}: {100 * share:.0f} % usable")

composite = cube.where(usable).mean("time")
seen = composite.notnull().all("band").mean()
print(f"seen at least once: {100 * float(seen):.0f} %")
