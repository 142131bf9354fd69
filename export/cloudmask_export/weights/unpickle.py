"""Follow a pickle without unpickling it.

Python's own unpickler calls what the file says. This one is a table of the opcodes that torch
writes, working on plain containers and the records of `standins`; it has no operation that
imports, calls, or sets an attribute of anything, so there is nothing to be careful about later.
The machine: `pickletools` in the standard library describes every opcode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask_export.weights.calls import called, described, made, odd, stored
from cloudmask_export.weights.scan import operations
from cloudmask_export.weights.standins import Global, Inert, Ordered, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_KEY = 2**31
"""Beyond it, integers can be chosen so that they collide and fill a dict in quadratic time."""


def follow(pickle: bytes) -> Any:
    """Find what a pickle describes.

    Returns:
        None, bool, int, float, str, tuple, list, dict, set, or a record of `standins`; these may
        contain each other in cycles.

    Raises:
        WeightsError: if it names a global that is on no list, or does what torch's never do.
    """
    machine = _Machine()
    for name, argument in operations(pickle):
        _OPERATIONS[name](machine, argument)
    return machine.result()


class _Machine:
    """The state of a pickle machine: a stack with marks, and numbered notes."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        """Give what is left at the end."""
        if len(self._stack) != 1 or self._marked:
            raise odd(f"{len(self._stack)} objects are left at its end, not one")
        return self._stack[0]

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if not self._stack:
            raise odd("an object is missing")
        return self._stack.pop()

    def top(self) -> Any:
        if not self._stack:
            raise odd("an object is missing")
        return self._stack[-1]

    def mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def since_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        if not self._marked:
            raise odd("a mark is missing")
        taken, self._stack = self._stack, self._marked.pop()
        return taken

    def note(self, index: int | None) -> None:
        # A dict, so that a gigantic index takes no more room than a small one.
        self._memo[len(self._memo) if index is None else index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise odd(f"note {index} was never taken")
        self.push(self._memo[index])


# -- containers -----------------------------------------------------------------------------


def _key(value: Any) -> Any:
    # Also keeps tuples out, whose hash recurses as deep as they are nested.
    if type(value) is str or (type(value) is int and abs(value) < MAX_KEY):
        return value
    raise odd(f"{described(value)} is used as a key")


def _fill(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if not isinstance(target, dict) or len(items) % 2:
        raise odd(f"{len(items)} keys and values are put into {described(target)}")
    target.update({_key(k): v for k, v in zip(items[::2], items[1::2], strict=True)})


def _extend(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if type(target) is not list:
        raise odd(f"items are appended to {described(target)}")
    target.extend(items)


def _add(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if type(target) is not set:
        raise odd(f"members are added to {described(target)}")
    target.update(map(_key, items))


def _popped(machine: _Machine, count: int) -> list[Any]:
    return [machine.pop() for _ in range(count)][::-1]


def _build(machine: _Machine) -> None:
    state, target = machine.pop(), machine.top()
    if not isinstance(target, Inert | Ordered):
        raise odd(f"{described(target)} is given a state")
    # An OrderedDict's state is the metadata of a state dict, a tuple that of a hook's handle.
    if isinstance(target, Inert) and isinstance(state, dict):
        if target.attributes:
            raise odd(f"{described(target)} is given a state twice")
        # Not copied: a thousand objects may be given the same huge state.
        target.attributes = state


def _global(module: Any, name: Any) -> Global:
    if type(module) is not str or type(name) is not str:
        raise odd(f"a global is named by {described(module)} and {described(name)}")
    return resolve(module, name)


# -- opcodes --------------------------------------------------------------------------------


def _nothing(machine: _Machine, argument: Any) -> None:
    pass


def _argument(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _fresh(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make())


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(tuple(_popped(machine, count)))


def _note(machine: _Machine, argument: Any) -> None:
    machine.note(argument)


def _recall(machine: _Machine, argument: Any) -> None:
    machine.recall(argument)


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _argument),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), _argument),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _note),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _recall),
    "NONE": _constant(None),
    "NEWTRUE": _constant(value=True),
    "NEWFALSE": _constant(value=False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "EMPTY_SET": _fresh(set),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "MARK": lambda machine, _: machine.mark(),
    "APPEND": lambda machine, _: _extend(machine, _popped(machine, 1)),
    "APPENDS": lambda machine, _: _extend(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: _fill(machine, _popped(machine, 2)),
    "SETITEMS": lambda machine, _: _fill(machine, machine.since_mark()),
    "ADDITEMS": lambda machine, _: _add(machine, machine.since_mark()),
    # The argument of GLOBAL is both names with one space between.
    "GLOBAL": lambda machine, both: machine.push(_global(*both.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.push(_global(*_popped(machine, 2))),
    "REDUCE": lambda machine, _: machine.push(called(*_popped(machine, 2))),
    "NEWOBJ": lambda machine, _: machine.push(made(*_popped(machine, 2))),
    "BUILD": lambda machine, _: _build(machine),
    "BINPERSID": lambda machine, _: machine.push(stored(machine.pop())),
}
