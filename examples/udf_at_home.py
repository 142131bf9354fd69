"""For UDF authors: the text that a back-end would run, tried at home, chunk by chunk."""

from __future__ import annotations

import numpy as np
import xarray as xr
from openeo.udf import UdfData, XarrayDataCube
from openeo.udf.run_code import run_udf_code

from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_openeo import udf_code

SIZE, OVERLAP = 192, 32  # of a chunk: the stride of the network's tiles, half their overlap

# A scene as the Copernicus Data Space hands it over: float32, NaN where there is nothing.
scene = simulate(SceneSettings(shape=(SIZE, 2 * SIZE), pixel_size=20.0, seed=4))
numbers = scene.reflectance_dn.astype(np.float32)
numbers[numbers == 0] = np.nan
cube = xr.DataArray(
    numbers,
    dims=("bands", "y", "x"),
    coords={"bands": list(scene.bands)},
    attrs={"t": "2023-06-01"},
)
context = {"preset": "cdse", "chunk_overlap": OVERLAP}

# Back-ends pad with NaN where the cube ends, and cut the overlap off the answer.
padded = cube.pad(y=OVERLAP, x=OVERLAP, constant_values=np.nan)
text = udf_code()
for left in (0, SIZE):
    chunk = padded.isel(x=slice(left, left + SIZE + 2 * OVERLAP))
    data = UdfData(datacube_list=[XarrayDataCube(chunk)], user_context=context)
    (answer,) = run_udf_code(text, data).get_datacube_list()
    inner = answer.array.isel(y=slice(OVERLAP, -OVERLAP), x=slice(OVERLAP, -OVERLAP))
    share = float(inner.sel(bands="mask").mean())
    print(f"chunk from column {left:3}: {dict(inner.sizes)} {inner.dtype}, {share:.0%} masked")
