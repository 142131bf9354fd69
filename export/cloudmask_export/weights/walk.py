"""From what a pickle describes to the names that torch's `state_dict()` gives.

torch.nn.Module.state_dict: of every module first the parameters, then the buffers but for the
non-persistent, then the submodules in order, with the path of attribute names before each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.standins import Inert, TensorRef
from cloudmask_export.weights.tensors import check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training loops keep the network beside the optimiser's state."""
MAX_DEPTH = 64
"""Modules within modules; CloudS2Mask has ten."""
MAX_ENTRIES = 50_000
"""Modules and places for tensors. Modules may be shared, so a small pickle could name endlessly
many."""
MAX_PASSING = 1000
"""Non-persistent buffers of one module."""
PARTS = ("_parameters", "_buffers", "_modules")


@dataclass(slots=True)
class Found:
    """The tensors of a network by name, and its modules' classes by path."""

    tensors: dict[str, TensorRef] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    """Modules visited, with all that they have or could have."""
    whole: bool = False
    """True for a network pickled whole, False for a state dict."""


def find(root: Any) -> Found:
    """Find a network in what a file holds: itself, its state dict, or a dict around either.

    Raises:
        WeightsError: if there is none, or it is not built as torch builds them.
    """
    if isinstance(root, dict):
        inner = next((root[key] for key in WRAPPERS if _is_network(root.get(key))), root)
        if isinstance(inner, dict):
            return _state_dict(inner)
        root = inner
    if not isinstance(root, Inert):
        raise WeightsError(f"holds a {type(root).__name__}, neither a network nor a state dict")
    found = Found(whole=True)
    _visit(root, "", [], found)
    return found


def _is_network(value: Any) -> bool:
    return isinstance(value, dict | Inert)


def _state_dict(values: Mapping[Any, Any]) -> Found:
    found = Found()
    _count(found, len(values))
    for name, value in values.items():
        _add(found, check_name(name), value)
    return found


def _add(found: Found, name: str, value: Any) -> None:
    if not isinstance(value, TensorRef):
        what = value.kind if isinstance(value, Inert) else type(value).__name__
        raise WeightsError(f"entry {name!r} is a {what}, not a tensor: this is no state dict")
    if name in found.tensors:
        raise WeightsError(f"tensor {name!r} is there twice, as parameter and as buffer")
    found.tensors[name] = value


def _count(found: Found, count: int) -> None:
    found.entries += count
    if found.entries > MAX_ENTRIES:
        raise WeightsError(f"the network has more than {MAX_ENTRIES} entries: it is no network")


def _visit(module: Any, path: str, trail: list[Inert], found: Found) -> None:
    """Collect one module and what is below it; `trail` are those above it."""
    if not isinstance(module, Inert) or "_modules" not in module.attributes:
        what = module.kind if isinstance(module, Inert) else type(module).__name__
        raise WeightsError(f"{path or 'the file'!r} is a {what}, which is no torch module")
    if any(module is other for other in trail) or len(trail) >= MAX_DEPTH:
        raise WeightsError(
            f"module {path!r} contains itself, or lies deeper than {MAX_DEPTH}: this is no network"
        )
    found.modules[path] = module.kind
    _count(found, 1 + sum(len(_part(module, part)) for part in PARTS))
    for name, value in _tensors(module):
        _add(found, _below(path, name), value)
    for name, child in _part(module, "_modules").items():
        if child is not None:
            _visit(child, _below(path, name), [*trail, module], found)


def _tensors(module: Inert) -> Iterator[tuple[Any, Any]]:
    """Give parameters and persistent buffers; None stands for one that a layer does without."""
    passing = module.attributes.get("_non_persistent_buffers_set", set())
    # `unpickle` gives older protocols' sets as lists.
    if not isinstance(passing, set | list) or len(passing) > MAX_PASSING:
        raise WeightsError(f"a {module.kind} has no set of non-persistent buffers: it is damaged")
    yield from ((k, v) for k, v in _part(module, "_parameters").items() if v is not None)
    for name, value in _part(module, "_buffers").items():
        if value is not None and name not in passing:
            yield name, value


def _part(module: Inert, name: str) -> Mapping[Any, Any]:
    part = module.attributes.get(name)
    if not isinstance(part, dict):
        raise WeightsError(f"a {module.kind} has no dict {name}: the file is damaged")
    return part


def _below(path: str, name: Any) -> str:
    if "." in check_name(name):
        raise WeightsError(f"{name!r} in {path!r} has a dot, which torch allows in no name")
    return check_name(f"{path}.{name}" if path else name)
