"""What SECURITY.md promises of the whole product: what its code may not do, and what it keeps."""

from __future__ import annotations

import ast
import base64
import functools
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PRODUCT = ("udf", "openeo_process", "export")

# -- what code must not do ------------------------------------------------------------------

MODULES = {
    "unpickling": {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"},
    "processes": {"subprocess", "pty", "multiprocessing"},
    "native code": {"ctypes", "cffi"},
    "network": {
        "requests", "pooch", "urllib3", "httpx", "aiohttp", "fsspec", "socket", "ssl", "http",
        "ftplib", "smtplib", "telnetlib", "xmlrpc", "webbrowser", "pystac", "pystac_client",
    },
    "yaml": {"yaml", "ruamel"},
}  # fmt: skip
"""Rule -> modules whose import is told."""

CALLS = {
    "running text": {"eval", "exec", "compile", "__import__", "execfile"},
    "a shell": {"os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl", "os.startfile"},
    "temporary names": {"tempfile.mktemp", "mktemp"},
    "unpacking": {"shutil.unpack_archive", "unpack_archive"},
    "unchecked TLS": {"ssl._create_unverified_context", "_create_unverified_context"},
}
"""Rule -> calls by their names, as written."""

METHODS = {
    "reading XML": {"fromstring", "XMLParser", "iterparse", "parseString", "fromstringlist"},
    "unpacking": {"extractall", "extract"},
    "network": {"urlopen", "urlretrieve"},
}
"""Rule -> calls by the last part of their names."""


PLAIN_HTTP = re.compile(r"http://(?!127\.0\.0\.1|localhost)\w")


def used(tree: ast.AST) -> Iterator[str]:
    """Tell which rules a module meets."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from of_import(node)
        elif isinstance(node, ast.Call):
            yield from of_call(node)
        elif isinstance(node, ast.Constant) and PLAIN_HTTP.match(str(node.value)):
            yield "plain http"


def of_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    names = [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""] if not node.level else []
    for name in names:
        for rule, modules in MODULES.items():
            if name.split(".")[0] in modules:
                yield rule


def of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    yield from (rule for rule, names in CALLS.items() if name in names)
    yield from (rule for rule, names in METHODS.items() if last in names)
    given = {each.arg: each.value for each in node.keywords}
    if "shell" in given and not is_constant(given["shell"], False):  # noqa: FBT003
        yield "a shell"
    if "verify" in given and is_constant(given["verify"], False):  # noqa: FBT003
        yield "unchecked TLS"
    if "allow_pickle" in given and not is_constant(given["allow_pickle"], False):  # noqa: FBT003
        yield "unpickling"
    if name == "torch.load" and not is_constant(given.get("weights_only"), True):  # noqa: FBT003
        yield "unpickling"
    if last in {"import_module", "find_spec"} and not isinstance(node.args[0], ast.Constant):
        yield "imports by name"


def is_constant(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


ALLOWED = {
    ("udf/cloudmask/claims.py", "unpickling"): (
        "a network that is a Python object of the user travels to the workers of their own dask "
        "cluster as every task does; its bytes are those of the hash in the task"
    ),
    ("udf/cloudmask/process.py", "native code"): "asks the C library to give memory back",
    ("udf/cloudmask/local/readers/safe_metadata.py", "reading XML"): (
        "with a parser that refuses a DOCTYPE, without which no entity can be defined"
    ),
    ("udf/cloudmask/local/readers/stac.py", "network"): (
        "STAC Items and searches that the user names; https but on loopback"
    ),
    ("udf/cloudmask/local/readers/stac.py", "imports by name"): "pystac and pystac_client only",
    ("udf/cloudmask/registry.py", "imports by name"): (
        "finds a manifest's package without importing it: its name has no dots"
    ),
    ("openeo_process/cloudmask_openeo/__init__.py", "imports by name"): "its own modules",
    ("openeo_process/cloudmask_openeo/local/__init__.py", "imports by name"): (
        "what a local connection needs, from a list of its own"
    ),
    ("openeo_process/cloudmask_openeo/bundle/check.py", "imports by name"): "a list of its own",
    ("openeo_process/cloudmask_openeo/bundle/check.py", "processes"): (
        "runs the archive that was just made, with a list of arguments"
    ),
    ("openeo_process/cloudmask_openeo/bundle/trial.py", "imports by name"): (
        "hides the installed packages from the archive that is tried"
    ),
    ("openeo_process/cloudmask_openeo/bundle/trial.py", "running text"): (
        "the UDF of our own wheel, as a back-end runs it"
    ),
    ("openeo_process/cloudmask_openeo/bundle/wheels.py", "processes"): (
        "pip, with a list of arguments, for the wheel of ONNX Runtime"
    ),
    ("openeo_process/cloudmask_openeo/processes/generate.py", "plain http"): (
        "an identifier of the OGC in the metadata of a process, never asked"
    ),
    ("export/cloudmask_export/evaluation/predictors/process.py", "processes"): (
        "another method's program in the Python that the user names, with a list of arguments"
    ),
    ("export/cloudmask_export/fetch/address.py", "network"): "the one road of downloads",
    ("export/cloudmask_export/fetch/files.py", "network"): "the one road of downloads",
    ("export/cloudmask_export/fetch/transfer.py", "network"): "the one road of downloads",
}
"""(file, rule) -> why it may. What is not needed any more must go."""


@functools.cache
def found() -> dict[tuple[str, str], int]:
    """Count what all modules of the product do that a rule names."""
    counts: Counter[tuple[str, str]] = Counter()
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            counts.update((name, rule) for rule in used(ast.parse(path.read_text("utf-8"))))
    return counts


def test_the_product_runs_unpickles_asks_and_unpacks_only_where_it_is_said_why() -> None:
    assert set(found()) == set(ALLOWED)


HOSTILE = {
    "unpickling": [
        "import pickle", "from pickle import loads", "import cloudpickle as c", "import shelve",
        "numpy.load(p, allow_pickle=True)", "np.load(p, allow_pickle=yes)", "torch.load(p)",
        "torch.load(p, weights_only=False)",
    ],
    "running text": ["eval(text)", "exec(text)", "compile(text, 'a', 'exec')", "__import__(n)"],
    "a shell": ["os.system(text)", "run(text, shell=True)", "run(text, shell=asked)"],
    "processes": ["import subprocess", "from subprocess import run"],
    "temporary names": ["tempfile.mktemp()"],
    "unchecked TLS": ["session.get(url, verify=False)"],
    "reading XML": ["ET.fromstring(text)", "xml.sax.parseString(text)", "ET.iterparse(file)"],
    "unpacking": ["archive.extractall()", "shutil.unpack_archive(path)"],
    "network": ["import requests", "import urllib3", "request.urlopen(url)", "import http.client"],
    "yaml": ["import yaml"],
    "plain http": ["fetch('http://example.org/a')"],
    "imports by name": ["import_module(name)", "importlib.util.find_spec(name)"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "line"), [(rule, line) for rule in HOSTILE for line in HOSTILE[rule]]
)
def test_the_check_sees(rule: str, line: str) -> None:
    assert rule in set(used(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["re.compile(text)", "network.eval()", "np.load(p, allow_pickle=False)",
     "torch.load(p, weights_only=True)", "run(arguments, shell=False)", "import pickletools",
     "fetch('http://127.0.0.1:80')", "import_module('openeo')", "from .pickle import a"],
)  # fmt: skip
def test_the_check_lets_pass(line: str) -> None:
    assert not set(used(ast.parse(line)))


def test_downloads_go_one_road_which_checks_each_address_and_hash() -> None:
    asking = {file for file, rule in found() if rule == "network"}
    road = ROOT / "export/cloudmask_export/fetch"
    assert {file for file in asking if not file.startswith("export/cloudmask_export/fetch/")} == {
        "udf/cloudmask/local/readers/stac.py"
    }
    calls = {
        (path.name, ast.unparse(node.func))
        for path in road.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    # Whoever asks is `open_url`, which checks each hop; pooch compares the hash.
    assert {name for name, call in calls if call == "session.get"} == {"address.py"}
    assert {name for name, call in calls if call == "pooch.retrieve"} == {"files.py"}
    assert not {
        call for _, call in calls if call.startswith("requests.") and "Session" not in call
    }


# -- secrets --------------------------------------------------------------------------------

SECRET = "hunter2-0123456789"  # noqa: S105 - of nobody
"""Stands for any token; nowhere in what is made or said."""


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[str]:
    """Give the address, with a signature, of a folder on loopback that holds scene.tif."""
    rasterio = pytest.importorskip("rasterio")
    folder = tmp_path / "served"
    folder.mkdir()
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", width=96, height=96, count=4, dtype="uint16",
        crs="EPSG:32631", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as file:  # fmt: skip
        file.write(np.random.default_rng(0).integers(1, 4000, (4, 96, 96), np.uint16))
        file.descriptions = ("B02", "B03", "B04", "B08")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://user:{SECRET}@127.0.0.1:{server.server_port}/{{name}}?X-Amz-Signature={SECRET}"
    server.shutdown()
    server.server_close()


def command(*words: str) -> str:
    """Run the command where tokens are in the environment; give all that it says."""
    names = ("AWS_SECRET_ACCESS_KEY", "OPENEO_TOKEN", "CDSE_PASSWORD", "PIP_INDEX_TOKEN")
    done = subprocess.run(
        [sys.executable, "-m", "cloudmask", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", **dict.fromkeys(names, SECRET)},
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    return done.stdout + done.stderr


def contents(folder: Path) -> bytes:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return b"".join(path.name.encode() + path.read_bytes() for path in files)


def test_no_token_of_an_address_or_the_environment_is_in_what_is_made_or_said(
    signed: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = command("mask", signed.format(name="scene.tif"), "-o", f"{out}/", "--tile", "64")
    said += command("report", str(out))
    assert (out / "scene_mask.tif").exists(), said
    assert (out / "report.html").exists(), said
    assert SECRET not in said
    assert SECRET.encode() not in contents(out)


def test_no_token_is_in_what_is_said_when_a_scene_cannot_be_read(
    signed: str, tmp_path: Path
) -> None:
    said = command("mask", signed.format(name="gone.tif"), "-o", str(tmp_path / "mask.tif"))
    assert "gone.tif" in said
    assert SECRET not in said


def unpacked(text: str) -> bytes:
    """Put in place of archives that are packed in a text (base64) what is in them.

    As text they hold any short word by chance.
    """
    said = PACKED.sub("", text).encode()
    for found in PACKED.findall(text):
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(found))) as archive:
            said += b"".join(name.encode() + archive.read(name) for name in archive.namelist())
    return said


PACKED = re.compile(r"UEsD[\w+/]{100,}=*")


def test_what_is_packed_in_a_text_is_looked_into() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", SECRET * 100)
    text = f"before '{base64.b64encode(stream.getvalue()).decode()}' after"
    assert SECRET not in text
    assert unpacked(text) == b"before '' after" + b"a.py" + SECRET.encode() * 100


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENEO_AUTH_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "CDSE_PASSWORD"):
        monkeypatch.setenv(name, SECRET)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("delivery", ["pep723", "archive", "inline"])
def test_no_token_of_the_environment_is_in_a_process_graph(delivery: Any) -> None:
    pytest.importorskip("openeo")
    from openeo.internal.graph_building import PGNode
    from openeo.metadata import CollectionMetadata
    from openeo.rest.datacube import DataCube

    from cloudmask_openeo import Chunks, job_options, mask_clouds

    bands = ["B02", "B03", "B04", "B08"]
    dimensions = {
        **{axis: {"type": "spatial", "axis": axis} for axis in "xy"},
        "bands": {"type": "bands", "values": bands},
    }
    metadata = CollectionMetadata({"id": "S2", "cube:dimensions": dimensions})
    node = PGNode("load_collection", {"id": "S2", "bands": bands})
    cube = DataCube(graph=node, connection=None, metadata=metadata)
    graph = mask_clouds(cube, chunks=Chunks(delivery=delivery)).flat_graph()
    text = json.dumps([graph, job_options("https://example.org/deps.zip")])
    assert "apply_neighborhood" in text
    assert ("cloudmask/__init__.py" in unpacked(text).decode()) == (delivery == "inline")
    assert SECRET.encode() not in unpacked(text)
    assert os.fsencode(Path.home()) not in unpacked(text)


# -- what SECURITY.md says ------------------------------------------------------------------


def rows() -> list[list[str]]:
    """Give the cells of the rows of the threat model."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def named_in(row: list[str]) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", row[-1])


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_every_threat_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 4
    assert named_in(row)
    for each in named_in(row):
        path, _, name = each.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in names, each


def test_the_threat_model_speaks_of_everything_that_others_hand_over() -> None:
    who = " ".join(row[0].lower() for row in rows())
    wanted = (
        "weights", "manifest", "onnx", "archive", "product", "stac", "raster", "cube", "context",
        "item", "name", "download", "secret", "user of a back-end",
    )  # fmt: skip
    assert [word for word in wanted if word not in who] == []
