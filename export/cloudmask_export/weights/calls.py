"""What becomes of the calls, objects and storages in a pickle: records, by fixed rules.

torch writes few calls (`torch/_utils.py`: `_rebuild_tensor_v2` and its relatives). Each has a
function here that looks at its arguments; any other allowed name gives an inert stand-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.standins import (
    STORAGES,
    Global,
    Inert,
    Ordered,
    StorageRef,
    TensorRef,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REBUILDERS = frozenset(
    {
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
    }
)
"""What `_rebuild_from_type_v2` may apply."""


def odd(what: str) -> WeightsError:
    """Make the error for what torch never writes."""
    return WeightsError(f"data.pkl is not as torch writes it: {what}; download the file again")


def described(value: Any) -> str:
    """Say in a message what a value is."""
    # Never the value itself: it may be nested without end.
    if isinstance(value, Global | Inert):
        return repr(value.name if isinstance(value, Global) else value.kind)
    return f"a {type(value).__name__}"


def _tensor(*args: Any) -> TensorRef:
    storage, offset, shape, strides, *_ = args
    if not isinstance(storage, StorageRef):
        raise odd(f"a tensor is made on {described(storage)}, not on a storage")
    if type(offset) is not int or not (_integers(shape) and _integers(strides)):
        raise odd("a tensor's offset, shape or strides are not integers")
    return TensorRef(storage, offset, shape, strides)


def _integers(value: Any) -> bool:
    return type(value) is tuple and all(type(n) is int for n in value)


def _parameter(*args: Any) -> TensorRef:
    tensor = args[0]
    if not isinstance(tensor, TensorRef):
        raise odd(f"a parameter is made of {described(tensor)}, not of a tensor")
    return tensor


def _typed(function: Any, _: Any, args: Any, *__: Any) -> Any:
    """Rebuild a tensor of a subclass; the subclass is of no concern."""
    if not isinstance(function, Global) or function.name not in REBUILDERS:
        raise odd(f"a tensor is rebuilt with {described(function)}")
    return called(function, args)


def _set(members: Any) -> list[Any]:
    """Let the list stand for the set: one copied again and again would fill the memory."""
    if type(members) is not list:
        raise odd(f"a set is made of {described(members)}, not of a list")
    return members


def _bound(target: Any, name: Any) -> Inert:
    """Take a hook's method for what it is: nothing that this reader will call."""
    if not isinstance(target, Inert) or type(name) is not str:
        raise odd(
            f"builtins.getattr looks into {described(target)}: only a network's own hooks may"
        )
    return Inert("builtins.getattr")


_CALLS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "torch._utils._rebuild_tensor_v2": (6, 7, _tensor),
    "torch._utils._rebuild_parameter": (3, 3, _parameter),
    "torch._utils._rebuild_parameter_with_state": (4, 4, _parameter),
    "torch._tensor._rebuild_from_type_v2": (4, 4, _typed),
    "fastai.torch_core._fa_rebuild_tensor": (7, 8, lambda _, *args: _tensor(*args)),
    "collections.OrderedDict": (0, 0, Ordered),
    "builtins.set": (1, 1, _set),
    "builtins.getattr": (2, 2, _bound),
}
"""Fewest and most arguments, and what the call amounts to."""


def called(function: Any, args: Any) -> Any:
    """Give what a call amounts to.

    Raises:
        WeightsError: if torch would not call this, or not so.
    """
    if not isinstance(function, Global) or function.name in STORAGES or type(args) is not tuple:
        raise odd(f"{described(function)} is called with {described(args)}")
    fewest, most, call = _CALLS.get(function.name, (0, len(args), None))
    if not fewest <= len(args) <= most:
        raise odd(f"{function.name} is called with {len(args)} arguments")
    return call(*args) if call else Inert(function.name)


def made(kind: Any, args: Any) -> Inert:
    """Give an object of a class, made without calling it.

    Raises:
        WeightsError: if it is no class of a network.
    """
    if not isinstance(kind, Global) or type(args) is not tuple:
        raise odd(f"an object of {described(kind)} is made with {described(args)}")
    if kind.name in _CALLS or kind.name in STORAGES:
        raise odd(f"an object of {described(kind)} is made without calling it")
    return Inert(kind.name)


def stored(pid: Any) -> StorageRef:
    """Read the persistent id of a storage.

    Raises:
        WeightsError: if it is not of torch's five parts.
    """
    match pid:
        case ("storage", Global(kind), str(key), str(), int(count)) if (
            type(pid) is tuple and kind in STORAGES and type(count) is int and key.isalnum()
        ):
            return StorageRef(STORAGES[kind], key, count)
    raise odd("a persistent id is not ('storage', type, key, place, count)")
