"""Making the processes known to a titiler-openeo."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from importlib import import_module, resources
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any

from cloudmask.bands import find_preset
from cloudmask.errors import OptionError
from cloudmask_openeo import specs
from cloudmask_openeo.titiler import filters, processes

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


FILTERS = ("filter_bands", "filter_bbox")
"""Processes that graphs of `cloudmask_openeo.mask_clouds` need and titiler-openeo 0.19 lacks."""


def register(
    process_registry: MutableMapping[Any, Any],
    specifications: MutableMapping[str, Any] | None = None,
    *,
    run_udf: bool = False,
    preset: str = "reflectance",
) -> None:
    """Add `cloud_detection`, and if wanted UDFs, to a titiler-openeo.

    `cloud_detection` runs networks that the operator installed and is safe on a public server.
    `run_udf` runs whatever program a user sends, with the rights of the server's process: its
    files, its network, its secrets, and the memory that other users' requests lie in. Allow it
    only where every user may have a shell on the machine, or where the process is confined
    (a container without secrets, without network but for the data); titiler's own default
    account, test with the password test, must be gone. `apply_neighborhood` comes with it, since
    a UDF is all that it can run. `filter_bands` and `filter_bbox`, which the graphs of
    `cloudmask_openeo.mask_clouds` use, are added if they are missing.

    Args:
        process_registry: `titiler.openeo.processes.process_registry`, before
            `titiler.openeo.main` is imported.
        specifications: `titiler.openeo.processes.PROCESS_SPECIFICATIONS`, to be completed.
        run_udf: Whether users may run programs of their own. Needs the package openeo.
        preset: What the numbers of this deployment mean, unless a request says otherwise.
            titiler itself makes reflectance of what its catalogue declares a scale for; an
            operator who has switched that off gives "dn" or "dn_n0400".

    Raises:
        OptionError: `run_udf` without the package openeo, or an unknown preset.
    """
    from openeo_pg_parser_networkx.process_registry import Process

    find_preset(preset)
    functions: dict[str, Callable[..., Any]] = {
        "cloud_detection": partial(processes.cloud_detection, preset=preset)
    }
    if run_udf:
        _need_openeo()
        functions["apply_neighborhood"] = processes.apply_neighborhood
        functions["run_udf"] = processes.run_udf
    for name in FILTERS:
        if ("predefined", name) not in process_registry:
            functions[name] = getattr(filters, name)
    for name, function in functions.items():
        spec = _described(name, preset)
        process_registry[name] = Process(spec=spec, implementation=_called(name, function))
        if specifications is not None:
            specifications[name] = spec


def _need_openeo() -> None:
    try:
        import_module("openeo")
    except ImportError as error:
        raise OptionError(
            f"run_udf=True: the package openeo, which runs UDFs, cannot be imported ({error}); "
            "`pip install openeo` beside titiler-openeo, or leave run_udf out"
        ) from None


def _described(name: str, preset: str) -> dict[str, Any]:
    """Give the description of a process, as it works here."""
    if name in FILTERS:
        text = resources.files(__package__).joinpath(f"{name}.json").read_text("utf-8")
        spec: dict[str, Any] = json.loads(text)
        return spec
    spec = deepcopy(getattr(specs, name))
    for parameter in spec["parameters"]:
        if name == "cloud_detection" and parameter["name"] == "options":
            known = parameter["schema"]["properties"]
            known["preset"]["default"] = preset
            parameter["schema"]["properties"] = {
                key: value
                for key, value in known.items()
                if key not in processes.OPERATORS_OPTIONS
            }
    return spec


def _called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let titiler see the parameters, but no types.

    titiler checks arguments against annotations, and knows no annotation that is text; the
    processes check what they get themselves.
    """
    parameters = signature(function).parameters.values()
    bare = [each.replace(annotation=each.empty) for each in parameters if each.name != "preset"]

    def implementation(**arguments: Any) -> Any:
        return function(**arguments)

    implementation.__name__ = implementation.__qualname__ = name
    implementation.__doc__ = function.__doc__
    vars(implementation)["__signature__"] = Signature(bare)
    return implementation
