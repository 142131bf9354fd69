"""Dependency archives: all that a back-end's workers need to run the UDF, in one zip file.

Unpacked as the folder `cloudmask_deps` an archive is

    openeo_cloudmask-VERSION-py3-none-any.whl   our core with its own networks, imported as it is
    onnxruntime/ ...                            ONNX Runtime for the target, what inference needs
    cloudmask_models/NAME.onnx, NAME.json ...   other networks, manifests, tests, licences
    bundle.json                                 versions, target, hashes
"""

from cloudmask_openeo.bundle.archive import ArchiveError
from cloudmask_openeo.bundle.contents import Order
from cloudmask_openeo.bundle.make import Bundle, BundleWarning, make
from cloudmask_openeo.bundle.report import run_bundle
from cloudmask_openeo.bundle.target import Target

__all__ = [
    "ArchiveError",
    "Bundle",
    "BundleWarning",
    "Order",
    "Target",
    "make",
    "run_bundle",
]
