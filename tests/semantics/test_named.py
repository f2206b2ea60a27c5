"""What must mean on a worker what it means at home, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_macgpu.inputs import read_inputs
from jupyter_macgpu.wire.values.registry import ClassRegistry

from .real_worker import two_workers
from .runner import LocalRunner, Notebook, Outcome, PipedRunner, Runner

HERE = LocalRunner()


@pytest.fixture(scope="module", params=["values", "product"])
def worker(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Return the values layer alone, then the whole product."""
    if request.param == "product":
        with two_workers() as (first, _):
            yield first
        return
    runner = PipedRunner()
    yield runner
    runner.close()


class Cells(Notebook):
    """A notebook: `here` runs a cell at home, `there` on the worker."""

    def __init__(self, worker: Runner) -> None:
        super().__init__()
        self._worker = worker

    def here(self, source: str) -> str:
        done = self.run(source, HERE)
        assert not done.error, done.error
        return done.stdout

    def there(self, source: str, *, note: str = "") -> str:
        """Run a cell on the worker; nothing but `note` may be said about its variables."""
        done: Outcome = self.run(source, self._worker)
        assert not done.error, done.error
        assert all(note and note in said for said in done.notes), done.notes
        return done.stdout

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture
def notebook(worker: Runner) -> Cells:
    return Cells(worker)


def test_a_function_reads_the_global_that_the_cell_sets(notebook: Cells) -> None:
    notebook.here("x = 1\ndef f(): return x")
    assert notebook.there("x = 2\nprint(f())") == "2\n"
    assert notebook["f"]() == 2


def test_a_global_statement_reaches_the_notebook(notebook: Cells) -> None:
    notebook.here("step = 0\ndef tick():\n    global step\n    step += 1")
    notebook.there("tick(); tick()")
    assert notebook["step"] == 2


def test_bump_counts_where_only_bump_is_named(notebook: Cells) -> None:
    notebook.here("count = 0\ndef bump():\n    global count\n    count += 1\n    return count")
    assert notebook.there("bump(); bump(); print(count)") == "2\n"
    assert notebook.there("print(bump())") == "3\n"
    assert notebook["bump"]() == 4


def test_a_function_changes_a_global_dict_in_place(notebook: Cells) -> None:
    notebook.here("log = {}\nkept = log\ndef note(k): log[k] = len(log)")
    notebook.there("note('a'); note('b')")
    assert notebook["kept"] == {"a": 0, "b": 1}
    assert notebook["kept"] is notebook["log"]


def test_aliases_stay_aliases(notebook: Cells) -> None:
    notebook.here("a = []\nb = {'a': a}")
    notebook.there("b['a'].append(1)\nc = b['a']")
    assert notebook["a"] == [1]
    assert notebook["b"]["a"] is notebook["a"] is notebook["c"]


def test_a_closure_goes_on_counting(notebook: Cells) -> None:
    notebook.here(
        "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n"
        "        return n\n    def get(): return n\n    return up, get\nup, get = counter()"
    )
    notebook.there("up(); up()")
    assert notebook["get"]() == 2
    notebook.here("up()")
    assert notebook.there("print(get())") == "3\n"


def test_a_returned_function_reads_a_later_global(notebook: Cells) -> None:
    notebook.there("lr = 0.1\ndef g(): return lr")
    notebook.here("lr = 0.5")
    assert notebook["g"]() == 0.5
    assert notebook.there("print(g())") == "0.5\n"


def test_an_old_instance_keeps_its_class_when_the_class_is_defined_again(
    notebook: Cells,
) -> None:
    notebook.here("class C:\n    n = 1\n    def who(self): return 'old'")
    notebook.there("obj = C()")
    notebook.here("old = C\nclass C:\n    n = 2\n    def who(self): return 'new'")
    assert notebook["obj"].who() == "old"
    assert type(notebook["obj"]) is notebook["old"]
    assert notebook.there("print(obj.who(), C().who(), isinstance(obj, C))") == "old new False\n"
    notebook.there("print(obj)")
    assert notebook["C"].n == 2


def test_an_array_is_not_inside_the_function_that_reads_it(notebook: Cells) -> None:
    notebook.here("import numpy as np\ndata = np.zeros(50_000_000 // 8)\ndef f(): return data[0]")
    captured = read_inputs("f()", notebook.names, classes=ClassRegistry()).capture
    assert captured.nbytes["f"] < 2000
    assert captured.nbytes["data"] >= 50_000_000
    assert len(captured.stream) < 4000


def test_a_numpy_view_stays_a_view(notebook: Cells) -> None:
    notebook.here("import numpy as np\na = np.arange(6.)\nv = a[2:5]\nw = a.reshape(2, 3)")
    notebook.there("v[0] = 20\nw[0, 0] = 7\nnew = a[4:]")
    assert notebook["a"].tolist() == [7, 1, 20, 3, 4, 5]
    assert notebook["v"].tolist() == [20, 3, 4]
    notebook.here("new[0] = 44")
    assert notebook["a"][4] == 44


def test_a_frame_gets_a_column_in_place(notebook: Cells) -> None:
    notebook.here("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nsame = df")
    notebook.there("df['b'] = df['a'] * 2")
    assert notebook["same"] is notebook["df"]
    assert notebook["same"]["b"].tolist() == [2, 4]


def test_backward_in_one_cell_and_step_in_another(notebook: Cells) -> None:
    notebook.here(
        "import torch\nw = torch.nn.Parameter(torch.ones(2))\n"
        "opt = torch.optim.SGD([w], lr=0.5)\nsame = w"
    )
    notebook.there("loss = (w * 3).sum()\nloss.backward()", note="autograd graph")
    assert notebook["w"].grad.tolist() == [3, 3]
    notebook.there("opt.step()")
    assert notebook["same"].tolist() == [-0.5, -0.5]
    notebook.here("opt.zero_grad(); (w * 2).sum().backward(); opt.step()")
    assert notebook["w"].tolist() == [-1.5, -1.5]


def test_a_scheduler_built_here_follows_the_optimizer_trained_there(notebook: Cells) -> None:
    notebook.here(
        "import torch\nmodel = torch.nn.Linear(2, 1)\n"
        "opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)\n"
        "sched = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.1)\n"
        "x = torch.ones(4, 2)"
    )
    notebook.there("opt.zero_grad(); model(x).sum().backward(); opt.step()")
    notebook.here("sched.step()")
    assert notebook["opt"].param_groups[0]["lr"] == pytest.approx(0.01)
    notebook.there("opt.step(); sched.step()")
    assert notebook["opt"].param_groups[0]["lr"] == pytest.approx(0.001)
    assert notebook["sched"].optimizer is notebook["opt"]
    assert notebook["opt"].param_groups[0]["params"][0] is notebook["model"].weight
    assert list(notebook["opt"].state) == list(notebook["model"].parameters())


def test_the_model_of_a_trainer_is_the_model(notebook: Cells) -> None:
    notebook.here(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = torch.nn.Linear(2, 2)\n"
        "    def forward(self, x): return self.fc(x)\n"
        "class Trainer:\n"
        "    def __init__(self, model):\n"
        "        self.model = model\n"
        "        self.opt = torch.optim.Adam(model.parameters(), lr=0.1)\n"
        "    def fit(self):\n"
        "        self.model(torch.ones(1, 2)).sum().backward()\n"
        "        self.opt.step()\n"
        "model = Net(); trainer = Trainer(model)\n"
        "before = model.fc.weight.detach().clone()"
    )
    notebook.there("trainer.fit()")
    assert notebook["trainer"].model is notebook["model"]
    assert not (notebook["model"].fc.weight == notebook["before"]).any()
    notebook.here("trainer.fit()")
    assert notebook.there("trainer.fit()\nprint(trainer.model is model)") == "True\n"


def test_tied_weights_stay_tied(notebook: Cells) -> None:
    notebook.here(
        "import torch\na = torch.nn.Linear(2, 2); b = torch.nn.Linear(2, 2)\n"
        "b.weight = a.weight\nt = torch.arange(4.); v = t[1:3]"
    )
    notebook.there(
        "assert a.weight is b.weight\nv += 10\n"
        "with torch.no_grad(): a.weight.fill_(5)\nnew = t.view(2, 2)"
    )
    assert notebook["b"].weight.tolist() == [[5, 5], [5, 5]]
    assert notebook["t"].tolist() == [0, 11, 12, 3]
    notebook.here("new[0, 0] = 99")
    assert notebook["t"][0] == 99


def test_mlx_arrays_change_in_place(notebook: Cells) -> None:
    pytest.importorskip("mlx.core")
    notebook.here("import mlx.core as mx\na = mx.arange(3)\nb = {'a': a}")
    notebook.there("a += 1\nc = mx.ones((2,), dtype=mx.bfloat16)")
    assert notebook["b"]["a"] is notebook["a"]
    assert notebook["a"].tolist() == [1, 2, 3]
    assert str(notebook["c"].dtype) == "mlx.core.bfloat16"


def test_opaque_state_advances(notebook: Cells) -> None:
    notebook.here(
        "import random, numpy as np\nr = random.Random(1); g = np.random.default_rng(1)\n"
        "it = iter([1, 2, 3]); same = g\nr2 = random.Random(1); g2 = np.random.default_rng(1)"
    )
    notebook.there("r.random(); g.random(); next(it)")
    notebook.here("r2.random(); g2.random()")
    assert notebook["r"].random() == notebook["r2"].random()
    assert notebook["same"] is notebook["g"]
    assert notebook["g"].random() == notebook["g2"].random()
    assert list(notebook["it"]) == [2, 3]


def test_a_view_that_wants_a_gradient_for_itself_goes_on_wanting_it(notebook: Cells) -> None:
    notebook.here("import torch\nt = torch.ones(3); u = t[1:]\nu = u.requires_grad_()")
    notebook.there("with torch.no_grad():\n    u.fill_(0)")
    assert notebook["u"].requires_grad
    assert not notebook["t"].requires_grad
    assert notebook["t"].tolist() == [1, 0, 0]


def test_an_ordered_dict_keeps_the_order_that_the_cell_gave_it(notebook: Cells) -> None:
    notebook.here("from collections import OrderedDict\nd = OrderedDict(a=1)")
    notebook.there("d['b'] = 2\nd.move_to_end('a')")
    assert list(notebook["d"]) == ["b", "a"]
