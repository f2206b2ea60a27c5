"""What a host with `trust: data` may send: it arrives as it was, and changes what it may change."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import os
import pathlib
import sys
import uuid
from typing import Any

import numpy as np
import pytest

from jupyter_macgpu.wire.errors import RemoteValueError
from jupyter_macgpu.wire.values.capture import capture
from jupyter_macgpu.wire.values.confined import apply_data, fetched, inputs_from
from jupyter_macgpu.wire.values.imported import imports_of
from jupyter_macgpu.wire.values.modules import LazyImport, LazyModule
from jupyter_macgpu.wire.values.remote import RemoteInfo, RemoteValue
from tests.unit.test_values import Pair, copied

from . import hostile


class Guarded(Pair):
    """A pair whose notebook takes data only."""

    def cell(self, source: str, *names: str, **options: Any) -> Any:
        self.send(*names)
        self.run(source)
        changes = self.collect(**options)
        return apply_data(
            changes.stream, copied(changes.buffers), self.captured.table, self.home,
            run="r1", host="studio-1", announced=changes.bound, imports=imports_of(source),
        )  # fmt: skip

    def take(self, kind: str, *parts: bytes) -> Any:
        """Take one entry from a host that makes up what it likes."""
        return apply_data(
            hostile.entry(kind, *parts), (), self.captured.table, self.home, run="r1", host="h"
        )

    def numbered(self, obj: object) -> bytes:
        """Return the opcode that names one of the notebook's own objects."""
        for number, known in self.captured.table.items():
            if known is obj:
                return b"j" + number.to_bytes(4, "little")
        raise AssertionError(obj)

    def number(self, obj: object) -> bytes:
        return hostile.number(int.from_bytes(self.numbered(obj)[1:], "little"))


SHARED = [1, 2]
VALUES: dict[str, Any] = {
    "scalars": [None, True, False, ..., 0, 1, -1, 255, 256, 65536, -(2**40), 2**200, 1.5, 1 + 2j],
    "texts": ["", "a", "\N{SNOWMAN}", "x" * 300, b"", b"b", bytes(300), bytearray(b"c")],
    "nested": {"a": [(1, (2, [3])), {"b": {4, 5}}], (1, "k"): frozenset({6, (7, 8)})},
    "shared": [SHARED, SHARED, {"x": SHARED}],
    "dates": [
        datetime.date(2024, 2, 29), datetime.time(23, 59, 58, 999999, fold=1),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4, fold=1), datetime.timedelta(-1, 5, 6),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(hours=2), "here")),
    ],
    "numbers": [decimal.Decimal("-1.50"), decimal.Decimal("NaN"), fractions.Fraction(-1, 3)],
    "ids": [uuid.UUID(int=7), pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:/d")],
    "ranges": [range(1, 9, 2), slice(None, 3), range(0)],
    "collections": [
        collections.OrderedDict(b=1, a=2), collections.Counter("abca"),
        collections.deque([1, 2], maxlen=2), collections.deque("ab"),
        collections.defaultdict(list, a=[1]), collections.defaultdict(None, a=1),
    ],
    "types": [int, str, list, np.float32],
    "arrays": [array.array("d", [1.5, 2]), array.array("B", [3])],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_known_values_arrive_as_they_were(name: str) -> None:
    pair = Guarded()
    pair.far["sent"] = VALUES[name]
    pair.send()
    pair.far["value"] = VALUES[name]
    changes = pair.collect()
    told = apply_data(changes.stream, copied(changes.buffers), {}, pair.home, run="r", host="h")
    assert told.notes == ()
    value = pair.home["value"]
    assert repr(value) == repr(VALUES[name])
    assert list(map(type, value)) == list(map(type, VALUES[name]))
    if name == "shared":
        assert value[0] is value[1] is value[2]["x"]


ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "strided": np.arange(20)[::3],
    "empty": np.empty((0, 3), "f4"),
    "zero-d": np.array(5),
    "big-endian": np.arange(3, dtype=">i2"),
    "texts": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "dates": np.array(["2024-01-01", "NaT"], "M8[ns]"),
    "weeks": np.array([3], "m8[7D]"),
    "record": np.array([(1, 2.5, "x")], [("a", "i4"), ("b", ">f8"), ("c", "U3")]),
    "nested": np.zeros(2, [("p", [("x", "f4"), ("y", "M8[s]")]), ("q", "i2", (2, 3))]),
    "aligned": np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "complex": np.array([1 + 2j], "c8"),
    "bools": np.array([True, False]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_arrive_as_they_were(name: str) -> None:
    pair = Guarded()
    pair.send()
    sent = ARRAYS[name]
    pair.far.update(value=sent, kind=sent.dtype, one=sent.reshape(-1)[:1].copy())
    if sent.size:
        pair.far["scalar"] = sent.reshape(-1)[0]
    changes = pair.collect()
    told = apply_data(changes.stream, copied(changes.buffers), {}, pair.home, run="r", host="h")
    assert told.notes == ()
    value = pair.home["value"]
    assert (value.dtype, value.shape, value.flags.writeable) == (sent.dtype, sent.shape, True)
    assert value.dtype.isalignedstruct == sent.dtype.isalignedstruct
    np.testing.assert_array_equal(value, sent)
    assert pair.home["kind"] == sent.dtype
    if sent.size:
        assert repr(pair.home["scalar"]) == repr(sent.reshape(-1)[0])


def test_tensors_arrive_as_they_were_and_keep_their_ties() -> None:
    torch = pytest.importorskip("torch")
    pair = Guarded()
    told = pair.cell(
        "import torch\n"
        "t = torch.arange(6.).reshape(2, 3); v = t[1:]; b = torch.ones(2, dtype=torch.bfloat16)\n"
        "p = torch.nn.Parameter(torch.ones(2)); (p * 3).sum().backward(); p.tag = 'x'\n"
        "s = torch.Size([1, 2]); d = torch.device('cpu'); k = torch.float16\n"
        "e = torch.empty(0, 3)\n"
        "state = {'w': t, 'tied': t}"
    )
    assert told.notes == ()
    home = pair.home
    assert home["torch"] is torch
    assert home["t"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert home["v"].untyped_storage().data_ptr() == home["t"].untyped_storage().data_ptr()
    assert home["b"].dtype is torch.bfloat16
    assert type(home["p"]) is torch.nn.Parameter
    assert home["p"].grad.tolist() == [3, 3]
    assert (home["p"].tag, home["s"], home["d"]) == ("x", torch.Size([1, 2]), torch.device("cpu"))
    assert home["k"] is torch.float16
    assert home["e"].shape == (0, 3)
    assert home["state"]["w"] is home["state"]["tied"] is home["t"]


def test_mlx_arrays_arrive_as_they_were() -> None:
    mx = pytest.importorskip("mlx.core")
    pair = Guarded(own=mx.array([1.0, 2.0]))
    own = pair.home["own"]
    told = pair.cell(
        "import mlx.core as mx\na = mx.arange(3)\nb = mx.array([1.5], mx.bfloat16)\nown += 1", "own"
    )
    assert told.notes == ()
    assert pair.home["a"].tolist() == [0, 1, 2]
    assert (pair.home["b"].dtype, pair.home["b"].tolist()) == (mx.bfloat16, [1.5])
    assert own.tolist() == [2, 3]


def test_a_training_step_changes_the_notebooks_own_model() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    weight, before = model.weight, model.weight.detach().clone()
    pair = Guarded(model=model, optimizer=optimizer, torch=torch)
    told = pair.cell(
        "optimizer.zero_grad(); model(torch.ones(1, 2)).sum().backward(); optimizer.step()",
        "model", "optimizer", "torch",
    )  # fmt: skip
    assert told.notes == ()
    assert model.weight is weight
    assert not torch.equal(weight, before)
    assert weight.grad.tolist() == [[1, 1]]
    assert optimizer.state[weight]["step"] == 1


NOTEBOOK = """
class Point:
    __slots__ = ('s', '__dict__')
    def __init__(self): self.x = 1; self.s = 2
class Closing:
    def __init__(self): self.path = 'a'
    def __del__(self): pass
class Property:
    fired = []
    @property
    def trap(self): return 1
    @trap.setter
    def trap(self, value): self.fired.append(value)
    def __setattr__(self, name, value): self.fired.append(name)
    def __setstate__(self, state): self.fired.append(state)
def first(): return 1
def second(): return 2
"""


@pytest.fixture
def pair() -> Guarded:
    made = Guarded()
    exec(NOTEBOOK, made.home)
    home = made.home
    home.update(point=home["Point"](), closing=home["Closing"](), prop=home["Property"]())
    home.update(items=[home["first"]], table={"f": home["first"]}, tags={1}, os=os)
    home.update(data=bytearray(b"ab"), grid=np.arange(3.0), environ=os.environ, path=sys.path)
    made.send(
        "point", "closing", "prop", "first", "second", "items", "table", "tags", "data", "grid",
        "os", "environ", "path",
    )  # fmt: skip
    return made


def test_the_notebooks_own_objects_are_changed_in_place(pair: Guarded) -> None:
    home = pair.home
    kept = {name: home[name] for name in ("point", "items", "table", "tags", "data", "grid")}
    pair.run(
        "point.x = [5]; point.y = 'new'; point.s = 3; items.append(4); table['k'] = [1]; "
        "tags.add(2); data += b'c'; grid *= 2; prop.__dict__['plain'] = 1"
    )
    changes = pair.collect()
    told = apply_data(
        changes.stream, copied(changes.buffers), pair.captured.table, home, run="r", host="h"
    )
    assert told.notes == ()
    assert all(home[name] is value for name, value in kept.items())
    assert vars(home["point"]) == {"x": [5], "y": "new"}
    assert (home["point"].s, home["items"]) == (3, [home["first"], 4])
    assert home["table"] == {"f": home["first"], "k": [1]}
    assert (home["tags"], home["data"], home["grid"].tolist()) == ({1, 2}, b"abc", [0, 2, 4])
    assert vars(home["prop"]) == {"plain": 1}
    assert home["Property"].fired == []


def attributes(*pairs: tuple[str, bytes]) -> bytes:
    return b"}(" + b"".join(hostile.text(name) + value for name, value in pairs) + b"u"


@pytest.mark.parametrize(
    "name", ["__class__", "__reduce__", "__dict__", "__del__", "__setstate__", "__getattr__"]
)
def test_no_attribute_with_a_meaning_is_set(pair: Guarded, name: str) -> None:
    home = pair.home
    for owner in ("point", "prop"):
        obj = home[owner]
        before, cls = dict(vars(obj)), type(obj)
        flat = b"](" + hostile.text(name) + hostile.number(1) + b"e"
        assert pair.take("update", pair.number(vars(obj)), hostile.text("dict"), flat).notes
        for state in (attributes((name, b"N")) + b"}", b"N" + attributes((name, b"N"))):
            whole = b"(" + pair.numbered(cls) + state + b"]t"
            assert pair.take("update", pair.number(obj), hostile.text("attributes"), whole).notes
        assert vars(obj) == before
        assert type(obj) is cls
    assert home["Property"].fired == []


def test_an_objects_class_and_its_properties_are_left_alone(pair: Guarded) -> None:
    home = pair.home
    other = b"(" + pair.numbered(home["Property"]) + b"N}]t"
    assert pair.take("update", pair.number(home["point"]), hostile.text("attributes"), other).notes
    trap = b"(" + pair.numbered(home["Property"]) + b"N" + attributes(("trap", b"N")) + b"]t"
    assert pair.take("update", pair.number(home["prop"]), hostile.text("attributes"), trap).notes
    closing = (
        b"(" + pair.numbered(home["Closing"]) + attributes(("path", hostile.text("/"))) + b"}]t"
    )
    told = pair.take("update", pair.number(home["closing"]), hostile.text("attributes"), closing)
    assert told.notes
    assert type(home["point"]) is home["Point"]
    assert home["Property"].fired == []
    assert home["closing"].path == "a"


def test_code_of_the_notebook_is_not_moved_about(pair: Guarded) -> None:
    home = pair.home
    second = pair.numbered(home["second"])
    assert pair.take("name", hostile.text("print"), second).notes
    assert isinstance(home["print"], RemoteValue)
    told = pair.take(
        "update", pair.number(home["items"]), hostile.text("list"), b"](" + second + b"e"
    )
    assert told.notes
    swapped = b"](" + hostile.text("f") + second + b"e"
    assert pair.take("update", pair.number(home["table"]), hostile.text("dict"), swapped).notes
    inner = b"](](" + second + b"ee"
    assert pair.take("update", pair.number(home["items"]), hostile.text("list"), inner).notes
    assert (home["items"], home["table"]) == ([home["first"]], {"f": home["first"]})
    assert pair.take("name", hostile.text("first"), pair.numbered(home["first"])).notes == ()
    assert home["first"]() == 1


def test_no_stand_in_of_the_notebook_is_made_to_import() -> None:
    pair = Guarded(
        lazy=LazyImport("antigravity", "geohash", "h"), later=LazyModule("this", (), "h")
    )
    # Not sent: the worker's side is in this process, and it may import.
    pair.captured = capture(["lazy", "later"], pair.home, classes=pair.classes[0])
    for stand_in in ("lazy", "later"):
        called = pair.numbered(pair.home[stand_in]) + b")R"
        assert pair.take("name", hostile.text("x"), called).notes
        assert pair.take("name", hostile.text("y"), pair.numbered(pair.home[stand_in])).notes
    assert not {"antigravity", "this"} & set(sys.modules)


def test_the_interpreters_own_objects_are_left_alone(pair: Guarded) -> None:
    before, environment = list(sys.path), dict(os.environ)
    flat = b"](" + hostile.text("/evil") + b"e"
    assert pair.take("update", pair.number(sys.path), hostile.text("list"), flat).notes
    data = os.environ._data  # type: ignore[attr-defined]
    pairs = b"](" + hostile.pieces(b"LD_PRELOAD") + hostile.pieces(b"x") + b"e"
    assert pair.take("update", pair.number(data), hostile.text("dict"), pairs).notes
    assert sys.path == before
    assert dict(os.environ) == environment


@pytest.mark.parametrize(
    "code", ["opaque", "function", "cell", "class", "pandas.frame", "__init__"]
)
def test_no_other_kind_of_change_is_made(pair: Guarded, code: str) -> None:
    told = pair.take("update", pair.number(pair.home["items"]), hostile.text(code), b"N")
    assert "not all changed here" in told.notes[0]


def test_memory_under_the_notebooks_tensors_does_not_shrink() -> None:
    torch = pytest.importorskip("torch")
    pair = Guarded(t=torch.arange(4.0))
    pair.send("t")
    storage = next(
        obj for obj in pair.captured.table.values() if isinstance(obj, torch.UntypedStorage)
    )
    small = hostile.pieces(bytearray(4))
    assert pair.take("update", pair.number(storage), hostile.text("torch.storage"), small).notes
    assert pair.home["t"].tolist() == [0, 1, 2, 3]


def test_a_window_outside_its_memory_is_refused() -> None:
    pytest.importorskip("torch")
    ours = "jupyter_macgpu.wire.values"
    storage = hostile.call(f"{ours}.tensors", "build_storage", bytearray(16), "cpu")
    dtype = hostile.name("torch", "float32")
    for offset, size, stride in [
        (0, (5,), (1,)),
        (4, (1,), (1,)),
        (0, (2, 2), (3, 3)),
        (-1, (1,), (1,)),
        (0, (2**62,), (0,)),
        (0, (2,), (-1,)),
        (0, (2**40, 0), (1, 1)),
    ]:
        form = hostile.pieces(offset) + hostile.pieces(size) + hostile.pieces(stride)
        body = (
            hostile.name(f"{ours}.tensors", "build_tensor") + b"(" + storage
            + hostile.text("cpu") + dtype + form + b"\x89\x89tR"
        )  # fmt: skip
        names: dict[str, Any] = {}
        stream = hostile.entry("name", hostile.text("x"), body)
        apply_data(stream, (), {}, names, run="r", host="h")
        assert isinstance(names["x"], RemoteValue), (offset, size, stride)


def test_imports_are_bound_by_the_cells_own_text() -> None:
    pair = Guarded()
    told = pair.cell(
        "import os.path as where, decimal\nfrom fractions import Fraction as F\n"
        "import wsgiref.util\n"
        "exec('import json as pickle')\nG = F\nmods = [decimal]"
    )
    home = pair.home
    assert (home["where"], home["decimal"], home["F"]) == (os.path, decimal, fractions.Fraction)
    assert isinstance(home["wsgiref"], LazyModule) or "wsgiref.util" in sys.modules
    assert isinstance(home["pickle"], RemoteValue)
    assert isinstance(home["G"], RemoteValue)
    assert isinstance(home["mods"], RemoteValue)
    assert "an import" in told.notes[0]


def test_a_host_cannot_choose_what_an_import_binds() -> None:
    evil = hostile.call("jupyter_macgpu.wire.values.modules", "build_import", "builtins", "exec")
    names: dict[str, Any] = {}
    for called in ("json", "print"):
        apply_data(
            hostile.entry("name", hostile.text(called), evil), (), {}, names,
            run="r", host="h", imports=imports_of("import json"),
        )  # fmt: skip
    import json

    assert names["json"] is json
    assert isinstance(names["print"], RemoteValue)


def test_what_is_no_data_stays_and_says_so() -> None:
    pair = Guarded()
    told = pair.cell("f = lambda: 1\nclass C: pass\nc = C()\nboth = [1, f]\nn = 3")
    assert pair.home["n"] == 3
    for name in ("f", "C", "c", "both"):
        assert isinstance(pair.home[name], RemoteValue), name
    assert len(told.notes) == 1
    assert "f (a function)" in told.notes[0]
    assert "set `trust: full` for studio-1" in told.notes[0]
    assert "`trust: data` does not load a function" in repr(pair.home["f"])
    with pytest.raises(RemoteValueError):
        pair.home["f"]()


def test_inputs_of_another_kernels_run_are_data_or_left() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "a": [1, 2], "g": np.arange(2)}
    exec("def f(): return 1", namespace)
    sent = capture(["a", "f", "g"], namespace)
    table, inputs, left = inputs_from(sent.stream, copied(sent.buffers), host="h")
    assert inputs["a"] == [1, 2]
    assert np.array_equal(np.asarray(inputs["g"]), [0, 1])
    assert left == ("f",)
    number = next(n for n, obj in table.items() if obj is inputs["a"])
    apply_data(
        hostile.entry("update", hostile.number(number), hostile.text("list"), b"](K\x05e"),
        (), table, {}, run="r", host="h",
    )  # fmt: skip
    assert inputs["a"] == [5]


def test_fetching_what_is_no_data_says_the_same() -> None:
    info = RemoteInfo(
        key="k", name="f", host="h", type_name="function", shape=None, nbytes=None, reason="r"
    )
    stream = hostile.entry("result", hostile.text("_"), hostile.call("os", "getcwd"))
    with pytest.raises(RemoteValueError, match=r"does not load os\.getcwd"):
        fetched([b"", stream], info)
    with pytest.raises(RemoteValueError, match="cannot be read"):
        fetched([b"", b"\xff"], info)
    with pytest.raises(RemoteValueError, match="cannot be read"):
        fetched([], info)
    good = hostile.entry("result", hostile.text("_"), hostile.number(4))
    assert fetched([b"", good], info) == 4
