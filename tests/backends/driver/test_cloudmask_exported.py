"""A weight file goes all the way: exported, bundled, sent as text, run by a back-end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from driver_client import neighborhood

from cloudmask import mask_clouds
from cloudmask_export.make import Made, make
from cloudmask_export.make import Order as ExportOrder
from cloudmask_openeo.bundle import Order, Target
from cloudmask_openeo.bundle import make as make_bundle
from cloudmask_openeo.text import udf_code

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from driver_client import Driver

ARCHITECTURE = "dynunet-regnety_006-13"
NAME = "v3.44_regnety_006_4C_Dice_1_20m.pkl"
STRIDE, MARGIN = 372, 64
"""Of CloudS2Mask's tiles of 500 pixels with 128 of overlap."""


@pytest.fixture(scope="module")
def exported(
    weight_files: Any, random_weights: Any, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """A CloudS2Mask network of random values, from a file as its authors publish it."""
    folder = tmp_path_factory.mktemp("weights")
    weight_files.write_pkl(folder / NAME, random_weights(ARCHITECTURE), layout="old")
    return make(folder / NAME, ExportOrder(folder=folder / "networks"))


@pytest.fixture(scope="module")
def archive(exported: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    targets = (Target(), Target(python="3.12"), Target(python="3.13"))
    here = next((target for target in targets if target.is_here), None)
    if here is None:
        pytest.skip("no archive can be made for this Python and platform")
    order = Order(
        models=(str(exported.path),),
        output=tmp_path_factory.mktemp("bundle") / "deps.zip",
        target=here,
        onnxruntime="installed",
        check=False,
    )
    return make_bundle(order).path


@pytest.mark.nightly
def test_a_weight_files_mask_is_the_same_at_a_back_end(
    driver: Driver, imagery: xr.DataArray, exported: Made, archive: Path, tmp_path: Path
) -> None:
    scene = imagery[:, :380, 100:500].expand_dims(t=pd.to_datetime(["2024-06-01"]))
    expected = mask_clouds(scene, exported.path, preset="dn")
    assert len(np.unique(expected.values)) > 3  # several classes, and no data
    context = {"model": exported.spec.name, "preset": "cdse", "chunk_overlap": MARGIN}
    code, size = udf_code("archive"), (STRIDE, STRIDE)
    graph = neighborhood(driver.load(scene), code, size, MARGIN, t=None, context=context)
    options = {
        "x-hide-packages": True,
        "udf-dependency-archives": [f"{archive}#cloudmask_deps"],
    }
    result = driver.batch(graph, tmp_path, options)
    wanted = expected.transpose("t", "bands", "y", "x")
    np.testing.assert_array_equal(result.values, wanted.values)
