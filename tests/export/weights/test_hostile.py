"""Files made to run something, to read beyond their end, or to fill the memory."""

from __future__ import annotations

import pickle
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights import read_weights
from cloudmask_export.weights.scan import MAX_OPCODES, MAX_PICKLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Attack = Callable[[Any, str], bytes]

# A command that leaves a file behind is given to each; `w` is tests/export/weight_files.py.
RUNNING: dict[str, Attack] = {
    "os.system": lambda w, c: w.call(w.named("os", "system"), w.text(c)),
    "posix.system": lambda w, c: w.call(w.named("posix", "system"), w.text(c)),
    "builtins.eval": lambda w, c: w.call(w.named("builtins", "eval"), w.text(python(c))),
    "__builtin__.eval": lambda w, c: w.call(w.named("__builtin__", "eval"), w.text(python(c))),
    "builtins.exec": lambda w, c: w.call(w.named("builtins", "exec"), w.text(python(c))),
    "subprocess.check_call": lambda w, c: w.call(
        w.named("subprocess", "check_call"), w.listed(*map(w.text, c.split()))
    ),
    "pickle.loads": lambda w, c: w.call(
        w.named("pickle", "loads"), raw(w.pickled(RUNNING["os.system"](w, c)))
    ),
    "_pickle.loads": lambda w, c: w.call(
        w.named("_pickle", "loads"), raw(w.pickled(RUNNING["os.system"](w, c)))
    ),
    "builtins.__import__": lambda w, c: w.call(
        w.call(
            w.named("builtins", "getattr"),
            w.call(w.named("builtins", "__import__"), w.text("os")),
            w.text("system"),
        ),
        w.text(c),
    ),
    "functools.partial": lambda w, c: w.call(
        w.call(w.named("functools", "partial"), w.named("os", "system"), w.text(c))
    ),
    "operator.methodcaller": lambda w, c: w.call(
        w.call(w.named("operator", "methodcaller"), w.text("system"), w.text(c)),
        w.call(w.named("builtins", "__import__"), w.text("os")),
    ),
    "operator.attrgetter": lambda w, c: w.call(
        w.call(
            w.call(w.named("operator", "attrgetter"), w.text("system")),
            w.call(w.named("importlib", "import_module"), w.text("os")),
        ),
        w.text(c),
    ),
    "collections.OrderedDict.fromkeys.__self__": lambda w, c: (
        stacked(w, "collections", "OrderedDict.fromkeys.__self__")
        + w.call(w.named("os", "system"), w.text(c))
        + b"\x86"
    ),
}
REFUSED: dict[str, Attack] = {
    **RUNNING,
    "subprocess.Popen": lambda w, c: w.call(w.named("subprocess", "Popen"), w.text(c)),
    "torch.load": lambda w, c: w.call(w.named("torch", "load"), w.text(c)),
    "torch.hub.load": lambda w, c: w.call(w.named("torch.hub", "load"), w.text(c)),
    "torch.serialization.load": lambda w, c: w.named("torch.serialization", "load"),
    "torch.jit._pickle.build_intlist": lambda w, c: w.named("torch.jit._pickle", "build_intlist"),
    "torch.nn.modules": lambda w, c: w.named("torch", "nn.modules"),
    "torch.ComplexFloatStorage": lambda w, c: w.storage("ComplexFloat", "0", 4),
    "torch._utils._rebuild_sparse_tensor": lambda w, c: w.named(
        "torch._utils", "_rebuild_sparse_tensor"
    ),
    "types.FunctionType": lambda w, c: w.named("types", "FunctionType"),
    "types.CodeType": lambda w, c: w.named("types", "CodeType"),
    "numpy.load": lambda w, c: w.call(w.named("numpy", "load"), w.text(c)),
    "numpy.core.multiarray._reconstruct": lambda w, c: w.named(
        "numpy.core.multiarray", "_reconstruct"
    ),
    "_codecs.encode": lambda w, c: w.call(w.named("_codecs", "encode"), w.text(c)),
    "codecs.open": lambda w, c: w.named("codecs", "open"),
    "importlib.import_module": lambda w, c: w.named("importlib", "import_module"),
    "builtins.setattr": lambda w, c: w.named("builtins", "setattr"),
    "builtins.compile": lambda w, c: w.named("builtins", "compile"),
    "copyreg._reconstructor": lambda w, c: w.named("copyreg", "_reconstructor"),
    "fastai.learner.load_learner": lambda w, c: w.named("fastai.learner", "load_learner"),
    "timm.layers": lambda w, c: w.named("timm", "layers"),
    "torch.nn.modules.module.Module.__init__.__globals__": lambda w, c: stacked(
        w, "torch.nn.modules.module", "Module.__init__.__globals__"
    ),
    "torch.nn.modules.module.__builtins__": lambda w, c: w.named(
        "torch.nn.modules.module", "__builtins__"
    ),
    "torch.nn.modules.module.os.system": lambda w, c: w.named(
        "torch.nn.modules.module", "os.system"
    ),
    "torch.nn.modules.__loader__.x": lambda w, c: w.named("torch.nn.modules.__loader__", "x"),
    "torch.nn.modulesx.y": lambda w, c: w.named("torch.nn.modulesx", "y"),
    "fastai.layersx.y": lambda w, c: w.named("fastai.layersx", "y"),
    ".system": lambda w, c: w.named("", "system"),
}  # fmt: skip
"""The global that is asked for -> opcodes; the global must stand in the message."""


def python(command: str) -> str:
    return f"__import__('os').system({command!r})"


def raw(content: bytes) -> bytes:
    return b"B" + len(content).to_bytes(4, "little") + content


def stacked(w: Any, module: str, name: str) -> bytes:
    # Python's unpickler takes dotted names from protocol 4 on.
    return b"\x80\x04" + w.text(module) + w.text(name) + b"\x93"


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    return tmp_path / "something-ran"


@pytest.mark.parametrize("name", RUNNING)
def test_the_attacks_do_work_on_pythons_own_unpickler(
    weight_files: Any, sentinel: Path, name: str
) -> None:
    body = RUNNING[name](weight_files, f"touch {sentinel}")

    pickle.loads(weight_files.pickled(body))  # noqa: S301 (the point of this test)

    assert sentinel.exists()


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_global_is_refused_by_name_and_nothing_runs(
    weight_files: Any, pickle_file: Any, sentinel: Path, name: str
) -> None:
    path = pickle_file(REFUSED[name](weight_files, f"touch {sentinel}"))

    with pytest.raises(WeightsError) as caught:
        read_weights(path)

    assert f"asks for '{name}'" in str(caught.value)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", RUNNING)
def test_an_attack_behind_a_good_state_dict_does_not_run_either(
    weight_files: Any, pickle_file: Any, sentinel: Path, name: str
) -> None:
    w = weight_files
    good = w.tensor(w.storage("Float", "0", 8), (8,))
    hostile = RUNNING[name](w, f"touch {sentinel}")
    path = pickle_file(w.ordered({"good": good, "bad": hostile}))

    with pytest.raises(WeightsError, match="nothing of the file was executed"):
        read_weights(path)
    assert not sentinel.exists()


ODD: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "INST": ("opcode INST", lambda w: b"(" + w.text("true") + b"ios\nsystem\n"),
    "INST of a module": ("opcode INST", lambda w: b"(itorch.nn.modules.a\nB\n"),
    "OBJ": ("opcode OBJ", lambda w: b"(" + w.named("torch.nn.modules.a", "B") + b"o"),
    "EXT1": ("opcode EXT1", lambda w: b"\x82\x01"),
    "EXT2": ("opcode EXT2", lambda w: b"\x83\x01\x01"),
    "EXT4": ("opcode EXT4", lambda w: b"\x84\x01\x01\x01\x01"),
    "PERSID": ("opcode PERSID", lambda w: b"Pstorage\n"),
    "bytes": ("opcode BINBYTES", lambda w: raw(w.pickled(b"N"))),
    "a buffer outside": ("opcode NEXT_BUFFER", lambda w: b"\x97"),
    "NEWOBJ_EX": (
        "opcode NEWOBJ_EX",
        lambda w: w.named("torch.nn.modules.a", "B") + b")}\x92",
    ),
    "text of protocol 0": ("opcode INT", lambda w: b"I1\n"),
    "protocol 6": ("opcode PROTO 6", lambda w: b"\x80\x06N"),
    "attributes of a class": (
        "builtins.getattr looks into 'torch.nn.modules.a.B'",
        lambda w: w.call(
            w.named("builtins", "getattr"), w.named("torch.nn.modules.a", "B"), w.text("__base__")
        ),
    ),
    "attributes of a function": (
        "looks into 'builtins.getattr'",
        lambda w: w.call(
            w.named("builtins", "getattr"), w.named("builtins", "getattr"), w.text("__self__")
        ),
    ),
    "attributes of a str": (
        "looks into a str",
        lambda w: w.call(w.named("builtins", "getattr"), w.text("{0}"), w.text("format")),
    ),
    "a called method": (
        "'builtins.getattr' is called",
        lambda w: w.call(
            w.call(w.named("builtins", "getattr"), w.module("a.B"), w.text("system")),
            w.text("true"),
        ),
    ),
    "a called stand-in": ("B' is called", lambda w: w.call(w.module("a.B"))),
    "a called storage": (
        "'torch.FloatStorage' is called",
        lambda w: w.call(w.named("torch", "FloatStorage"), w.integer(10**9)),
    ),
    "a called str": ("a str is called", lambda w: w.call(w.text("eval"), w.text("1"))),
    "called with a list": (
        "is called with a list",
        lambda w: w.named("builtins", "set") + w.listed() + b"R",
    ),
    "a state for a class": (
        "'torch.nn.modules.a.B' is given a state",
        lambda w: w.named("torch.nn.modules.a", "B") + w.mapping({"forward": b"N"}) + b"b",
    ),
    "a slot state for a class": (
        "'collections.OrderedDict' is given a state",
        lambda w: w.named("collections", "OrderedDict")
        + b"N" + w.mapping({"__setitem__": b"N"}) + b"\x86b",
    ),
    "a state for a function": (
        "'torch._utils._rebuild_tensor_v2' is given a state",
        lambda w: w.named("torch._utils", "_rebuild_tensor_v2") + w.mapping({"__code__": b"N"})
        + b"b",
    ),
    "a state for a storage type": (
        "'torch.FloatStorage' is given a state",
        lambda w: w.named("torch", "FloatStorage") + w.mapping({"kind": b"N"}) + b"b",
    ),
    "a state for a storage": (
        "a StorageRef is given a state",
        lambda w: w.storage("Float", "0", 8) + w.mapping({"count": b"N"}) + b"b",
    ),
    "a state for a tensor": (
        "a TensorRef is given a state",
        lambda w: w.tensor(w.storage("Float", "0", 8), (8,)) + b"N" + w.mapping({"shape": b"N"})
        + b"\x86b",
    ),
    "a state for a dict": ("a dict is given a state", lambda w: b"}}b"),
    "a second state": (
        "given a state twice",
        lambda w: w.module("a.B") + w.mapping({"_modules": b"}"}) + b"b",
    ),
    "an object of a function": (
        "an object of 'torch._utils._rebuild_tensor_v2'",
        lambda w: w.named("torch._utils", "_rebuild_tensor_v2") + b")\x81",
    ),
    "an object of a storage type": (
        "an object of 'torch.FloatStorage'",
        lambda w: w.named("torch", "FloatStorage") + b")\x81",
    ),
    "an object of a str": ("an object of a str", lambda w: w.text("os") + b")\x81"),
    "a rebuilding with another function": (
        "rebuilt with 'torch._tensor._rebuild_from_type_v2'",
        lambda w: w.call(
            w.named("torch._tensor", "_rebuild_from_type_v2"),
            w.named("torch._tensor", "_rebuild_from_type_v2"), b"N", b")", b"N",
        ),
    ),
    "a global named by numbers": ("a global is named by a int", lambda w: b"K\x01K\x02\x93"),
    "an id as text": ("persistent id", lambda w: w.text("storage") + b"Q"),
    "an id of four": (
        "persistent id",
        lambda w: w.group(
            w.text("storage"), w.named("torch", "FloatStorage"), w.text("0"), w.text("cpu")
        ) + b"Q",
    ),
    "an id in a list": (
        "persistent id",
        lambda w: w.listed(
            w.text("storage"), w.named("torch", "FloatStorage"), w.text("0"), w.text("cpu"),
            w.integer(8),
        ) + b"Q",
    ),
    "an id with a path": ("persistent id", lambda w: w.storage("Float", "../data.pkl", 8)),
    "an id with a class": (
        "persistent id",
        lambda w: w.group(
            w.text("storage"), w.named("torch.nn.modules.a", "B"), w.text("0"), w.text("cpu"),
            w.integer(8),
        ) + b"Q",
    ),
    "an id with True elements": (
        "persistent id",
        lambda w: w.storage("Float", "0", 1).replace(b"K\x01tQ", b"\x88tQ"),
    ),
    "a tensor on a str": ("made on a str", lambda w: w.tensor(w.text("0"), (8,))),
    "a parameter of a str": ("made of a str", lambda w: w.parameter(w.text("0"))),
    "a shape with True": (
        "are not integers",
        lambda w: w.tensor(w.storage("Float", "0", 8), (1,)).replace(b"(K\x01t(", b"(\x88t("),
    ),
    "too few arguments": (
        "called with 1 arguments",
        lambda w: w.call(w.named("torch._utils", "_rebuild_tensor_v2"), b"N"),
    ),
    "a tuple as key": ("a tuple is used as a key", lambda w: b"})Ns"),
    "a huge number as key": (
        "a int is used as a key", lambda w: b"}" + w.integer(2**61 - 1) + b"Ns",
    ),
    "a set of lists": ("a list is used as a key", lambda w: b"\x8f(]\x90"),
    "a set of a number": ("made of a int", lambda w: w.call(w.named("builtins", "set"), b"K\x01")),
    "a key without value": ("1 keys and values", lambda w: b"}(Nu"),
    "items for a number": ("put into a int", lambda w: b"K\x01NNs"),
    "items for a module": ("put into 'torch.nn.modules.a.B'", lambda w: w.module("a.B") + b"NNs"),
    "appending to a tuple": ("appended to a tuple", lambda w: b")Na"),
    "adding to a list": ("added to a list", lambda w: b"](N\x90"),
    "an empty stack": ("an object is missing", lambda w: b"R"),
    "a note of nothing": ("an object is missing", lambda w: b"q\x01N"),
    "no mark": ("a mark is missing", lambda w: b"Nt"),
    "two objects": ("2 objects are left", lambda w: b"NN"),
    "an open mark": ("are left at its end", lambda w: b"N(N"),
    "an unknown note": ("note 9 was never taken", lambda w: b"h\x09"),
}  # fmt: skip
"""What is done -> (message, opcodes)."""


@pytest.mark.parametrize("name", ODD)
def test_what_torch_never_writes_is_refused(
    weight_files: Any, pickle_file: Any, name: str
) -> None:
    message, body = ODD[name]

    with pytest.raises(WeightsError) as caught:
        read_weights(pickle_file(body(weight_files)))

    assert message in str(caught.value)


def test_nothing_is_imported_even_from_an_allowed_package(
    weight_files: Any,
    pickle_file: Any,
    sentinel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = weight_files
    (tmp_path / "timm" / "models").mkdir(parents=True)
    for place in ("timm", "timm/models"):
        (tmp_path / place / "__init__.py").write_text(f"open({str(sentinel)!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    hooks = w.call(w.named("timm.models._hub", "load_state_dict_from_hf"), w.text("x"))
    data = w.parameter(w.tensor(w.storage("Float", "0", 8), (8,)))
    net = w.module("a.B", parameters={"w": data}, modules={})
    body = net.replace(w.text("training") + w.FALSE, w.text("training") + hooks)
    assert hooks in body

    assert list(read_weights(pickle_file(body)).arrays) == ["w"]

    assert not sentinel.exists()
    assert "timm" not in sys.modules


def test_a_slot_state_sets_no_attribute_of_a_stand_in(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    data = w.parameter(w.tensor(w.storage("Float", "0", 8), (8,)))
    net = w.module("a.B", parameters={"w": data})
    slots = b"N" + w.mapping({"kind": w.text("os.system"), "attributes": b"N"}) + b"\x86b"

    assert read_weights(pickle_file(net + slots)).modules == {"": "torch.nn.modules.a.B"}


# -- bombs ----------------------------------------------------------------------------------

BOMBS: dict[str, Callable[[Any], bytes]] = {
    "tuples in tuples": lambda w: b")" + b"\x85" * 100_000,
    "lists in lists": lambda w: b"]" * 100_000 + b"a" * 99_999,
    "marks": lambda w: b"(" * 100_000,
    "a list in itself": lambda w: b"]q\x01h\x01a",
    "modules in modules": lambda w: (
        w.named("torch.nn.modules.a", "B") + b")\x81}" + w.text("_modules") + b"}" + w.text("x")
    ) * 20_000 + b"N" + b"ssb" * 20_000,
    "a note of the highest number": lambda w: b"Nr\xff\xff\xff\xff",
    "a string that is not there": lambda w: b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx",
    "the same set again and again": lambda w: w.named("builtins", "set") + b"q\x01"
    + b"](" + b"K\x01" * 20_000 + b"e\x85q\x02" + b"h\x01h\x02R" * 5_000,
    "the same state again and again": lambda w: w.named("torch.nn.modules.a", "B") + b"q\x01"
    + b"}(" + b"".join(w.integer(n) + b"N" for n in range(20_000)) + b"uq\x02"
    + b"h\x01)\x81h\x02b" * 2_000,
    "colliding keys": lambda w: b"}("
    + b"".join(w.integer(n * (2**61 - 1)) + b"N" for n in range(1, 50_000)) + b"u",
    "too many opcodes": lambda w: b"N" * (MAX_OPCODES + 1),
    "a persistent id within itself": lambda w: b"]q\x01h\x01ah\x01\x85Q",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_little_time_and_memory(weight_files: Any, pickle_file: Any, name: str) -> None:
    path = pickle_file(BOMBS[name](weight_files))
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"made\.pth: "):
            read_weights(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 300e6
    assert time.process_time() - started < 30


def test_a_pickle_larger_than_any_structure_is_refused(
    weight_files: Any, pickle_file: Any
) -> None:
    path = pickle_file(weight_files.text("x" * MAX_PICKLE))

    with pytest.raises(WeightsError, match=r"data\.pkl has .* bytes, at most"):
        read_weights(path)


def test_a_huge_note_number_is_no_reason_to_refuse(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    data = w.tensor(w.storage("Float", "0", 8), (8,))
    body = w.ordered({"a": data + b"r\xff\xff\xff\xff", "b": b"j\xff\xff\xff\xff"})

    np.testing.assert_array_equal(read_weights(pickle_file(body)).arrays["b"], np.arange(8))


def test_many_large_tensors_on_one_storage_are_refused(weight_files: Any, tmp_path: Path) -> None:
    w = weight_files
    data = w.tensor(w.storage("Float", "0", 10_000), (10_000,))
    body = w.ordered({"a": data + b"q\x01", **{f"x{n}": b"h\x01" for n in range(100)}})
    path = w.write_torch(tmp_path / "net.pth", w.pickled(body), {"0": bytes(40_000)})

    with pytest.raises(WeightsError, match="at most 4 times as much"):
        read_weights(path)


# -- tensors beyond their storage -----------------------------------------------------------

BEYOND: dict[str, tuple[str, tuple[Any, ...]]] = {
    "too many elements": ("reaches element 8 with 9", ((9,),)),
    "an offset": ("reaches element 8 with 4", ((4,), (1,), 5)),
    "a stride": ("reaches element 9 with 4", ((4,), (3,))),
    "a huge stride": ("reaches element", ((2, 2), (2**62, 1))),
    "a stride past 64 bits": ("reaches element", ((2,), (2**70,))),
    "a negative stride": ("nothing negative", ((2,), (-1,), 4)),
    "a negative offset": ("nothing negative", ((2,), (1,), -4)),
    "a negative size": ("no size can be negative", ((-1,), (1,))),
    "two negative sizes": ("no size can be negative", ((-2, -2), (1, 1))),
    "a stride of nothing": ("with 9 elements of a storage of 8", ((9,), (0,))),
    "fewer strides": ("as many strides as axes", ((2, 2), (1,))),
    "nine axes": ("9 dimensions", ((1,) * 9,)),
    "a size past 64 bits": ("and 1099511627776 elements are read", ((2**70, 0), (0, 0))),
    "a scalar behind the end": ("reaches element 8", ((), (), 8)),
}


@pytest.mark.parametrize("name", BEYOND)
def test_no_tensor_reads_beyond_its_storage(
    weight_files: Any, pickle_file: Any, name: str
) -> None:
    w = weight_files
    message, layout = BEYOND[name]
    body = w.ordered({"net.x": w.tensor(w.storage("Float", "0", 8), *layout)})

    with pytest.raises(WeightsError, match=rf"tensor 'net\.x' .*{message}"):
        read_weights(pickle_file(body))


@pytest.mark.parametrize(
    ("kind", "key", "count", "message"),
    [
        ("Float", "0", 9, "needs 9 elements of F32 in data/0, which has 32 bytes"),
        ("Float", "0", 7, "needs 7 elements"),
        ("Double", "0", 8, "needs 8 elements of F64"),
        ("Float", "0", -8, "needs -8 elements"),
        ("Float", "0", 2**80, r"needs beyond 2\*\*63 elements"),
        ("Float", "1", 8, "needs the member data/1, which the zip has not"),
    ],
)
def test_a_storage_is_as_long_as_promised(
    weight_files: Any, pickle_file: Any, kind: str, key: str, count: int, message: str
) -> None:
    w = weight_files
    body = w.ordered({"x": w.tensor(w.storage(kind, key, count), (1,))})

    with pytest.raises(WeightsError, match=message):
        read_weights(pickle_file(body))
