"""Callbacks of processes: a single `run_udf`, or a little arithmetic over arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


class CallbackError(ValueError):
    """A process that callbacks of this back-end do not know."""


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "eq": np.equal,
    "neq": np.not_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
    "and": np.logical_and,
    "or": np.logical_or,
}
REDUCERS: dict[str, Callable[..., Any]] = {
    "min": np.nanmin,
    "max": np.nanmax,
    "mean": np.nanmean,
    "median": np.nanmedian,
    "sum": np.nansum,
}


@dataclass(frozen=True, slots=True)
class Callback:
    """The graph of a callback, flat."""

    graph: Mapping[str, Mapping[str, Any]]
    labels: tuple[str, ...] = ()
    """Labels along the dimension that is reduced."""

    def __call__(self, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
        """Evaluate it.

        Args:
            parameters: arrays of pixels, or lists of them, by the name of the parameter.
        """
        result = next(name for name, node in self.graph.items() if node.get("result"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # pixels that are no data throughout
            return np.asarray(self._node(result, parameters)).astype(np.float32)

    def _node(self, name: str, parameters: Mapping[str, Any]) -> Any:
        node = self.graph[name]
        arguments = {
            key: self._value(value, parameters)
            for key, value in node["arguments"].items()
            if key != "context"
        }
        return self._apply(node["process_id"], arguments)

    def _value(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        if isinstance(value, dict) and "from_node" in value:
            return self._node(value["from_node"], parameters)
        if isinstance(value, dict) and "from_parameter" in value:
            return parameters[value["from_parameter"]]
        return value

    def _apply(self, process: str, arguments: Mapping[str, Any]) -> Any:
        if process in BINARY:
            return BINARY[process](arguments["x"], arguments["y"])
        if process in REDUCERS:
            return REDUCERS[process](np.stack(arguments["data"]), axis=0)
        if process == "array_element":
            label, data = arguments.get("label"), arguments["data"]
            return data[arguments["index"] if label is None else self.labels.index(label)]
        if process == "not":
            return np.logical_not(arguments["x"])
        if process in {"first", "last"}:
            return arguments["data"][0 if process == "first" else -1]
        raise CallbackError(f"{process!r} is not known in callbacks of this back-end")
