"""The text that is sent to a back-end."""

from __future__ import annotations

import base64
import re
from importlib import resources
from typing import TYPE_CHECKING, Literal

from cloudmask.checks import choice

if TYPE_CHECKING:
    from collections.abc import Iterable

Delivery = Literal["pep723", "archive", "inline"]
"""How our package reaches the worker. pep723: the text names it and the back-end installs it
(batch jobs of VITO/CDSE); archive: it comes with `udf-dependency-archives`, or is installed
there; inline: it stands in the text, without its networks, so that ONNX Runtime and a network must
be there."""

_OURS = '["openeo-cloudmask"]'
_PEP723 = re.compile(r"^# /// script\n(?:#.*\n)*?# ///\n", re.MULTILINE)

_CARRIER = '''

_WHEEL = "{wheel}"
_add_folders = add_dependencies


def add_dependencies(folders: list) -> None:
    """Unpack the package that stands in this text, once a worker."""
    import atexit, base64, shutil, tempfile
    if "cloudmask" not in sys.modules:
        folder = tempfile.mkdtemp(prefix="cloudmask-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        wheel = Path(folder) / "openeo_cloudmask-inline.whl"
        wheel.write_bytes(base64.b64decode(_WHEEL))
        folders = [*folders, folder]
    _add_folders(folders)
'''


def udf_code(delivery: Delivery = "pep723", extras: Iterable[str] = ()) -> str:
    """Give the text of the UDF.

    Args:
        delivery: How our package reaches the worker, see `Delivery`. With an archive the text
            does without the PEP 723 block, or the back-end would install all of it again.
        extras: Of our package, which the block names as well; networks come with some of them.

    Raises:
        OptionError: There is no such delivery.
    """
    choice("delivery", delivery, ("pep723", "archive", "inline"))
    text = (resources.files("cloudmask") / "udf.py").read_text("utf-8")
    if delivery == "pep723":
        wanted = ",".join(sorted(set(extras)))
        return text.replace(_OURS, f'["openeo-cloudmask[{wanted}]"]', 1) if wanted else text
    text = _PEP723.sub("", text)
    return text if delivery == "archive" else text + _CARRIER.format(wheel=_core_wheel())


def _core_wheel() -> str:
    from cloudmask_openeo.bundle.contents import core_wheel

    return base64.b64encode(core_wheel()).decode("ascii")
