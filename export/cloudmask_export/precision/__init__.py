"""Smaller and faster kinds of a network, each with what it costs in agreement."""

from cloudmask_export.precision.half import store_half
from cloudmask_export.precision.int8 import quantise

PRECISIONS = ("fp32", "fp16", "int8")

__all__ = ["PRECISIONS", "quantise", "store_half"]
