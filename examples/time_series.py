"""From a time series to its clear dates and a cloud-free composite.

Six simulated dates of one place stand for a cube from odc-stac, rioxarray or Zarr.
"""

import numpy as np
import xarray as xr

from cloudmask import clear_share, cloud_free, composite, mask_clouds, only_clear, valid_share
from cloudmask.local.simulator import SceneSettings, simulate

dates = [simulate(SceneSettings(shape=(192, 192), seed=seed)) for seed in range(6)]
cube = xr.DataArray(
    np.stack([date.reflectance_dn for date in dates]),
    dims=("t", "bands", "y", "x"),
    coords={
        "t": np.datetime64("2021-06-01", "ns") + 5 * np.arange(6) * np.timedelta64(1, "D"),
        "bands": list(dates[0].bands),
    },
).chunk({"t": 1})

mask = mask_clouds(cube, "ukis-4b-l1c", preset="dn").persist()
clear, valid = clear_share(mask).compute(), valid_share(mask).compute()
for date in cube.t.values:
    shares = clear.sel(t=date).item(), valid.sel(t=date).item()
    print(f"{str(date)[:10]}: {100 * shares[0]:3.0f} % clear of {100 * shares[1]:.0f} % valid")

least = float(clear.quantile(0.5))
kept = only_clear(cube, mask, least)
print(f"{kept.sizes['t']} dates are {100 * least:.0f} % clear or more")

free = cloud_free(kept, mask.sel(t=kept.t))
red, near = free.sel(bands="B04"), free.sel(bands="B08")
greenness = ((near - red) / (near + red)).mean(("y", "x")).compute()
for date, value in zip(kept.t.values, greenness.values, strict=True):
    print(f"{str(date)[:10]}: NDVI of the clear pixels {value:.2f}")

best = composite(cube, mask).compute()
print(f"composite: {float((best.observations > 0).mean()):.0%} of the pixels seen at least once")
