"""Programs of a few cells, as people write them, for the oracle to run in two ways.

Every statement stands on a small pool of names, so that cells meet each other's
values. A cell may fail; it must fail alike wherever it runs, so nothing here depends
on hashes of text, addresses, the clock or a random state of the process.
"""

from __future__ import annotations

from hypothesis import strategies as st

_INT = st.integers(-3, 9).map(str)
_NUMBER = st.sampled_from(["n", "k"])
_LIST = st.sampled_from(["xs", "ys"])
_ANY = st.sampled_from(["n", "k", "xs", "ys", "d", "s", "obj", "other", "fs", "tup"])
_THING = st.sampled_from(["obj", "other"])
_ARRAY = st.sampled_from(["a", "v", "w"])
_TENSOR = st.sampled_from(["t", "u"])


def _filled(template: str, **holes: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(dict(holes)).map(lambda values: template.format(**values))


def _plain() -> list[st.SearchStrategy[str]]:
    return [
        _filled("{x} = {i}", x=_NUMBER, i=_INT),
        _filled("{x} += {i}", x=_NUMBER, i=_INT),
        _filled("{x} = [{i}, n]", x=_LIST, i=_INT),
        _filled("{x} = {y}", x=_LIST, y=_LIST),
        _filled("{x}.append({y})", x=_LIST, y=_ANY),
        _filled("{x} += [{i}]", x=_LIST, i=_INT),
        _filled("{x}[0] = {i}", x=_LIST, i=_INT),
        _filled("{x} = list({y})", x=_LIST, y=_LIST),
        _filled("{x}.sort(key=repr) if all(type(e) is int for e in {x}) else None", x=_LIST),
        _filled("d = {{'xs': xs, 'n': n}}"),
        _filled("d[{i}] = {y}", i=_INT, y=_ANY),
        _filled("d['more'] = {{'inner': {y}}}", y=_ANY),
        _filled("d.pop('n')"),
        _filled("d = dict(reversed(list(d.items())))"),
        _filled("s = {{n, k, {i}}}", i=_INT),
        _filled("s.add({i})", i=_INT),
        _filled("s |= {{{i}}}", i=_INT),
        _filled("tup = (xs, {i}, d)", i=_INT),
        _filled("tup[0].append({i})", i=_INT),
        _filled("xs, ys = ys, xs"),
        _filled("del {x}", x=_ANY),
        _filled("for k in range({i}):\n    xs.append(k)", i=_INT),
        _filled("ys = [e for e in xs if e != {i}]", i=_INT),
        _filled("big = {{q: [q] for q in range(3)}}"),
        _filled("try:\n    n = xs[{i}]\nexcept IndexError as e:\n    n = str(e)", i=_INT),
        _filled("print(n, k, xs, sorted(s))"),
        _filled("print(len(d), xs is ys, d.get('xs') is xs)"),
        _filled("{x}", x=_ANY),
        _filled("import math\nn = math.floor(k / 2)"),
        _filled("from collections import OrderedDict, deque\nd = OrderedDict(d)"),
        _filled("hasattr(d, 'move_to_end') and d.move_to_end('xs')"),
        _filled("ba = bytearray(b'abc'); fs['ba'] = ba"),
        _filled("ba[{i}] = 65", i=st.sampled_from("012")),
        _filled("1 / n"),
    ]


def _functions() -> list[st.SearchStrategy[str]]:
    return [
        _filled("def f(x=xs):\n    return (n, len(x))"),
        _filled("def f(x={i}):\n    return n + x", i=_INT),
        _filled("def f():\n    global n\n    n += {i}\n    return n", i=_INT),
        _filled("def f(x=0):\n    xs.append(x)\n    return g() if x else d"),
        _filled("def g():\n    return k"),
        _filled("g = lambda: (n, k)"),
        _filled("print(f())"),
        _filled("k = g()"),
        _filled("f.calls = getattr(f, 'calls', 0) + 1"),
        _filled("fs['f'] = f"),
        _filled("print(fs['f']())"),
        _filled("f.__defaults__ = (ys,)"),
        _filled(
            "def counter():\n    c = {i}\n    def up():\n        nonlocal c\n        c += 1\n"
            "        return c\n    return up, lambda: c\nup, get = counter()",
            i=_INT,
        ),
        _filled("print(up(), get())"),
        _filled("up()"),
        _filled("import functools\nhalf = functools.partial(up)\nfs['half'] = half"),
        _filled("def deco(fn):\n    def inner(*q):\n        xs.append(1)\n        return fn(*q)\n"
                "    return inner\ng = deco(g)"),
        _filled("print(half())"),
    ]  # fmt: skip


def _classes() -> list[st.SearchStrategy[str]]:
    return [
        _filled(
            "class C:\n    n = {i}\n    def __init__(self, v=0):\n        self.v = v\n"
            "    def bump(self):\n        self.v += self.n\n        return self.v",
            i=_INT,
        ),
        _filled("class D(C):\n    made = []\n    def __init__(self, v=1):\n"
                "        super().__init__(v)\n        self.made.append(v)"),
        _filled("class C:\n    __slots__ = ('v', 'w')\n    n = 1\n    def __init__(self, v=0):\n"
                "        self.v = v\n    def bump(self):\n        return n"),
        _filled(
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int = {i}\n"
            "    items: list = dataclasses.field(default_factory=list)\nother = P()",
            i=_INT,
        ),
        _filled("import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = [2]\nn = Color.RED"),
        _filled("from typing import NamedTuple\nclass Pt(NamedTuple):\n    x: int\n    y: list\n"
                "other = Pt(1, xs)"),
        _filled("{x} = C({i})", x=_THING, i=_INT),
        _filled("{x} = D({i})", x=_THING, i=_INT),
        _filled("{x} = C(xs)", x=_THING),
        _filled("{x}.bump()", x=_THING),
        _filled("{x}.v = {y}", x=_THING, y=_ANY),
        _filled("{x}.extra = other", x=_THING),
        _filled("{x} = {y}", x=_THING, y=_THING),
        _filled("C.n = {i}", i=_INT),
        _filled("C.fresh = xs"),
        _filled("del C.n"),
        _filled("del {x}.v", x=_THING),
        _filled("print(isinstance(obj, C), type(other).__name__)"),
        _filled("print(obj.n, getattr(obj, 'v', None) is xs)"),
        _filled("fs['bound'] = obj.bump"),
        _filled("print(fs['bound']())"),
        _filled("obj.__class__ = C"),
        _filled("vars(obj)['z'] = {i}", i=_INT),
        _filled("class Log(list):\n    def append(self, q):\n        super().append((q,))\n"
                "xs = Log([{i}])\nxs.tag = d", i=_INT),
        _filled("print(other == P(other.x), repr(other))"),
    ]  # fmt: skip


def _numpy() -> list[st.SearchStrategy[str]]:
    return [
        _filled("a = np.arange(6.)"),
        _filled("v = a[1:4]"),
        _filled("w = a.reshape(2, 3)"),
        _filled("w = a[::2]"),
        _filled("v = a.copy()"),
        _filled("{x} += {i}", x=_ARRAY, i=_INT),
        _filled("{x}.flat[0] = {i}", x=_ARRAY, i=_INT),
        _filled("{x} = {y}", x=_ARRAY, y=_ARRAY),
        _filled("{x} = {x} * 2", x=_ARRAY),
        _filled("d['a'] = {x}", x=_ARRAY),
        _filled("d['a'] += 1"),
        _filled("xs.append({x})", x=_ARRAY),
        _filled("n = float(a.sum())"),
        _filled("print({x}.tolist(), np.shares_memory(a, v))", x=_ARRAY),
        _filled("v = a.T[1:]"),
        _filled("{x}.sort()", x=_ARRAY),
        _filled("w = np.array([xs, None], dtype=object)"),
        _filled("from numpy import sin\nv = sin(a)"),
    ]


def _torch() -> list[st.SearchStrategy[str]]:
    return [
        _filled("t = torch.arange(4.)"),
        _filled("u = t[1:3]"),
        _filled("u = t.view(2, 2)"),
        _filled("{x} += {i}", x=_TENSOR, i=_INT),
        _filled("d['t'] = {x}", x=_TENSOR),
        _filled("t = torch.nn.Parameter(torch.ones(2))"),
        _filled("{x} = {x}.clone().detach()", x=_TENSOR),
        _filled("with torch.no_grad():\n    {x}.fill_({i})", x=_TENSOR, i=_INT),
        _filled("{x}.requires_grad_()", x=_TENSOR),
        _filled("({x} * 2).sum().backward()", x=_TENSOR),
        _filled("print({x}.tolist(), {x}.grad)", x=_TENSOR),
        _filled("torch.manual_seed({i} + 3)\nm = torch.nn.Linear(2, 1)\n"
                "opt = torch.optim.SGD(m.parameters(), lr=0.5, momentum=0.5)", i=_INT),
        _filled("opt = torch.optim.Adam(m.parameters(), lr=0.125)"),
        _filled("sch = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)"),
        _filled("m(torch.ones(3, 2)).sum().backward()"),
        _filled("opt.step()"),
        _filled("sch.step()"),
        _filled("opt.zero_grad()"),
        _filled("opt.param_groups[0]['lr'] = 0.25"),
        _filled("d['m'] = m"),
        _filled("m.weight.data += 1"),
        _filled("torch.manual_seed(1); tied = torch.nn.Linear(2, 1); tied.weight = m.weight"),
        _filled("print(opt.param_groups[0]['lr'], m.weight.tolist())"),
        _filled("class Net(torch.nn.Module):\n    def __init__(self):\n"
                "        super().__init__()\n        self.m = m\n"
                "    def forward(self, x):\n        return self.m(x) * n\nnet = Net()"),
        _filled("print(float(net(torch.ones(2)).sum()))"),
        _filled("t.data = torch.zeros(3)"),
        _filled("m.weight.requires_grad_(False)"),
    ]  # fmt: skip


_START = (
    "n = 1; k = 2; xs = [1, 2]; ys = xs; d = {'xs': xs}; s = {1}; fs = {}; tup = (xs, d)\n"
    "class C:\n    n = 5\n    def __init__(self, v=0):\n        self.v = v\n"
    "    def bump(self):\n        self.v += 1\n        return self.n\n"
    "obj = C(3); other = C(xs)\n"
    "def f(x=1):\n    return n + x\n"
    "def g():\n    return f(k)\n"
    "def counter():\n    c = 0\n    def up():\n        nonlocal c\n        c += 1\n"
    "        return c\n    return up, lambda: c\n"
    "up, get = counter(); half = up; ba = bytearray(b'xyz'); fs['f'] = f; fs['bound'] = obj.bump"
)
_NUMPY_START = "import numpy as np\na = np.arange(6.); v = a[1:]; w = a"
_TORCH_START = (
    "import torch\nt = torch.ones(3); u = t[1:]; torch.manual_seed(0)\n"
    "m = torch.nn.Linear(2, 1); opt = torch.optim.SGD(m.parameters(), lr=0.5)"
)


@st.composite
def programs(draw: st.DrawFn) -> list[str]:
    """Make a program: three to eight cells of one to four statements."""
    kinds = [_plain(), _functions(), _classes()]
    start = [_START]
    if draw(st.booleans()):
        kinds.append(_numpy())
        start.append(_NUMPY_START)
    if draw(st.integers(0, 2)) == 0:
        kinds.append(_torch())
        start.append(_TORCH_START)
    statement = st.sampled_from(kinds).flatmap(st.one_of)
    cell = st.lists(statement, min_size=1, max_size=4).map("\n".join)
    return ["\n".join(start), *draw(st.lists(cell, min_size=2, max_size=7))]
