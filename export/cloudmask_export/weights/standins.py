"""What stands in for the objects that a pickle names: inert records, and which may be named.

A stand-in is made from the two strings in the pickle. Nothing is imported, looked up with
`getattr`, or called, so no name, dotted or not, can reach a Python object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.tensors import KINDS, Kind

MODULES = (
    "torch.nn.modules.",
    "fastai.layers",
    "fastai.torch_core",
    "fastai.callback.hook",
    "fastai.vision.models.unet",
    "timm.layers.",
    "timm.models.",
)
"""Modules, or with a trailing dot packages, whose classes and functions may be named."""
NAMES = frozenset(
    {
        "collections.OrderedDict",
        "builtins.getattr",
        "builtins.set",
        "torch.Size",
        "torch.Tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_tensor_v2",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.utils.hooks.RemovableHandle",
    }
)
STORAGES = {
    f"torch.{name}Storage": KINDS[kind]
    for name, kind in {
        "Double": "F64",
        "Float": "F32",
        "Half": "F16",
        "BFloat16": "BF16",
        "Long": "I64",
        "Int": "I32",
        "Short": "I16",
        "Char": "I8",
        "Byte": "U8",
        "Bool": "BOOL",
    }.items()
}
"""The types that torch names in its persistent ids."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names; only the name is known."""

    name: str
    """Module and name with a dot between."""


@dataclass(frozen=True, slots=True)
class StorageRef:
    """Where a tensor's elements lie: the member `data/KEY` of the zip."""

    kind: Kind
    key: str
    count: int
    """Elements."""


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor as the pickle describes it; nothing of it has been checked."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Ordered(dict[Any, Any]):
    """A `collections.OrderedDict`, told from a plain dict as only it may be given a state."""

    __slots__ = ()


class Inert:
    """An object of a class that stays unknown: its name, and the state that the pickle gives."""

    __slots__ = ("attributes", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.attributes: dict[Any, Any] = {}


def resolve(module: str, name: str) -> Global:
    """Let a global pass if it is on the lists above.

    Raises:
        WeightsError: naming it, if it is anything else.
    """
    # Python 2's spelling, which pickle's protocol 2 keeps.
    known = "builtins" if module == "__builtin__" else module
    full = f"{known}.{name}"
    if full in NAMES or full in STORAGES or (_in_networks(known) and _plain(known, name)):
        return Global(full)
    asked = f"{module}.{name}"[:200]
    raise WeightsError(
        f"data.pkl asks for {asked!a}, which is no part of a known "
        "network: refused, and nothing of the file was executed. If you trust its origin, load it "
        "with torch and save torch.save(model.state_dict(), ...) instead"
    )


def _in_networks(module: str) -> bool:
    return any(
        module.startswith(known) if known.endswith(".") else module == known for known in MODULES
    )


def _plain(module: str, name: str) -> bool:
    # A dotted name would climb through attributes (a.b.__globals__): no class here needs one.
    parts = [*module.split("."), name]
    return all(part.isidentifier() and not part.startswith("__") for part in parts)
