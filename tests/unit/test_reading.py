"""Which names a cell reads, as a table."""

from __future__ import annotations

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_macgpu.reading import names_read

TRANSFORM = TransformerManager().transform_cell

CASES = [
    ("x = 1\nprint(x)", {"print"}),
    ("x += 1", {"x"}),
    ("del x", {"x"}),
    ("x = 1\ndel x", {"x"}),
    ("x = x + 1", {"x"}),
    ("x[0] = y", {"x", "y"}),
    ("x.y = 1", {"x"}),
    ("[i * k for i in r]", {"k", "r"}),
    ("for i in r:\n    acc = i\n    acc + i", {"r"}),
    ("for i in r:\n    total = total + i", {"r", "total"}),
    ("for i in r:\n    pass\ni", {"r", "i"}),
    ("for x[0] in r:\n    break", {"r", "x"}),
    ("if a:\n    b = 1\nelse:\n    b = 2\nb", {"a"}),
    ("if a:\n    b = 1\nb", {"a", "b"}),
    ("while go:\n    n = 1\nn", {"go", "n"}),
    ("with open(p) as f:\n    t = f.read()\nt", {"open", "p", "t"}),
    ("try:\n    v = 1\nexcept E as e:\n    pass", {"E", "e"}),
    ("def f(a):\n    global n\n    n += a\n    return later", {"n", "later"}),
    ("def f(a=d): return a", {"d"}),
    ("@deco\nclass C(Base):\n    z = w\n    def m(self): return super().m() + k",
     {"deco", "Base", "w", "k", "super", "__name__"}),
    ("import numpy as np\nnp.zeros(n)", {"n"}),
    ("from a import b\nb(c)", {"c"}),
    ("await task(x)", {"task", "x"}),
    ("f'{x:{w}}'", {"x", "w"}),
    ("match p:\n    case [q, *r]:\n        s = q", {"p", "q"}),
    ("%time y = fit(x)", {"get_ipython", "fit", "x"}),
    ("%timeit -n1 -r 3 g(z)", {"get_ipython", "g", "z"}),
    ("%%time\ny = fit(x)\ny", {"get_ipython", "fit", "x"}),
    ("%%capture cap\n%time h(u)", {"get_ipython", "cap", "h", "u"}),
    ("!ls {folder} $name", {"get_ipython", "folder", "name"}),
    ("files = !ls {d}/*", {"get_ipython", "d"}),
    ("%%bash\nx = y", {"get_ipython"}),
    ("_ + _5", {"_", "_5"}),
    ("model?", {"get_ipython", "model"}),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "expected"), CASES, ids=[cell for cell, _ in CASES])
def test_a_cell_reads_these_names(cell: str, expected: set[str]) -> None:
    reading = names_read(TRANSFORM(cell), transform=TRANSFORM)
    assert set(reading.names) == expected


def test_attributes_are_what_stands_behind_a_dot() -> None:
    reading = names_read("import concurrent.futures as c\nc.thread.x\ndef f(): return os.path.sep")
    assert {"thread", "path", "sep"} <= reading.attributes


def test_a_cell_that_is_not_python_is_a_syntax_error_with_its_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        names_read("x = 1\ny = = 2")
    assert caught.value.lineno == 2
