"""Two sides in one process: what is carried, what is refused, what stays."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
import tracemalloc
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_macgpu.wire.errors import (
    InputTooLarge,
    RemoteValueError,
    UnknownInput,
    UnpicklableInput,
)
from jupyter_macgpu.wire.values.capture import Capture, capture
from jupyter_macgpu.wire.values.changes import Changes, Limits
from jupyter_macgpu.wire.values.modules import LazyImport, LazyModule
from jupyter_macgpu.wire.values.receive import InputNotLoadable, Received, receive, table_from
from jupyter_macgpu.wire.values.registry import ClassRegistry
from jupyter_macgpu.wire.values.remote import RemoteValue
from jupyter_macgpu.wire.values.restore import Applied, apply


def copied(buffers: Any) -> list[bytearray]:
    """Buffers as they arrive: other memory, writable."""
    return [bytearray(pickle.PickleBuffer(buffer).raw()) for buffer in buffers]


class Pair:
    """A notebook and a worker, each with a namespace and classes of its own."""

    def __init__(self, **names: Any) -> None:
        self.home: dict[str, Any] = {"__name__": "__main__", **names}
        self.far: dict[str, Any] = {"__name__": "__main__"}
        self.classes = ClassRegistry(), ClassRegistry()
        self.live: dict[str, object] = {}
        self.captured: Capture
        self.received: Received

    def send(self, *names: str, **options: Any) -> None:
        self.captured = capture(names, self.home, classes=self.classes[0], **options)
        self.received = receive(
            self.captured.stream,
            copied(self.captured.buffers),
            self.far,
            live=self.live,
            classes=self.classes[1],
        )

    def run(self, source: str) -> None:
        exec(source, self.far)

    def collect(self, **options: Any) -> Changes:
        changes = self.received.changes(self.far, run="r1", host="studio-1", **options)
        self.live.update(changes.live)
        return changes

    def bring(self, changes: Changes) -> Applied:
        return apply(
            changes.stream,
            copied(changes.buffers),
            self.captured.table,
            self.home,
            run="r1",
            host="studio-1",
            classes=self.classes[0],
        )

    def cell(self, source: str, *names: str, **options: Any) -> Applied:
        self.send(*names)
        self.run(source)
        return self.bring(self.collect(**options))


def test_the_worker_has_the_inputs_and_nothing_else() -> None:
    pair = Pair(a=1, b=2)
    pair.cell("c = a", "a")
    pair.send("b")
    assert {name for name in pair.far if not name.startswith("__")} == {"b"}


def test_large_buffers_travel_out_of_band() -> None:
    pair = Pair(a=np.zeros(1_000_000))
    pair.send("a")
    assert len(pair.captured.stream) < 1000
    assert pair.captured.nbytes["a"] > 8_000_000


def test_an_array_that_comes_back_is_writable() -> None:
    pair = Pair()
    pair.cell("import numpy as np\na = np.ones(3)")
    pair.home["a"] += 1
    assert pair.home["a"].tolist() == [2, 2, 2]


def test_a_name_that_was_asked_for_and_does_not_exist_is_refused_with_all_others() -> None:
    with pytest.raises(UnknownInput) as caught:
        capture(["a", "b"], {"__name__": "__main__"}, classes=ClassRegistry())
    assert caught.value.names == ("a", "b")


def test_everything_that_cannot_travel_is_named_at_once_with_the_way_to_it() -> None:
    model = types.SimpleNamespace(parts=[1, {"lock": threading.Lock()}])
    numbers = (n for n in range(3))
    with socket.socket() as open_socket, Path(__file__).open() as file:
        names = {"model": model, "numbers": numbers, "s": open_socket, "f": file, "good": 1}
        with pytest.raises(UnpicklableInput) as caught:
            capture(names, {"__name__": "__main__", **names}, classes=ClassRegistry())
    found = {name: (kind, way) for name, kind, way, _ in caught.value.refused}
    assert found == {
        "model": ("_thread.lock", "model.parts[1]['lock']"),
        "numbers": ("generator", "numbers"),
        "s": ("socket.socket", "s"),
        "f": ("_io.TextIOWrapper", "f"),
    }
    assert "nothing was sent" in str(caught.value)


def test_inputs_over_the_limit_are_refused_with_their_sizes_before_anything_is_copied() -> None:
    names = {"__name__": "__main__", "a": 1, "h": np.zeros(100_000_000)}
    tracemalloc.start()
    try:
        with pytest.raises(InputTooLarge) as caught:
            capture(["a", "h"], names, limit=10**8, classes=ClassRegistry())
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
    assert next(iter(caught.value.sizes)) == "h"
    assert caught.value.sizes["h"] >= 800_000_000


def test_a_value_over_the_limit_stays_and_is_live_in_the_next_cell() -> None:
    pair = Pair()
    applied = pair.cell(
        "import numpy as np\nbig = np.ones(1000)\nbox = {'big': big, 'n': 1}\nn = 2",
        limits=Limits(value=4000),
    )
    assert applied.remote == ()
    big = pair.home["big"]
    assert isinstance(big, RemoteValue)
    assert (big.info.shape, big.info.nbytes) == ((1000,), 8000)
    assert pair.home["n"] == 2
    # What holds it comes, with the handle in its place.
    assert pair.home["box"]["big"].info.key == big.info.key
    pair.cell("total = float(big.sum())", "big")
    assert pair.home["total"] == 1000
    pair.cell("same = box['big'] is big", "big", "box")
    assert pair.home["same"] is True


def test_what_was_asked_for_comes_whatever_its_size_and_the_rest_stays_out() -> None:
    pair = Pair(log=[])
    pair.send("log")
    pair.run("import numpy as np\nbig = np.ones(1000)\nother = 1\nlog.append(1)")
    changes = pair.collect(only=["big"], limits=Limits(value=4000))
    pair.bring(changes)
    assert pair.home["big"].shape == (1000,)
    assert "other" not in pair.home
    assert pair.home["log"] == []
    assert any("log" in note for note in changes.notes)


def test_a_value_that_cannot_be_pickled_stays_and_the_others_come() -> None:
    pair = Pair(d={})
    pair.cell("import threading\nlock = threading.Lock()\nd['lock'] = lock\nd['n'] = n = 1", "d")
    assert isinstance(pair.home["lock"], RemoteValue)
    assert pair.home["d"]["n"] == pair.home["n"] == 1
    assert isinstance(pair.home["d"]["lock"], RemoteValue)
    pair.cell("ok = d['lock'] is lock", "d", "lock")
    assert pair.home["ok"] is True


def used(value: Any) -> Iterator[Callable[[], object]]:
    """Return ways to use a value."""
    yield from (partial(use, value) for use in (len, iter, bool, lambda x: x + 1))
    yield from (partial(use, value) for use in (lambda x: x.shape, lambda x: x[0]))
    yield partial(setattr, value, "shape", 1)
    yield partial(delattr, value, "shape")


def test_a_handle_says_the_ways_out_that_there_are() -> None:
    pair = Pair()
    pair.cell("import threading\nlock = threading.Lock()")
    lock = pair.home["lock"]
    assert "studio-1" in repr(lock)
    for use in used(lock):
        with pytest.raises(RemoteValueError, match=r"%%macgpu") as caught:
            use()
        # It can never be brought.
        assert "fetch" not in str(caught.value)
    large = RemoteValue(replace(lock.info, reason="larger than 1 KiB"))
    for use in used(large):
        with pytest.raises(RemoteValueError, match=r"fetch.*%%macgpu"):
            use()


def test_a_type_that_is_missing_here_leaves_a_handle_and_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onlythere.py").write_text("class Thing:\n    def __init__(self): self.n = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    pair = Pair(kept=[1])
    pair.send("kept")
    pair.run("import onlythere\nt = onlythere.Thing()\nbox = [t, 1]\nn = 5\nkept.append(2)")
    changes = pair.collect()
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "onlythere")
    applied = pair.bring(changes)
    assert pair.home["n"] == 5
    assert pair.home["kept"] == [1, 2]
    assert {info.name for info in applied.remote} == {"t", "box"}
    assert all(info.key in pair.live for info in applied.remote)
    with pytest.raises(ModuleNotFoundError, match="studio-1"):
        _ = pair.home["onlythere"].Thing


def test_a_module_comes_back_as_itself_or_waits_to_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slowmod.py").write_text("value = 7\ndef double(x): return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    pair = Pair()
    pair.send()
    pair.run("import math, slowmod\nfrom slowmod import double\nfrom math import floor")
    changes = pair.collect()
    monkeypatch.delitem(sys.modules, "slowmod")
    pair.bring(changes)
    assert pair.home["math"] is sys.modules["math"]
    assert pair.home["floor"] is sys.modules["math"].floor
    assert type(pair.home["slowmod"]) is LazyModule
    assert type(pair.home["double"]) is LazyImport
    assert "slowmod" not in sys.modules
    pair.cell("four = double(slowmod.value - 5)", "double", "slowmod")
    assert pair.home["four"] == 4
    assert pair.home["slowmod"].value == 7


def test_an_input_that_needs_a_missing_module_says_so_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onlyhere.py").write_text("class Thing:\n    def __init__(self): self.n = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import onlyhere  # type: ignore[import-not-found]

    home = {"__name__": "__main__", "t": onlyhere.Thing()}
    captured = capture(["t"], home, classes=ClassRegistry())
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "onlyhere")
    far = {"__name__": "__main__", "old": 1}
    with pytest.raises(InputNotLoadable, match="onlyhere"):
        receive(captured.stream, copied(captured.buffers), far, classes=ClassRegistry())
    assert far["old"] == 1


def test_another_kernel_can_take_the_changes_with_the_inputs_stream() -> None:
    pair = Pair(a=[1], b=2)
    pair.send("a", "b")
    pair.run("a.append(b)\nc = a")
    changes = pair.collect()
    fresh: dict[str, Any] = {"__name__": "__main__"}
    classes = ClassRegistry()
    table, values = table_from(
        pair.captured.stream, copied(pair.captured.buffers), fresh, classes=classes
    )
    fresh.update(values)
    apply(
        changes.stream, copied(changes.buffers), table, fresh,
        run="r1", host="h", classes=classes,
    )  # fmt: skip
    assert fresh["a"] == [1, 2]
    assert fresh["c"] is fresh["a"]


def test_what_cannot_change_in_place_is_replaced_under_all_its_names_and_said() -> None:
    a = np.arange(4.0)
    pair = Pair(a=a, same=a, box=[a], pair=(a, 1))
    applied = pair.cell("a.resize((2, 2), refcheck=False)", "a", "box", "pair")
    assert pair.home["a"].shape == (2, 2)
    assert pair.home["same"] is pair.home["a"] is pair.home["box"][0] is pair.home["pair"][0]
    assert set(applied.rebound) >= {"a", "same"}
    assert any(note.startswith("a, same") for note in applied.notes)


def test_the_result_is_the_object_that_a_name_has() -> None:
    pair = Pair(a=[1])
    pair.send("a")
    applied = pair.bring(pair.collect(result=(pair.far["a"],)))
    assert applied.result[0] is pair.home["a"]


def test_a_cell_that_changes_nothing_sends_nothing_back() -> None:
    pair = Pair(a=[1, {"x": np.ones(3)}], s="text", t=(1, [2]))
    pair.send("a", "s", "t")
    pair.run("len(a)")
    changes = pair.collect()
    assert (changes.bound, changes.deleted, changes.notes, changes.buffers) == ((), (), (), ())
    assert changes.stream == b""


def test_vars_of_an_instance_stays_its_dict() -> None:
    pair = Pair()
    exec("class C: pass\nc = C(); c.n = 1; held = vars(c)", pair.home)
    pair.cell("c.n = 2; c.new = 3", "c", "held")
    assert pair.home["held"] == {"n": 2, "new": 3}
    assert pair.home["held"] is vars(pair.home["c"])


def test_code_of_a_class_does_not_run_because_its_instance_travelled() -> None:
    pair = Pair()
    exec(
        "log = []\n"
        "class Base:\n    def __init_subclass__(cls): log.append(cls.__name__)\n"
        "class D(Base, dict):\n"
        "    def __setattr__(self, k, v): raise TypeError('frozen')\n"
        "    def __setitem__(self, k, v): raise TypeError('frozen')\n"
        "d = D({'a': 1})\nvars(d)['x'] = 2",
        pair.home,
    )
    pair.cell("n = (dict(d), d.x, list(log))", "d", "log")
    assert pair.home["n"] == ({"a": 1}, 2, ["D"])


@pytest.mark.parametrize(
    "source",
    [
        "import functools\nclass C:\n    @functools.cached_property\n"
        "    def p(self): return 5\nx = C()\n"
        "def check(): return x.p",
        "import functools\n@functools.singledispatch\ndef f(a): return 'any'\n"
        "@f.register\ndef _(a: int): return 'int'\ndef check(): return f(1), f('')",
        "import logging\nlog = logging.getLogger('some')\ndef check(): return log.name",
        "import enum\nclass E(enum.Flag):\n    A = 1\n    B = 2\nx = E.A | E.B\n"
        "def check(): return x == E.A | E.B, E.A is E['A'], x is E(3)",
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def m(self): ...\n"
        "class B(A):\n    def m(self): return 1\nA.register(int)\n"
        "def check(): return B().m(), isinstance(3, A)",
        "class M(type):\n    def __call__(cls): return (cls.__name__, 1)\n"
        "class C(metaclass=M): pass\ndef check(): return C()",
        "import weakref\nclass C: pass\nc = C()\nr = weakref.ref(c)\ndef check(): return r() is c",
        "class O:\n    class I:\n        def who(self): return type(self).__qualname__\n"
        "    @property\n    def p(self): return self.I().who()\n    @staticmethod\n"
        "    def s(): return 2\n    @classmethod\n    def c(cls): return cls.__name__\n"
        "def check(): return O().p, O.s(), O.c()",
        "import dataclasses\n@dataclasses.dataclass(frozen=True, slots=True)\n"
        "class P:\n    x: int\n"
        "    y: list = dataclasses.field(default_factory=list)\np = P(1)\n"
        "def check(): return dataclasses.replace(p, x=2), p == P(1), P.__slots__",
        "from tqdm import tqdm\nimport io\nbar = tqdm(range(3), file=io.StringIO())\n"
        "for _i in bar: pass\ndef check(): return bar.n",
        "def outer(n):\n    def inner(): return n if n == 0 else inner2(n)\n"
        "    def inner2(m): return outer(m - 1)()\n    return inner\nf = outer(3)\n"
        "def check(): return f()",
    ],
)  # fmt: skip
def test_what_notebooks_hold_means_the_same_there_and_back(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    pair = Pair()
    pair.home = vars(main)
    exec(source, pair.home)
    expected = pair.home["check"]()
    pair.send("check")
    pair.run("there = repr(check())\nagain = check")
    pair.bring(pair.collect())
    assert pair.home["there"] == repr(expected)
    assert pair.home["again"] is pair.home["check"]
    assert repr(pair.home["check"]()) == repr(expected)


def test_a_value_that_stayed_may_change_there_without_a_word() -> None:
    pair = Pair()
    pair.cell("import numpy as np\nbig = np.ones(1000)", limits=Limits(value=4000))
    handle = pair.home["big"]
    pair.send("big")
    pair.run("big += 1")
    changes = pair.collect()
    applied = pair.bring(changes)
    assert (changes.stream, applied.notes) == (b"", ())
    assert pair.home["big"] is handle
    pair.cell("total = float(big.sum())", "big")
    assert pair.home["total"] == 2000


def test_what_stays_and_what_comes_stop_sharing_and_a_note_says_so() -> None:
    pair = Pair(part=[1])
    pair.send("part")
    pair.run("import numpy as np\nwhole = {'part': part, 'big': np.ones(1000)}")
    changes = pair.collect(limits=Limits(value=4000))
    assert isinstance(pair.bring(changes) and pair.home["whole"], RemoteValue)
    assert any(note.startswith("whole stays on studio-1") for note in changes.notes)


def test_a_tensor_keeps_the_name_of_a_device_that_this_side_lacks() -> None:
    torch = pytest.importorskip("torch")
    there = "cuda:7"
    tensor = torch.arange(4.0)
    tensor._macgpu_device = there
    pair = Pair(t=tensor, v=tensor[1:])
    pair.cell("t += 1\nu = t.clone()", "t", "v")
    assert pair.home["v"].tolist() == [2, 3, 4]
    assert pair.home["t"]._macgpu_device == there
    assert not hasattr(pair.home["u"], "_macgpu_device")


def gpu() -> str | None:
    """Name the accelerator that PyTorch has here."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps:0" if torch.backends.mps.is_available() else None


@pytest.mark.skipif(gpu() is None, reason="needs a GPU that PyTorch knows")
def test_a_model_goes_back_to_its_device_and_its_training_comes_home() -> None:
    torch = pytest.importorskip("torch")
    device = gpu()
    pair = Pair(log=[])
    pair.cell(
        f"import torch\nmodel = torch.nn.Linear(3, 1).to('{device}')\n"
        "opt = torch.optim.Adam(model.parameters(), lr=0.1)\ntied = {'w': model.weight}\n"
        "view = model.weight.detach()[0]\n"
        f"half = torch.ones(3, dtype=torch.bfloat16, device='{device}')",
    )
    model, before = pair.home["model"], pair.home["model"].weight.tolist()
    assert (str(model.weight.device), model.weight._macgpu_device) == ("cpu", device)
    pair.send("model", "opt", "half", "torch")
    pair.run(
        f"assert str(model.weight.device) == '{device}' == str(half.device)\n"
        f"model(torch.ones(2, 3, device='{device}')).sum().backward()\nopt.step()\nhalf += 1"
    )
    pair.bring(pair.collect())
    assert pair.home["model"] is model
    assert model.weight.tolist() != before
    assert pair.home["tied"]["w"].tolist() == model.weight.tolist()
    assert pair.home["view"].tolist() == model.weight[0].tolist()
    assert model.weight.grad.tolist() == [[2, 2, 2]]
    assert pair.home["half"].tolist() == [2, 2, 2]
    step = pair.home["opt"].state[model.weight]["exp_avg"]
    assert isinstance(step, torch.Tensor)
    pair.send("model")
    pair.run("model.to('cpu')")
    pair.bring(pair.collect())
    assert not hasattr(model.weight, "_macgpu_device")


def test_what_another_python_made_stays_there_and_spoils_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A method that a decorator wrote has no source, so that its bytecode would have to fit."""
    pair = Pair(notes=[])
    pair.send("notes")
    pair.run(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Point:\n    x: int\n"
        "class Child(Point): pass\n"
        "point, child, z = Point(3), Child(4), 5\nnotes.append(1)\nboth = [point]"
    )
    changes = pair.collect()
    monkeypatch.setattr(sys, "version_info", (3, 99, 0, "final", 0))
    applied = pair.bring(changes)
    assert (pair.home["z"], pair.home["notes"]) == (5, [1])
    for name in ("point", "child", "both", "Point"):
        assert isinstance(pair.home[name], RemoteValue), name
        assert "same Python minor version" in pair.home[name].info.reason
        assert len(pair.home[name].info.reason) < 200
    assert {info.name for info in applied.remote} >= {"point", "both"}
